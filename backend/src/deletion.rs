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

/// Deletes a job with its rows and its file, which vanish at once and are removed in the background.
/// Work under way for it ends by itself: without its job it can't commit.
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

/// Deletes those of these jobs that are there and that the viewer may see, as [`delete_job`] does, and returns how many.
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

/// Deletes the user with all jobs, rows and files. Work under way for them ends by itself: without
/// its job it can't commit. Sessions and API tokens end. For admins; fails with [`Error::Conflict`] for the last one.
pub async fn delete_user(backend: &Backend, viewer: &Viewer, user_id: UserId) -> Result<()> {
    // Of others, members don't know.
    check_user(&backend.pool, viewer, user_id, Act::Change).await?;
    check_admin(&backend.pool, viewer, Act::Change).await?;
    let mut tx = database::begin(&backend.pool).await?;
    if viewer.account().is_some() {
        accounts::keep_an_admin(&mut tx, user_id).await?;
    }
    // Locks the user first: an upload that ends now waits, and then finds no user.
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

/// Begins to remove what deleted jobs have left, and ends their workflows. The deletion stands, whatever
/// becomes of this.
fn clean_up(backend: &Backend, deleted: Vec<Attempt>) {
    maintenance::sweep_soon(&backend.pool, &backend.storage);
    let temporal = backend.temporal.clone();
    tokio::spawn(async move {
        for attempt in deleted {
            temporal.terminate(attempt, "the job was deleted").await;
        }
    });
}
