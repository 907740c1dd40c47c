-- Lists of jobs are read from this index alone, whatever they are searched and ordered by: the table's rows are wide.
-- Jobs that are being processed stand together at its end, so that they come first.
create index jobs_list_idx on jobs ((status = 'processing'), id)
    include (user_id, status, filename, created_at, total_records, invalid_records);
create index jobs_user_list_idx on jobs (user_id, (status = 'processing'), id);
create index jobs_status_idx on jobs (status, id);

-- How many jobs each user has in each status: the sum of `jobs`. Whatever changes that adds a row here, so that no two
-- changes wait for one another; maintenance sums the rows up.
create table job_counts (
    user_id bigint not null,
    status text not null,
    jobs bigint not null
);
create index job_counts_user_id_idx on job_counts (user_id);

create function count_job() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' then
        insert into job_counts (user_id, status, jobs) values (old.user_id, old.status, -1);
    end if;
    if tg_op <> 'DELETE' then
        insert into job_counts (user_id, status, jobs) values (new.user_id, new.status, 1);
    end if;
    return null;
end $$;

create trigger count_job after insert or delete on jobs for each row execute function count_job();
create trigger count_status after update of user_id, status on jobs for each row
    when (old.status <> new.status or old.user_id <> new.user_id) execute function count_job();

insert into job_counts (user_id, status, jobs) select user_id, status, count(*) from jobs group by 1, 2;

-- As before, but the sums are those of the jobs that are read: for a page of jobs, PostgreSQL used to sum up all jobs.
create or replace view job_states as
select jobs.id, user_id, filename, bytes, sha256, status, total_records, total_batches,
       coalesce(done.valid, valid_records) as valid_records,
       coalesce(done.invalid, invalid_records) as invalid_records,
       coalesce(done.suspicious, suspicious_records) as suspicious_records,
       coalesce(done.ignored, ignored_records) as ignored_records,
       coalesce(done.chunks, batch_completed) as batch_completed,
       created_at, started_at, finished_at, paused_at, paused_seconds, error, error_code, run,
       version + coalesce(done.chunks, 0) as version,
       greatest(updated_at, done.last) as updated_at
from jobs left join lateral (
    select coalesce(sum(chunk.valid_records), 0)::bigint as valid,
           coalesce(sum(chunk.invalid_records), 0)::bigint as invalid,
           coalesce(sum(chunk.suspicious_records), 0)::bigint as suspicious,
           coalesce(sum(chunk.ignored_records), 0)::bigint as ignored,
           count(*)::integer as chunks, max(committed_at) as last
    from job_chunks as chunk
    where jobs.status = 'processing' and chunk.result_id = jobs.result_id and committed_at is not null
) as done on jobs.status = 'processing';
