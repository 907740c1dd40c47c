//! `/jobs` and `/users/{user_id}/jobs`

use axum::{
    Json,
    body::Bytes,
    extract::{
        Multipart, OriginalUri, State, multipart::MultipartRejection, rejection::BytesRejection,
    },
    http::{HeaderMap, StatusCode, Uri},
    response::IntoResponse,
};
use backend::{
    Backend, Viewer,
    control::{self, CommandResult},
    deletion, queries, reports,
    uploads::{self, UploadKey, UploadOptions, UploadRest, Uploaded},
    users, versions,
};
use chrono::{DateTime, Utc};
use domain::{
    Command, Decision, Format, FormatChange, FormatName, GivenFormat, InvalidField, Job, JobColumn,
    JobEvent, JobFilter, JobId, JobListRequest, JobOrder, JobReport, JobStatus, Question, UserId,
    page_count,
};
use serde::Serialize;
use tokio::sync::oneshot;
use utoipa::{IntoParams, ToSchema};

use super::{
    created_in, form, location,
    paging::{self, ListQuery},
};
use crate::{
    auth::By,
    bodies,
    busy::Turns,
    input::{self, ApiPath, ApiQuery, Fields, QueryParameters, QueryValues},
    problem::Problem,
};

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UploadQuery {
    /// The user who will own the job.
    user_id: UserId,
    /// The user's job whose file this one corrects. The new file is read under the same format, except where a format
    /// is given. Of a download of that job, encoding, delimiter, header and sheet are its own.
    corrects: Option<JobId>,
}

impl QueryParameters for UploadQuery {
    const NAMES: &'static [&'static str] = &["user_id", "corrects"];

    fn read(query: &mut QueryValues) -> Option<Self> {
        let corrects = query.id("corrects");
        let user_id = query.required_user_id("user_id")?;
        Some(Self { user_id, corrects })
    }
}

/// The form for `POST /jobs`. It is read as a stream.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the form; the fields are read from the stream"
)]
pub struct UploadForm {
    /// The format as far as it is known.
    #[schema(required = false)]
    format: Format,
    /// The name of one of the user's saved formats. It completes `format`.
    #[schema(required = false)]
    format_name: FormatName,
    /// The file, with a filename.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// The optional body of `start` and `retry`.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FormatBody {
    /// The format as far as it is known. It is merged into what was given before; `null` removes a key.
    #[schema(value_type = Option<Format>)]
    format: serde_json::Value,
    /// The name of one of the user's saved formats. It completes the given format.
    #[schema(value_type = Option<FormatName>)]
    format_name: Option<String>,
}

impl Fields for FormatBody {
    const NAMES: &'static [&'static str] = &["format", "format_name"];

    fn read(body: &mut input::Body) -> Option<Self> {
        Some(Self {
            format: body.value("format").unwrap_or_default(),
            format_name: body.optional_text("format_name"),
        })
    }
}

/// A job and the format of its file.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobWithFormat {
    #[serde(flatten)]
    job: Job,
    /// How the file is read. Before that is decided, the format as given.
    format: Format,
    /// The name that the applied saved format had when it was applied.
    format_name: Option<String>,
    /// Why the file is read this way. Empty until that is decided.
    decisions: Vec<Decision>,
    /// Questions that must be answered before the file can be read.
    questions: Vec<Question>,
    /// The user's latest earlier job with an identical file.
    same_file_as: Option<JobId>,
    /// When retention deletes the job, to within an hour. `null` if the job is kept.
    expires_at: Option<DateTime<Utc>>,
    /// The job whose file this job's file corrects.
    corrects: Option<JobId>,
    /// All versions of the file, newest first. Empty if there is only one.
    versions: Vec<JobId>,
}

/// A new job.
#[derive(Debug, Serialize, ToSchema)]
pub struct UploadedJob {
    /// Equal to `id`.
    job_id: JobId,
    #[serde(flatten)]
    job: Job,
}

/// The response to a command.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    /// `started`, `paused`, `resumed` or `cancelled`. If the command had no effect, `already` followed by the status.
    message: String,
    job_id: JobId,
    status: JobStatus,
}

/// The filter, order and page of a list of jobs.
pub struct JobsQuery {
    request: JobListRequest,
    page: ListQuery,
}

impl QueryParameters for JobsQuery {
    const NAMES: &'static [&'static str] = &[
        "user_id", "status", "q", "from", "until", "sort", "page", "size",
    ];

    fn read(query: &mut QueryValues) -> Option<Self> {
        let owner = query.id("user_id");
        let request = JobListRequest::parse(owner, |name| {
            let value = match name {
                "q" => query.search(name),
                _ => query.text(name),
            };
            value.unwrap_or_default()
        });
        let page = ListQuery::read(query)?;
        Some(Self {
            request: query.all_parsed(request)?,
            page,
        })
    }
}

