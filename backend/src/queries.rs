//! What the pages and the API show of jobs.

use domain::{Job, JobEvent, JobId, JobListRequest, JobProgress, UserId};

use crate::{
    Backend, JobList, ProgressHub, Result,
    jobs::{
        events, list,
        query::{self, FileFormat},
    },
};

pub async fn job(backend: &Backend, job_id: JobId) -> Result<Job> {
    query::get(&backend.pool, job_id).await
}

/// What has happened to the job, oldest first.
///
/// # Errors
///
/// [`crate::Error::NotFound`] without such a job.
pub async fn events(backend: &Backend, job_id: JobId) -> Result<Vec<JobEvent>> {
    query::get(&backend.pool, job_id).await?;
    Ok(query::events(&backend.pool, job_id).await?)
}

/// The latest earlier job of the same user with the same file.
pub async fn same_file(backend: &Backend, job: &Job) -> Result<Option<JobId>> {
    Ok(query::same_file(&backend.pool, job).await?)
}

/// How the job's file is read, and what must be answered first.
pub async fn file_format(backend: &Backend, job_id: JobId) -> Result<FileFormat> {
    query::file_format(&backend.pool, job_id).await
}

/// Returns the page of this number, from 1, of the jobs that are asked for, or the last one where there are fewer.
pub async fn jobs(
    backend: &Backend,
    request: &JobListRequest,
    page: u64,
    size: u64,
) -> Result<JobList> {
    list::list(&backend.pool, request, page, size).await
}

/// The jobs of these ids, newest first; those that are gone are left out.
pub async fn chosen(backend: &Backend, job_ids: &[JobId]) -> Result<Vec<Job>> {
    list::chosen(&backend.pool, job_ids).await
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
