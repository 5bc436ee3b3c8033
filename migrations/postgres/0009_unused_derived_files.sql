-- Derived files that nobody asked for go: found by the time at which somebody last did.
create index derived_files_by_use on derived_files (used_at, id);
