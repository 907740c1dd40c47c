//! `/jobs` and `/users/{user_id}/jobs`

use axum::{
    Json,
    extract::{Multipart, OriginalUri, State, multipart::MultipartRejection},
    http::{StatusCode, Uri},
    response::IntoResponse,
};
use backend::{Backend, control, deletion, queries, reports, uploads};
use domain::{Command, InvalidField, Job, JobId, JobReport, JobStatus, UserId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{created_in, location};
use crate::problem::{ApiPath, ApiQuery, Problem};

#[derive(Debug, Deserialize, IntoParams)]
pub struct UploadQuery {
    /// Whose job it becomes.
    user_id: UserId,
}

/// The form that `POST /jobs` takes; it is read as a stream.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the form; the fields are read from the stream"
)]
pub struct UploadForm {
    /// The CSV file.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// A new job.
#[derive(Debug, Serialize, ToSchema)]
pub struct UploadedJob {
    /// The same as `id`.
    job_id: JobId,
    #[serde(flatten)]
    job: Job,
}

/// The answer to a command.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    /// `started`, `paused`, `resumed` or `cancelled`.
    message: &'static str,
    job_id: JobId,
    status: JobStatus,
}

/// List a user's jobs, newest first
#[utoipa::path(get, path = "/users/{user_id}/jobs", tag = "jobs",
    params(("user_id" = UserId, Path)),
    responses((status = 200, body = [Job]), (status = 404, body = Problem)))]
pub async fn list_of_user(
    State(backend): State<Backend>,
    ApiPath(user_id): ApiPath<UserId>,
) -> Result<Json<Vec<Job>>, Problem> {
    Ok(Json(queries::jobs_of_user(&backend, user_id).await?))
}

/// Upload a CSV file
///
/// The file is stored as it is and becomes a pending job. What it says is looked at when the job is
/// started.
#[utoipa::path(post, path = "/jobs", tag = "jobs", params(UploadQuery),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses(
        (status = 201, body = UploadedJob, headers(("Location" = String))),
        (status = 400, description = "the upload broke off", body = Problem),
        (status = 404, body = Problem),
        (status = 413, description = "larger than MAX_UPLOAD_BYTES", body = Problem),
        (status = 422, description = "no form field `file`", body = Problem)))]
pub async fn upload(
    State(backend): State<Backend>,
    OriginalUri(uri): OriginalUri,
    ApiQuery(query): ApiQuery<UploadQuery>,
    form: Result<Multipart, MultipartRejection>,
) -> Result<impl IntoResponse, Problem> {
    let mut form = form?;
    while let Some(field) = form.next_field().await? {
        if field.name() != Some("file") {
            continue;
        }
        let filename = field.file_name().unwrap_or_default().to_owned();
        let job = uploads::upload(&backend, query.user_id, &filename, field).await?;
        let uploaded = UploadedJob {
            job_id: job.id,
            job,
        };
        return Ok((
            StatusCode::CREATED,
            created_in(&uri, uploaded.job_id),
            Json(uploaded),
        ));
    }
    Err(InvalidField::new("file", "The form has no field “file” with a CSV file.").into())
}

/// A handler of one command. What the commands have in common they have here.
macro_rules! command {
    ($name:ident, $path:literal, $command:expr, $message:literal, $summary:literal, $description:literal) => {
        #[utoipa::path(post, path = $path, tag = "jobs", summary = $summary, description = $description,
            params(("job_id" = JobId, Path)),
            responses(
                (status = 202, body = Accepted, headers(("Location" = String))),
                (status = 404, body = Problem),
                (status = 409, description = "the state of the job forbids it", body = Problem),
                (status = 503, description = "nothing was changed: a service behind this one doesn't answer",
                    body = Problem)))]
        pub async fn $name(
            State(backend): State<Backend>,
            OriginalUri(uri): OriginalUri,
            ApiPath(job_id): ApiPath<JobId>,
        ) -> Result<impl IntoResponse, Problem> {
            let job = control::command(&backend, job_id, $command).await?;
            Ok(accepted(&uri, $message, job))
        }
    };
}

command!(
    start,
    "/jobs/{job_id}/start",
    Command::Start,
    "started",
    "Start a job",
    "However often and from however many places at once it is asked for, the job is started once."
);
command!(
    pause,
    "/jobs/{job_id}/pause",
    Command::Pause,
    "paused",
    "Pause a job",
    "No chunk is committed any more; what is committed stays. Asking twice is fine."
);
command!(
    resume,
    "/jobs/{job_id}/resume",
    Command::Resume,
    "resumed",
    "Resume a paused job",
    "It goes on with the chunks that are not committed yet."
);
command!(
    cancel,
    "/jobs/{job_id}/cancel",
    Command::Cancel,
    "cancelled",
    "Cancel a job",
    "Keeps the rows that are done. The job can be retried, from its first row."
);
command!(
    retry,
    "/jobs/{job_id}/retry",
    Command::Retry,
    "started",
    "Retry a failed or cancelled job",
    "Processes the file anew; its old rows are replaced at once."
);

/// The answer to a command: it has taken effect.
fn accepted(uri: &Uri, message: &'static str, job: Job) -> impl IntoResponse + use<> {
    let path = uri.path();
    let job_path = path.rsplit_once('/').map_or(path, |(job, _)| job);
    let body = Accepted {
        message,
        job_id: job.id,
        status: job.state.status,
    };
    (
        StatusCode::ACCEPTED,
        location(job_path.to_owned()),
        Json(body),
    )
}

/// Get a job
#[utoipa::path(get, path = "/jobs/{job_id}", tag = "jobs",
    params(("job_id" = JobId, Path)),
    responses((status = 200, body = Job), (status = 404, body = Problem)))]
pub async fn get(
    State(backend): State<Backend>,
    ApiPath(job_id): ApiPath<JobId>,
) -> Result<Json<Job>, Problem> {
    Ok(Json(queries::job(&backend, job_id).await?))
}

/// Get the report on a job: problems by kind, sums, throughput
#[utoipa::path(get, path = "/jobs/{job_id}/report", tag = "jobs",
    params(("job_id" = JobId, Path)),
    responses((status = 200, body = JobReport), (status = 404, body = Problem)))]
pub async fn report(
    State(backend): State<Backend>,
    ApiPath(job_id): ApiPath<JobId>,
) -> Result<Json<JobReport>, Problem> {
    Ok(Json(reports::get(&backend, job_id).await?))
}

/// Delete a job with its rows and its file
#[utoipa::path(delete, path = "/jobs/{job_id}", tag = "jobs",
    params(("job_id" = JobId, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn delete(
    State(backend): State<Backend>,
    ApiPath(job_id): ApiPath<JobId>,
) -> Result<StatusCode, Problem> {
    deletion::delete_job(&backend, job_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
