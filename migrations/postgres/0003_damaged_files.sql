-- When bytes of a file were found lost. Such a file is not known to pollers, so that it is uploaded again.
alter table debug_files add column damaged_at timestamptz;
