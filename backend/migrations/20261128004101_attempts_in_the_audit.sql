-- Who began an attempt of a job. However many ask for it at the same time, one of them did.
alter table audit_events add column run integer;
create unique index audit_events_attempt_idx on audit_events (job_id, run) where run is not null;
