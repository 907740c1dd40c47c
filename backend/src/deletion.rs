//! Deletes jobs and users.

use domain::{AuditKind, JobId, UserId};

use crate::{
    Backend, Error, Result,
    access::{Act, Viewer, check_admin, check_change, check_job, check_user},
    accounts,
    audit::{self, Event},
    database,
    jobs::{query, transition},
    maintenance,
    temporal::Attempt,
    users,
};

/// Deletes a job with its rows and its file. They disappear at once and are removed in the background. Work in progress
/// ends by itself, because it can't commit without its job.
pub async fn delete_job(backend: &Backend, viewer: &Viewer, job_id: JobId) -> Result<()> {
    check_job(&backend.pool, viewer, job_id, Act::Change).await?;
    let mut tx = database::begin(&backend.pool).await?;
    let user_id = query::owner(&mut *tx, job_id)
        .await?
        .ok_or(Error::NotFound("Job"))?;
    let deleted = transition::delete(&mut tx, &[job_id]).await?;
    if deleted.is_empty() {
        return Err(Error::NotFound("Job"));
    }
    let event = Event::done(AuditKind::DeleteJob).of_job(user_id, job_id);
    audit::record(&mut *tx, viewer, event).await?;
    tx.commit().await?;
    clean_up(backend, deleted);
    Ok(())
}

/// Deletes those of the jobs that exist and that the viewer may see, as [`delete_job`] does. Returns the number of
/// deleted jobs.
pub async fn delete_jobs(backend: &Backend, viewer: &Viewer, job_ids: &[JobId]) -> Result<usize> {
    check_change(&backend.pool, viewer).await?;
    let mut tx = database::begin(&backend.pool).await?;
    let owned = query::lock(&mut tx, viewer.owner(), job_ids).await?;
    let job_ids: Vec<JobId> = owned.iter().map(|(job_id, _)| *job_id).collect();
    for (job_id, user_id) in owned {
        let event = Event::done(AuditKind::DeleteJob).of_job(user_id, job_id);
        audit::record(&mut *tx, viewer, event).await?;
    }
    let deleted = transition::delete(&mut tx, &job_ids).await?;
    tx.commit().await?;
    let count = deleted.len();
    clean_up(backend, deleted);
    Ok(count)
}

/// Deletes a user with all their jobs, rows and files, and ends their sessions and API tokens. Work in progress ends by
/// itself, because it can't commit without its job. Fails with [`Error::Conflict`] for the last admin, and with
/// [`Error::Unconfirmed`]. Requires an admin.
pub async fn delete_user(backend: &Backend, viewer: &Viewer, user_id: UserId) -> Result<()> {
    // Members must not learn of other users.
    check_user(&backend.pool, viewer, user_id, Act::Change).await?;
    check_admin(&backend.pool, viewer, Act::Change).await?;
    accounts::check_confirmed(&backend.pool, viewer).await?;
    let mut tx = database::begin(&backend.pool).await?;
    if viewer.account().is_some() {
        accounts::keep_an_admin(&mut tx, user_id).await?;
    }
    // Locks the user first. An upload that finishes now waits, and then finds no user.
    users::lock(&mut tx, user_id).await?;
    let job_ids = query::lock_of_user(&mut tx, user_id).await?;
    let deleted = transition::delete(&mut tx, &job_ids).await?;
    let email = users::remove(&mut tx, user_id).await?;
    let event = Event::done(AuditKind::DeleteUser)
        .of_user(user_id)
        .detail(&email);
    audit::record(&mut *tx, viewer, event).await?;
    tx.commit().await?;
    clean_up(backend, deleted);
    Ok(())
}

/// Starts to remove the data of deleted jobs and ends their workflows. The deletion stands even if this fails.
fn clean_up(backend: &Backend, deleted: Vec<Attempt>) {
    maintenance::sweep_soon(&backend.pool, &backend.storage);
    let temporal = backend.temporal.clone();
    tokio::spawn(async move {
        for attempt in deleted {
            temporal.terminate(attempt, "the job was deleted").await;
        }
    });
}
