-- What a user may have, and for how long. Null is the default of all users, 0 is without limit.
alter table users
    add column max_jobs bigint check (max_jobs >= 0),
    -- of uploaded files
    add column max_bytes bigint check (max_bytes >= 0),
    -- that are being processed at the same time
    add column max_active_jobs bigint check (max_active_jobs >= 0),
    add column retention_days integer check (retention_days >= 0);

-- How many bytes the files of each user have: the sum of `jobs.bytes`. As in job_counts, whatever changes that adds a row
-- here, and maintenance sums the rows up.
create table stored_bytes (
    user_id bigint not null,
    bytes bigint not null
);
create index stored_bytes_user_id_idx on stored_bytes (user_id);

create function count_bytes() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into stored_bytes (user_id, bytes) values (new.user_id, new.bytes);
    else
        insert into stored_bytes (user_id, bytes) values (old.user_id, -old.bytes);
    end if;
    return null;
end $$;

create trigger count_bytes after insert or delete on jobs for each row execute function count_bytes();

insert into stored_bytes (user_id, bytes) select user_id, sum(bytes)::bigint from jobs group by user_id;

-- Finds the jobs that retention deletes.
create index jobs_finished_at_idx on jobs (finished_at) where finished_at is not null;

-- Events can still only be added to, but for those that are older than any that retention may delete: with
-- AUDIT_RETENTION_DAYS, which is 30 at least, workers delete them.
create function refuse_recent_deletion() returns trigger language plpgsql as $$
begin
    if exists (select from deleted where at > now() - interval '30 days') then
        raise exception 'audit_events can only be added to: those of the last 30 days can''t be deleted';
    end if;
    return null;
end
$$;
drop trigger audit_events_append_only on audit_events;
create trigger audit_events_append_only before update or truncate on audit_events
    for each statement execute function refuse_change();
create trigger audit_events_kept after delete on audit_events referencing old table as deleted
    for each statement execute function refuse_recent_deletion();
