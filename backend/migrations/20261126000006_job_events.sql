-- What has happened to a job, kept over its attempts.
create table job_events (
    id bigint generated always as identity primary key,
    job_id bigint not null references jobs (id) on delete cascade,
    -- the attempt that began with it, or that it ended
    run integer not null,
    kind text not null check (kind in (
        'started', 'paused', 'resumed', 'cancelled', 'retried', 'worker_lost', 'failed', 'completed')),
    at timestamptz not null default clock_timestamp()
);
create index job_events_job_id_idx on job_events (job_id, id);