/// List jobs
///
/// Members get only their own jobs.
#[utoipa::path(get, path = "/jobs", tag = "jobs", operation_id = "list_all",
    params(
        ("user_id" = Option<UserId>, Query, description = "only this user's jobs"),
        ("status" = Option<JobStatus>, Query, description = "only jobs with this status"),
        ("q" = Option<String>, Query, max_length = 255,
            description = "only jobs whose filename, or whose user's name or email address, contains this text, ignoring case"),
        ("from" = Option<String>, Query, format = Date, description = "only jobs uploaded on this day or later (UTC)"),
        ("until" = Option<String>, Query, format = Date, description = "only jobs uploaded on this day or earlier (UTC)"),
        ("sort" = Option<JobOrder>, Query,
            description = "`filename`, `user`, `rows`, `invalid` (the share of invalid rows) or `created`; a minus sign \
                           reverses the order. By default, jobs in progress come first, then the newest"),
        ListQuery),
    responses(
        (status = 200, description = "a page of jobs", body = [Job], headers(
            ("X-Total-Count" = u64, description = "number of matching jobs"),
            ("Link" = String, description = "first, prev, next and last page (RFC 8288)"))),
        (status = 404, description = "the jobs of a user whom the viewer may not see", body = Problem)))]
pub async fn list(
    State(backend): State<Backend>,
    By(viewer): By,
    OriginalUri(uri): OriginalUri,
    State(turns): State<Turns>,
    ApiQuery(asked): ApiQuery<JobsQuery>,
) -> Result<impl IntoResponse, Problem> {
    let _turn = match asked.request.filter.search() {
        Some(_) => Some(turns.searches.take(&viewer).await?),
        None => None,
    };
    list_page(&backend, &viewer, &uri, &asked.request, &asked.page).await
}

/// List a user's jobs, newest first
#[utoipa::path(get, path = "/users/{user_id}/jobs", tag = "jobs",
    params(("user_id" = UserId, Path), ListQuery),
    responses(
        (status = 200, description = "a page of jobs", body = [Job], headers(
            ("X-Total-Count" = u64, description = "number of the user's jobs"),
            ("Link" = String, description = "first, prev, next and last page (RFC 8288)"))),
        (status = 404, body = Problem)))]
pub async fn list_of_user(
    State(backend): State<Backend>,
    By(viewer): By,
    OriginalUri(uri): OriginalUri,
    ApiPath(user_id): ApiPath<UserId>,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<impl IntoResponse, Problem> {
    users::get(&backend, &viewer, user_id).await?;
    let request = JobListRequest {
        filter: JobFilter::of(Some(user_id)),
        order: JobColumn::Created.usual_order(),
    };
    list_page(&backend, &viewer, &uri, &request, &query).await
}

/// Returns a page of jobs. A page beyond the last one is empty.
async fn list_page(
    backend: &Backend,
    viewer: &Viewer,
    uri: &Uri,
    request: &JobListRequest,
    query: &ListQuery,
) -> Result<impl IntoResponse + use<>, Problem> {
    let found = queries::jobs(backend, viewer, request, query.page, query.size).await?;
    let pages = page_count(found.total, query.size);
    let headers = paging::headers(uri, query.page, pages, found.total);
    let jobs = match found.page == query.page {
        true => found.jobs.into_iter().map(|listed| listed.job).collect(),
        false => Vec::new(),
    };
    Ok((headers, Json(jobs)))
}

/// Upload a file
///
/// Stores the file unchanged and creates a pending job. The content is examined when the job is started.
///
/// An upload whose response was lost can be sent again with the same `Idempotency-Key`: if the first one was stored, its
/// job is returned.
#[utoipa::path(post, path = "/jobs", tag = "jobs", params(UploadQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "chosen by the client for this file, such as a UUID",
            min_length = 1, max_length = 100, pattern = "^[!-~]([ -~]*[!-~])?$")),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses(
        (status = 201, body = UploadedJob, headers(("Location" = String))),
        (status = 400, description = "the form is malformed, or the upload was interrupted", body = Problem),
        (status = 403, description = "the file exceeds the user's quotas; or the role or the token's scope doesn't \
            allow it", body = Problem),
        (status = 404, body = Problem),
        (status = 413, description = "larger than MAX_UPLOAD_BYTES", body = Problem),
        (status = 409, description = "another file was uploaded with this `Idempotency-Key`", body = Problem),
        (status = 422, description = "no form field `file`, or one without a filename, or a format that can't be used",
            body = Problem),
        (status = 507, description = "the file storage has too little room for a file of this `Content-Length`",
            body = Problem)))]
