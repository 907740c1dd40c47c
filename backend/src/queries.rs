//! What the pages and the API show of jobs.

use domain::{Job, JobId, JobProgress, UserId};

use crate::{
    Backend, JobPage, ProgressHub, Result,
    jobs::{
        events,
        query::{self, FileFormat},
    },
    users,
};

pub async fn job(backend: &Backend, job_id: JobId) -> Result<Job> {
    query::get(&backend.pool, job_id).await
}

/// The latest earlier job of the same user with the same file.
pub async fn same_file(backend: &Backend, job: &Job) -> Result<Option<JobId>> {
    Ok(query::same_file(&backend.pool, job).await?)
}

/// How the job's file is read, and what must be answered first.
pub async fn file_format(backend: &Backend, job_id: JobId) -> Result<FileFormat> {
    query::file_format(&backend.pool, job_id).await
}

/// A user's jobs, newest first. Fails with [`crate::Error::NotFound`] without such a user.
pub async fn jobs_of_user(backend: &Backend, user_id: UserId) -> Result<Vec<Job>> {
    users::get(backend, user_id).await?;
    query::of_user(&backend.pool, user_id).await
}

/// The page of this number of a user's jobs, newest first, or the last one where there are fewer. Empty where there is
/// no such user.
pub async fn job_page(backend: &Backend, user_id: UserId, page: u64) -> Result<JobPage> {
    query::page(&backend.pool, user_id, page).await
}

/// The present state of the user's active jobs, and of those in `also`, whatever became of them.
pub async fn states(
    backend: &Backend,
    user_id: UserId,
    also: &[JobId],
) -> Result<Vec<JobProgress>> {
    query::states_of_user(&backend.pool, user_id, also).await
}

/// Starts to listen to what the database announces about jobs.
pub async fn listen(backend: &Backend) -> anyhow::Result<ProgressHub> {
    events::ProgressHub::start(&backend.pool).await
}
