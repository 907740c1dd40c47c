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

/// Returns the page of this number, from 1, of a user's jobs, newest first. It is empty where there are fewer.
///
/// # Errors
///
/// [`crate::Error::NotFound`] without such a user.
pub async fn jobs_of_user(
    backend: &Backend,
    user_id: UserId,
    page: u64,
    size: u64,
) -> Result<JobPage> {
    users::get(backend, user_id).await?;
    let found = query::page(&backend.pool, user_id, page, size).await?;
    Ok(match found.page == page {
        true => found,
        false => JobPage {
            jobs: Vec::new(),
            ..found
        },
    })
}

/// The page of this number of a user's jobs, newest first, or the last one where there are fewer. Empty where there is
/// no such user.
pub async fn job_page(backend: &Backend, user_id: UserId, page: u64) -> Result<JobPage> {
    query::page(&backend.pool, user_id, page, JobPage::SIZE).await
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
