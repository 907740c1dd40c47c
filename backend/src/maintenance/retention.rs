//! Deletes ended jobs and audit events whose retention has ended, and credentials that no longer work. A Temporal schedule
//! triggers it.

use domain::{AuditKind, JobId};

use super::sweep_soon;
use crate::{
    Backend, Result, accounts,
    audit::{self, Actor, Event},
    database::{self, audit_retention},
    jobs::{transition, usage},
};

/// The maximum number of jobs, and of events, that one transaction deletes.
const JOBS: i64 = 200;
const EVENTS: i64 = 5_000;

/// Deletes some of the jobs and events whose retention has ended. Returns whether there may be more.
pub async fn apply(backend: &Backend) -> Result<bool> {
    let has_more_jobs = delete_jobs(backend).await?;
    let has_more_events = delete_events(backend).await?;
    accounts::delete_ended(&backend.pool).await?;
    Ok(has_more_jobs || has_more_events)
}

async fn delete_jobs(backend: &Backend) -> Result<bool> {
    let mut tx = database::begin(&backend.pool).await?;
    let expired = usage::lock_expired(&mut tx, &backend.quotas, JOBS).await?;
    if expired.is_empty() {
        return Ok(false);
    }
    for job in &expired {
        let detail = format!("{} days after it ended", job.days);
        let event = Event::done(AuditKind::DeleteJob)
            .of_job(job.user_id, job.job_id)
            .detail(&detail);
        audit::record(&mut *tx, Actor::retention(), event).await?;
    }
    let job_ids: Vec<JobId> = expired.iter().map(|job| job.job_id).collect();
    transition::delete(&mut tx, &job_ids).await?;
    tx.commit().await?;
    for job in &expired {
        tracing::info!(job_id = %job.job_id, user_id = %job.user_id, days = job.days, "job deleted by retention");
    }
    sweep_soon(&backend.pool, &backend.storage);
    Ok(expired.len() as i64 == JOBS)
}

async fn delete_events(backend: &Backend) -> Result<bool> {
    let days = backend.audit_retention_days;
    if days == 0 {
        return Ok(false);
    }
    let allowed = audit_retention::get(&backend.pool).await?;
    if allowed.is_none_or(|allowed| days < allowed) {
        tracing::error!(
            days,
            allowed,
            "no audit events are deleted, because the database keeps them for longer: run `server migrate` with the same \
             AUDIT_RETENTION_DAYS"
        );
        return Ok(false);
    }
    let mut tx = database::begin(&backend.pool).await?;
    let deleted = audit::delete_old(&mut tx, days, EVENTS).await?;
    if deleted == 0 {
        return Ok(false);
    }
    let detail = format!("{deleted} events older than {days} days");
    let event = Event::done(AuditKind::DeleteEvents).detail(&detail);
    audit::record(&mut *tx, Actor::retention(), event).await?;
    tx.commit().await?;
    tracing::info!(
        events = deleted,
        days,
        "events deleted from the audit by retention"
    );
    Ok(deleted as i64 == EVENTS)
}
