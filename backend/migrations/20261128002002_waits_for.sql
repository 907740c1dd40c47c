alter table jobs
    -- why the last step of the attempt failed, if it is tried again until a service works
    add column waits_for text,
    -- the version of the job's state until which that holds, so nothing that changes the job has to clear it
    add column waits_version bigint;

-- As before, with what the job waits for.
create or replace view job_states as
select jobs.id, user_id, filename, bytes, sha256, status, total_records, total_batches,
       coalesce(done.valid, valid_records) as valid_records,
       coalesce(done.invalid, invalid_records) as invalid_records,
       coalesce(done.suspicious, suspicious_records) as suspicious_records,
       coalesce(done.ignored, ignored_records) as ignored_records,
       coalesce(done.chunks, batch_completed) as batch_completed,
       created_at, started_at, finished_at, paused_at, paused_seconds, error, error_code, run,
       version + coalesce(done.chunks, 0) as version,
       greatest(updated_at, done.last) as updated_at,
       case when waits_version = version + coalesce(done.chunks, 0) then waits_for end as waits_for
from jobs left join lateral (
    select coalesce(sum(chunk.valid_records), 0)::bigint as valid,
           coalesce(sum(chunk.invalid_records), 0)::bigint as invalid,
           coalesce(sum(chunk.suspicious_records), 0)::bigint as suspicious,
           coalesce(sum(chunk.ignored_records), 0)::bigint as ignored,
           count(*)::integer as chunks, max(committed_at) as last
    from job_chunks as chunk
    where jobs.status = 'processing' and chunk.result_id = jobs.result_id and committed_at is not null
) as done on jobs.status = 'processing';