pub async fn upload(
    State(backend): State<Backend>,
    By(viewer): By,
    State(turns): State<Turns>,
    OriginalUri(uri): OriginalUri,
    ApiQuery(query): ApiQuery<UploadQuery>,
    headers: HeaderMap,
    form: Result<Multipart, MultipartRejection>,
) -> Result<impl IntoResponse, Problem> {
    let form = form?;
    let key = headers.get(UploadKey::HEADER);
    let key = key
        .map(|key| UploadKey::parse(key.as_bytes()))
        .transpose()?;
    let _turn = turns.uploads.take(&viewer).await?;
    let length = bodies::content_length(&headers);
    let admission = uploads::admit(&backend, &viewer, query.user_id, length).await?;
    let (begin, file) = oneshot::channel();
    let (end, given) = oneshot::channel();
    // Runs concurrently, because the file is stored while it arrives, and fields may follow it.
    let read = async {
        let read = form::read_upload(form, begin).await;
        // Fails only if the upload has already failed.
        read.map(|given| {
            let starts = false;
            end.send(UploadRest { given, starts }).is_ok()
        })
        .err()
    };
    let store = async {
        let file = file.await.ok()?;
        let with = UploadOptions {
            given: file.given,
            corrects: query.corrects,
            key,
        };
        let (name, content) = (&file.filename, file.content);
        let rest = async { given.await.ok() };
        Some(uploads::upload(&backend, &viewer, admission, name, &with, content, rest).await)
    };
    let (problem, job) = tokio::join!(read, store);
    if let Some(problem) = problem {
        return Err(problem);
    }
    let Uploaded { job, .. } = job.ok_or_else(form::no_file)??;
    let uploaded = UploadedJob {
        job_id: job.id,
        job,
    };
    Ok((
        StatusCode::CREATED,
        created_in(&uri, uploaded.job_id),
        Json(uploaded),
    ))
}

/// Reads the body of a command. An empty body is an empty format.
fn format_of(body: &[u8]) -> Result<GivenFormat, Problem> {
    if body.trim_ascii().is_empty() {
        return Ok(GivenFormat::default());
    }
    let body: FormatBody = input::Body::parse(body)?;
    let format = match body.format {
        serde_json::Value::Null => FormatChange::default(),
        format => FormatChange::from_value(&format).map_err(InvalidField::from)?,
    };
    let saved = form::saved_name(body.format_name.as_deref())?;
    Ok(GivenFormat { format, saved })
}

/// Defines the handler of a command, with everything that commands have in common.
macro_rules! command {
    ($name:ident, $path:literal, $command:expr, $message:literal, $summary:literal, $description:literal) => {
        #[utoipa::path(post, path = $path, tag = "jobs", summary = $summary, description = $description,
            params(("job_id" = JobId, Path)),
            responses(
                (status = 202, body = Accepted, headers(("Location" = String))),
                (status = 404, body = Problem),
                (status = 409, description = "the state of the job forbids it", body = Problem),
                (status = 503, description = "nothing was changed: a service that Batchline depends on doesn't respond",
                    body = Problem)))]
        pub async fn $name(
            State(backend): State<Backend>,
            By(viewer): By,
            OriginalUri(uri): OriginalUri,
            ApiPath(job_id): ApiPath<JobId>,
        ) -> Result<impl IntoResponse, Problem> {
            let given = GivenFormat::default();
            let result = control::command(&backend, &viewer, job_id, $command, &given).await?;
            Ok(accepted(&uri, $message, result))
        }
    };
    (with format: $name:ident, $path:literal, $command:expr, $message:literal, $summary:literal, $description:literal) => {
        #[utoipa::path(post, path = $path, tag = "jobs", summary = $summary, description = $description,
            params(("job_id" = JobId, Path)),
            request_body(content = Option<FormatBody>, description = "How to read the file, as far as it is known"),
            responses(
                (status = 202, body = Accepted, headers(("Location" = String))),
                (status = 404, body = Problem),
                (status = 409, description = "the state of the job forbids it", body = Problem),
                (status = 422, description = "a wrong key or value of the format, or no saved format of that name", body = Problem),
                (status = 503, description = "nothing was changed: a service that Batchline depends on doesn't respond",
                    body = Problem)))]
        pub async fn $name(
            State(backend): State<Backend>,
            By(viewer): By,
            OriginalUri(uri): OriginalUri,
            ApiPath(job_id): ApiPath<JobId>,
            body: Result<Bytes, BytesRejection>,
        ) -> Result<impl IntoResponse, Problem> {
            let format = format_of(&body?)?;
            let result = control::command(&backend, &viewer, job_id, $command, &format).await?;
            Ok(accepted(&uri, $message, result))
        }
    };
}

