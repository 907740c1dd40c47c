-- Whether the file is being written, or was when its writer died. When such an entry is due for the first time, its file
-- isn't removed yet: a clock that jumps, or an outage of PostgreSQL, must not cost a file that is still being uploaded.
alter table removals add column is_leased boolean not null default false;
