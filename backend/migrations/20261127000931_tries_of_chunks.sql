-- The tries to validate the chunk that didn't end, because their worker died. The first try isn't counted.
alter table job_chunks add column unfinished_tries smallint not null default 0;