command!(
    with format: start,
    "/jobs/{job_id}/start",
    Command::Start,
    "started",
    "Start a job",
    "Starts the job once, however often the request is repeated."
);
command!(
    pause,
    "/jobs/{job_id}/pause",
    Command::Pause,
    "paused",
    "Pause a job",
    "Commits no more chunks. Committed chunks stay. Pausing a paused job changes nothing."
);
command!(
    resume,
    "/jobs/{job_id}/resume",
    Command::Resume,
    "resumed",
    "Resume a paused job",
    "Continues with the chunks that aren't committed yet."
);
command!(
    cancel,
    "/jobs/{job_id}/cancel",
    Command::Cancel,
    "cancelled",
    "Cancel a job",
    "Keeps the rows already checked. The job can be retried from its first row."
);
command!(
    with format: retry,
    "/jobs/{job_id}/retry",
    Command::Retry,
    "started",
    "Retry a failed or cancelled job",
    "Processes the file again from its first row; its old results are replaced at once."
);

/// Returns the response to a command that has taken effect, now or earlier.
fn accepted(uri: &Uri, message: &str, result: CommandResult) -> impl IntoResponse + use<> {
    let job = result.job;
    let path = uri.path();
    let job_path = path.rsplit_once('/').map_or(path, |(job, _)| job);
    let body = Accepted {
        message: match result.has_changed {
            true => message.to_owned(),
            false => format!("already {}", job.state.status),
        },
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
    responses((status = 200, body = JobWithFormat), (status = 404, body = Problem)))]
pub async fn get(
    State(backend): State<Backend>,
    By(viewer): By,
    ApiPath(job_id): ApiPath<JobId>,
) -> Result<Json<JobWithFormat>, Problem> {
    let job = queries::job(&backend, &viewer, job_id).await?;
    let file = queries::file_format(&backend, &viewer, job_id).await?;
    let same_file_as = queries::same_file(&backend, &job).await?;
    let expires_at = queries::expires_at(&backend, &job).await?;
    let (corrects, versions) = versions::ids(&backend, &viewer, job_id).await?;
    let questions = file.questions.map(|questions| questions.0);
    let (format, decisions) = match file.reading {
        Some(reading) => (reading.0.format, reading.0.decisions),
        None => (file.format.0, Vec::new()),
    };
    Ok(Json(JobWithFormat {
        job,
        format,
        format_name: file.applied_format,
        decisions,
        questions: questions.unwrap_or_default(),
        same_file_as,
        expires_at,
        corrects,
        versions,
    }))
}

/// Get the report on a job: errors by kind, sums, throughput
#[utoipa::path(get, path = "/jobs/{job_id}/report", tag = "jobs",
    params(("job_id" = JobId, Path)),
    responses((status = 200, body = JobReport), (status = 404, body = Problem)))]
pub async fn report(
    State(backend): State<Backend>,
    By(viewer): By,
    ApiPath(job_id): ApiPath<JobId>,
) -> Result<Json<JobReport>, Problem> {
    Ok(Json(reports::get(&backend, &viewer, job_id).await?))
}

/// List the events of a job over all its attempts, oldest first
#[utoipa::path(get, path = "/jobs/{job_id}/events", tag = "jobs",
    params(("job_id" = JobId, Path)),
    responses((status = 200, body = [JobEvent]), (status = 404, body = Problem)))]
pub async fn events(
    State(backend): State<Backend>,
    By(viewer): By,
    ApiPath(job_id): ApiPath<JobId>,
) -> Result<Json<Vec<JobEvent>>, Problem> {
    Ok(Json(queries::events(&backend, &viewer, job_id).await?))
}

/// Delete a job with its rows and its file
#[utoipa::path(delete, path = "/jobs/{job_id}", tag = "jobs",
    params(("job_id" = JobId, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn delete(
    State(backend): State<Backend>,
    By(viewer): By,
    ApiPath(job_id): ApiPath<JobId>,
) -> Result<StatusCode, Problem> {
    deletion::delete_job(&backend, &viewer, job_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
