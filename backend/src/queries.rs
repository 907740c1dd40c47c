//! Queries on jobs for the pages and the API.

use std::time::Duration;

use chrono::{DateTime, Days, Utc};
use domain::{Job, JobEvent, JobId, JobListRequest, JobProgress, UserId};

use crate::{
    Backend, Error, JobList, ProgressHub, Result,
    access::{Act, Viewer, check_job, check_user},
    jobs::{
        events, list,
        query::{self, FileFormat},
        usage,
    },
};

pub async fn job(backend: &Backend, viewer: &Viewer, job_id: JobId) -> Result<Job> {
    check_job(&backend.pool, viewer, job_id, Act::Read).await?;
    query::get(&backend.pool, job_id).await
}

/// Returns the job's events, oldest first.
///
/// # Errors
///
/// Returns [`Error::NotFound`] if there is no such job.
pub async fn events(backend: &Backend, viewer: &Viewer, job_id: JobId) -> Result<Vec<JobEvent>> {
    check_job(&backend.pool, viewer, job_id, Act::Read).await?;
    query::owner(&backend.pool, job_id)
        .await?
        .ok_or(Error::NotFound("Job"))?;
    Ok(query::events(&backend.pool, job_id).await?)
}

/// Returns the latest earlier job of the same user with the same file.
pub async fn same_file(backend: &Backend, job: &Job) -> Result<Option<JobId>> {
    Ok(query::same_file(&backend.pool, job).await?)
}

/// Returns when retention deletes the job. `None` if the job hasn't ended or is kept forever.
pub async fn expires_at(backend: &Backend, job: &Job) -> Result<Option<DateTime<Utc>>> {
    let Some(finished_at) = job.finished_at.filter(|_| job.state.status.is_over()) else {
        return Ok(None);
    };
    let quotas = usage::of(&backend.pool, job.state.user_id, &backend.quotas).await?;
    let days = quotas.retention.days;
    Ok(days.and_then(|days| finished_at.checked_add_days(Days::new(days))))
}

/// Returns how the job's file is read, and the questions that must be answered first.
pub async fn file_format(backend: &Backend, viewer: &Viewer, job_id: JobId) -> Result<FileFormat> {
    check_job(&backend.pool, viewer, job_id, Act::Read).await?;
    query::file_format(&backend.pool, job_id).await
}

/// Returns the page with this number, from 1, of the jobs that match the request, or the last page if there are fewer.
/// Includes only jobs that the viewer may see.
pub async fn jobs(
    backend: &Backend,
    viewer: &Viewer,
    request: &JobListRequest,
    page: u64,
    size: u64,
) -> Result<JobList> {
    let mut request = request.clone();
    match request.filter.owner {
        Some(user_id) => check_user(&backend.pool, viewer, user_id, Act::Read).await?,
        None => request.filter.owner = viewer.owner(),
    }
    list::list(&backend.pool, &request, page, size).await
}

/// Returns those of the jobs that the viewer may see, newest first. Omits deleted ones.
pub async fn chosen(backend: &Backend, viewer: &Viewer, job_ids: &[JobId]) -> Result<Vec<Job>> {
    list::chosen(&backend.pool, viewer.owner(), job_ids).await
}

/// Returns the current states of the user's active jobs, and of those in `also` whatever their status.
pub async fn states(
    backend: &Backend,
    viewer: &Viewer,
    user_id: UserId,
    also: &[JobId],
    since: Duration,
) -> Result<Vec<JobProgress>> {
    check_user(&backend.pool, viewer, user_id, Act::Read).await?;
    query::states_of_user(&backend.pool, user_id, also, since).await
}

/// Starts to listen to the database's notifications about jobs.
pub async fn listen(backend: &Backend) -> anyhow::Result<ProgressHub> {
    events::ProgressHub::start(&backend.pool).await
}
