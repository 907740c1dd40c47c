-- Rows are read from the stored file under the verdicts that the ledger keeps: there is no table of rows any more.
-- A worker of the version before can't commit anything from here on; what it was doing is done by one of this version.
drop table transactions;

alter table job_chunks
    -- the verdicts on the chunk's rows and where some of them start (validator, verdicts.rs); null until the chunk is
    -- committed, and for chunks that an earlier version has committed until a worker has derived it
    add column verdicts bytea;
-- What decides where rows are stands close together; the verdicts of a chunk are only read with its rows.
alter table job_chunks set (toast_tuple_target = 256);
-- The encoding of duplicates begins with its version (validator, row_set.rs). They are needed until the chunk is
-- committed; from then on the verdicts say the same.
update job_chunks set duplicates = '\x00'::bytea || duplicates where duplicates <> '';
create index job_chunks_without_verdicts_idx on job_chunks (result_id, number)
    where committed_at is not null and verdicts is null;

-- How many rows of a chunk are under a filter.
create function rows_under(filter text, chunk job_chunks) returns bigint
language sql stable
return case filter
    when 'all' then chunk.rows
    when 'valid' then chunk.valid_records
    when 'invalid' then chunk.invalid_records
    when 'suspicious' then chunk.suspicious_records
    else coalesce((chunk.problems ->> filter)::bigint, 0)
end;

alter table jobs
    -- where the rows of an id are found: {storage_key, hash_key, entries}; null for a small file, which is searched
    add column id_index jsonb,
    -- attempts to plan the file that have begun and neither succeeded nor failed: their worker died
    add column unfinished_plans smallint not null default 0;
create index jobs_processing_idx on jobs (id) where status = 'processing';

-- What the committed chunks of a job's result sum up to.
create view job_sums as
select jobs.id as job_id, coalesce(sum(chunk.valid_records), 0)::bigint as valid,
       coalesce(sum(chunk.invalid_records), 0)::bigint as invalid,
       coalesce(sum(chunk.suspicious_records), 0)::bigint as suspicious,
       count(chunk.number)::integer as chunks, max(committed_at) as last
from jobs left join job_chunks as chunk on chunk.result_id = jobs.result_id and committed_at is not null
group by jobs.id;

-- Jobs as they are shown. While a job is being processed its counts are those of the ledger, and each committed chunk
-- makes its state newer; when that ends they are stored.
create view job_states as
select jobs.id, user_id, filename, bytes, sha256, status, total_records, total_batches,
       coalesce(done.valid, valid_records) as valid_records,
       coalesce(done.invalid, invalid_records) as invalid_records,
       coalesce(done.suspicious, suspicious_records) as suspicious_records,
       coalesce(done.chunks, batch_completed) as batch_completed,
       created_at, started_at, finished_at, paused_at, paused_seconds, error, run,
       version + coalesce(done.chunks, 0) as version,
       greatest(updated_at, done.last) as updated_at
from jobs left join lateral (
    select valid, invalid, suspicious, chunks, last from job_sums
    where jobs.status = 'processing' and job_id = jobs.id
) as done on true;
