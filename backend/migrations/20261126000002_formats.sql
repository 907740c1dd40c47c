-- How a job's file is to be read: what is given, what was decided, and what must be answered first.
alter table jobs
    -- what is given about the file (validator, format/json.rs)
    add column format jsonb not null default '{}',
    -- how it is read, and why (validator, format/question.rs); null until the file is planned
    add column reading jsonb,
    -- what an attempt must be told before it can read the file
    add column questions jsonb,
    -- why the job failed, for programs
    add column error_code text,
    -- records that are no transactions; they are not among total_records
    add column ignored_records bigint not null default 0,
    -- false for what is certainly no text: an archive, a workbook, or what can't be read at all
    add column is_text boolean not null default true,
    -- the text of an archive or a workbook, an object beside the stored file; null where the file is text itself
    add column content_key text,
    add column content_bytes bigint;

alter table job_chunks
    add column ignored_records bigint not null default 0;

create or replace function rows_under(filter text, chunk job_chunks) returns bigint
language sql stable
return case filter
    when 'all' then chunk.rows - chunk.ignored_records
    when 'valid' then chunk.valid_records
    when 'invalid' then chunk.invalid_records
    when 'suspicious' then chunk.suspicious_records
    when 'ignored' then chunk.ignored_records
    else coalesce((chunk.problems ->> filter)::bigint, 0)
end;

drop view job_states;
drop view job_sums;

-- What the committed chunks of a job's result sum up to.
create view job_sums as
select jobs.id as job_id, coalesce(sum(chunk.valid_records), 0)::bigint as valid,
       coalesce(sum(chunk.invalid_records), 0)::bigint as invalid,
       coalesce(sum(chunk.suspicious_records), 0)::bigint as suspicious,
       coalesce(sum(chunk.ignored_records), 0)::bigint as ignored,
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
       coalesce(done.ignored, ignored_records) as ignored_records,
       coalesce(done.chunks, batch_completed) as batch_completed,
       created_at, started_at, finished_at, paused_at, paused_seconds, error, error_code, run,
       version + coalesce(done.chunks, 0) as version,
       greatest(updated_at, done.last) as updated_at
from jobs left join lateral (
    select valid, invalid, suspicious, ignored, chunks, last from job_sums
    where jobs.status = 'processing' and job_id = jobs.id
) as done on true;

-- Formats that a user's files were read under: given once, and applied to every file with the same header.
create table saved_formats (
    id bigint generated always as identity primary key,
    user_id bigint not null references users (id) on delete cascade,
    name text not null,
    -- the header's names, trimmed and in lower case, as a JSON array; null for files without a header
    header jsonb,
    -- SHA-256 of the names, by which a header is looked up
    header_hash bytea,
    -- what is given about such files (validator, format/json.rs)
    format jsonb not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (user_id, name),
    unique (user_id, header_hash)
);
create index jobs_same_file_idx on jobs (user_id, sha256);

alter table jobs
    -- the saved format that was chosen by its name
    add column saved_format_id bigint references saved_formats (id) on delete set null,
    -- name of the saved format that the file is read under, as it was then
    add column applied_format text;
create index jobs_saved_format_idx on jobs (saved_format_id) where saved_format_id is not null;
