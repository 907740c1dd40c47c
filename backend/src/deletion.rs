//! Deletes jobs and users.

use domain::{JobId, UserId};

use crate::{
    Backend, Error, Result, database,
    jobs::{query, transition},
    maintenance,
    temporal::Attempt,
    users,
};

/// Deletes a job with its rows and its file, which vanish at once and are removed in the background.
/// Work under way for it ends by itself: without its job it can't commit.
pub async fn delete_job(backend: &Backend, job_id: JobId) -> Result<()> {
    let mut tx = database::begin(&backend.pool).await?;
    let deleted = transition::delete(&mut tx, &[job_id]).await?;
    if deleted.is_empty() {
        return Err(Error::NotFound("Job"));
    }
    tx.commit().await?;
    tracing::info!(%job_id, "job deleted");
    clean_up(backend, deleted);
    Ok(())
}

/// Deletes those of these jobs that are there, as [`delete_job`] does, and returns how many.
pub async fn delete_jobs(backend: &Backend, job_ids: &[JobId]) -> Result<usize> {
    let mut tx = database::begin(&backend.pool).await?;
    query::lock(&mut tx, job_ids).await?;
    let deleted = transition::delete(&mut tx, job_ids).await?;
    tx.commit().await?;
    let count = deleted.len();
    tracing::info!(jobs = count, "jobs deleted");
    clean_up(backend, deleted);
    Ok(count)
}

/// Deletes the user with all jobs, rows and files. Work under way for them ends by itself: without
/// its job it can't commit.
pub async fn delete_user(backend: &Backend, user_id: UserId) -> Result<()> {
    let mut tx = database::begin(&backend.pool).await?;
    // Locks the user first: an upload that ends now waits, and then finds no user.
    users::lock(&mut tx, user_id).await?;
    let job_ids = query::lock_of_user(&mut tx, user_id).await?;
    let deleted = transition::delete(&mut tx, &job_ids).await?;
    users::remove(&mut tx, user_id).await?;
    tx.commit().await?;
    tracing::info!(%user_id, jobs = job_ids.len(), "user deleted");
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
