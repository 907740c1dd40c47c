alter table jobs
    -- the job whose file this one's is a corrected version of
    add column corrects_job_id bigint references jobs (id) on delete set null;
create index jobs_corrects_idx on jobs (corrects_job_id) where corrects_job_id is not null;
