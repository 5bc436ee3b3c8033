-- The key of the bytes that were found lost. A chunk is lost while this is the key that it has: new bytes come under another
-- one, so a process of an older version that replaces them ends the mark without knowing of it.
alter table chunks add column lost_key text;
update chunks set lost_key = blob_key where stored_size = 0 and size > 0;
