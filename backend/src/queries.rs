//! What the pages and the API show of jobs.

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

/// What has happened to the job, oldest first.
///
/// # Errors
///
/// [`Error::NotFound`] without such a job.
pub async fn events(backend: &Backend, viewer: &Viewer, job_id: JobId) -> Result<Vec<JobEvent>> {
    check_job(&backend.pool, viewer, job_id, Act::Read).await?;
    query::owner(&backend.pool, job_id)
        .await?
        .ok_or(Error::NotFound("Job"))?;
    Ok(query::events(&backend.pool, job_id).await?)
}

/// The latest earlier job of the same user with the same file.
pub async fn same_file(backend: &Backend, job: &Job) -> Result<Option<JobId>> {
    Ok(query::same_file(&backend.pool, job).await?)
}

/// When retention deletes the job, if it has ended and isn't kept.
pub async fn expires_at(backend: &Backend, job: &Job) -> Result<Option<DateTime<Utc>>> {
    let Some(finished_at) = job.finished_at.filter(|_| job.state.status.is_over()) else {
        return Ok(None);
    };
    let quotas = usage::of(&backend.pool, job.state.user_id, &backend.quotas).await?;
    let days = quotas.retention.days;
    Ok(days.and_then(|days| finished_at.checked_add_days(Days::new(days))))
}

/// How the job's file is read, and what must be answered first.
pub async fn file_format(backend: &Backend, viewer: &Viewer, job_id: JobId) -> Result<FileFormat> {
    check_job(&backend.pool, viewer, job_id, Act::Read).await?;
    query::file_format(&backend.pool, job_id).await
}

/// Returns the page of this number, from 1, of the jobs that are asked for, or the last one where there are fewer. Only
/// those that the viewer may see.
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

/// Those of these jobs that the viewer may see, newest first; those that are gone are left out.
pub async fn chosen(backend: &Backend, viewer: &Viewer, job_ids: &[JobId]) -> Result<Vec<Job>> {
    list::chosen(&backend.pool, viewer.owner(), job_ids).await
}

/// The present state of the user's active jobs, and of those in `also`, whatever became of them.
pub async fn states(
    backend: &Backend,
    viewer: &Viewer,
    user_id: UserId,
    also: &[JobId],
) -> Result<Vec<JobProgress>> {
    check_user(&backend.pool, viewer, user_id, Act::Read).await?;
    query::states_of_user(&backend.pool, user_id, also).await
}

/// Starts to listen to what the database announces about jobs.
pub async fn listen(backend: &Backend) -> anyhow::Result<ProgressHub> {
    events::ProgressHub::start(&backend.pool).await
}
