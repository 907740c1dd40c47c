-- Whether a process has begun to remove the file, so that its writer, which may still be alive, can't keep it any more.
alter table removals add column is_being_removed boolean not null default false;
