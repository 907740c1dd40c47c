use domain::{Command, JobId, JobState, UserId};
use leptos::{
    prelude::*,
    server_fn::codec::{MultipartData, MultipartFormData},
};

use crate::AppError;
#[cfg(feature = "ssr")]
use {
    super::{caller, respond, say, shortened},
    crate::ErrorKind,
    backend::results::page::RowPage,
    backend::{Backend, FileFormat, Viewer, uploads::Accompanying, versions::Versions},
    chrono::{DateTime, Utc},
    domain::{
        FormatChange, FormatName, GivenFormat, InvalidField, Job, JobEvent, JobReport, JobStatus,
        PageRequest, User, format,
    },
};

/// What the page of a job shows, except its rows.
#[cfg(feature = "ssr")]
pub struct JobDetails {
    pub job: Job,
    pub user: User,
    pub report: JobReport,
    /// How the file is read, and what must be answered first.
    pub file: FileFormat,
    /// The latest earlier job of the same user with the same file.
    pub same_file_as: Option<JobId>,
    pub versions: Versions,
    /// What has happened to the job, oldest first.
    pub events: Vec<JobEvent>,
    /// When retention deletes the job.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Bytes of a format, and more than any has.
#[cfg(feature = "ssr")]
const MAX_FORMAT_BYTES: usize = 256 << 10;

/// Bytes of an id, and more than any has.
#[cfg(feature = "ssr")]
const MAX_ID_BYTES: usize = 20;

/// The most characters of a description that a page has; a download has them all.
#[cfg(feature = "ssr")]
const MAX_DESCRIPTION_CHARS: usize = 2000;

#[cfg(feature = "ssr")]
pub async fn job(
    backend: &Backend,
    viewer: &Viewer,
    job_id: JobId,
) -> Result<JobDetails, AppError> {
    let job = backend::queries::job(backend, viewer, job_id).await?;
    let user = backend::users::get(backend, viewer, job.state.user_id).await?;
    let report = backend::reports::get(backend, viewer, job_id).await?;
    let file = backend::queries::file_format(backend, viewer, job_id).await?;
    let same_file_as = backend::queries::same_file(backend, &job).await?;
    let versions = backend::versions::of(backend, viewer, job_id).await?;
    let events = backend::queries::events(backend, viewer, job_id).await?;
    let expires_at = backend::queries::expires_at(backend, &job).await?;
    Ok(JobDetails {
        expires_at,
        events,
        same_file_as,
        versions,
        job,
        user,
        report,
        file,
    })
}

#[cfg(feature = "ssr")]
pub async fn rows(
    backend: &Backend,
    viewer: &Viewer,
    job_id: JobId,
    request: &PageRequest,
) -> Result<RowPage, AppError> {
    let mut page = backend::results::page::get(backend, viewer, job_id, request).await?;
    for row in &mut page.rows {
        if let Some(description) = &mut row.description
            && let Some(short) = format::shortened(description, MAX_DESCRIPTION_CHARS)
        {
            *description = short;
        }
    }
    Ok(page)
}

/// Reads a text field of at most `$max` bytes.
#[cfg(feature = "ssr")]
macro_rules! small_text {
    ($field:expr, $max:expr) => {
        async {
            let mut text = Vec::new();
            while let Some(chunk) = $field.chunk().await.map_err(|_| broken_off())? {
                text.extend_from_slice(&chunk);
                if text.len() > $max {
                    return Err(incomplete());
                }
            }
            String::from_utf8(text).map_err(|_| incomplete())
        }
        .await
    };
}

/// Stores the field `file` for the user of the field `user_id`, which comes first; gives the id of the new job, and
/// leads to its page. The file goes to the storage piece by piece as it comes in.
#[server(prefix = "/rpc", endpoint = "upload-file", input = MultipartFormData)]
pub async fn upload_file(data: MultipartData) -> Result<JobId, AppError> {
    respond(async {
        let mut form = data.into_inner().ok_or_else(incomplete)?;
        let mut user_id: Option<UserId> = None;
        let mut with = Accompanying::default();
        while let Some(mut field) = form.next_field().await.map_err(|_| broken_off())? {
            match field.name() {
                Some("user_id") => {
                    user_id = small_text!(field, MAX_ID_BYTES)?.parse().ok();
                }
                Some("format") => {
                    let text = small_text!(field, MAX_FORMAT_BYTES)?;
                    with.given.format =
                        FormatChange::from_json(&text).map_err(InvalidField::from)?;
                }
                Some("format_name") => {
                    let text = small_text!(field, MAX_FORMAT_BYTES)?;
                    if !text.is_empty() {
                        let name = FormatName::parse_field("format_name", &text)?;
                        with.given.saved = Some(name);
                    }
                }
                Some("corrects") => {
                    let id = small_text!(field, MAX_ID_BYTES)?;
                    with.corrects = Some(id.parse().map_err(|_| incomplete())?);
                }
                Some("file") => {
                    let user_id = user_id.ok_or_else(incomplete)?;
                    let filename = field.file_name().unwrap_or_default().to_owned();
                    // What a browser sends when no file was chosen.
                    if filename.is_empty() {
                        return Err(InvalidField::new("file", "Choose a file.").into());
                    }
                    let (backend, viewer) = caller();
                    let admission =
                        backend::uploads::admit(&backend, &viewer, user_id, request_bytes())
                            .await?;
                    let in_all = std::future::ready(Some(with.given.clone()));
                    let job = backend::uploads::upload(
                        &backend, &viewer, admission, &filename, &with, field, in_all,
                    )
                    .await?;
                    // The button that was pressed is the last field. The file is stored with or without it.
                    while let Ok(Some(mut field)) = form.next_field().await {
                        let is_button = field.name() == Some("then");
                        if is_button
                            && small_text!(field, MAX_ID_BYTES).is_ok_and(|then| then == "start")
                        {
                            start(&backend, &viewer, job.id).await;
                        }
                    }
                    leptos_axum::redirect(&format!("/jobs/{}", job.id));
                    return Ok(job.id);
                }
                _ => {}
            }
        }
        Err(incomplete())
    })
    .await
    .map_err(|error: AppError| error.at("file"))
}

/// What the request says of its size.
#[cfg(feature = "ssr")]
fn request_bytes() -> Option<u64> {
    use axum::http::{header::CONTENT_LENGTH, request::Parts};

    let request = use_context::<Parts>()?;
    let length = request.headers.get(CONTENT_LENGTH)?.to_str().ok()?;
    length.parse().ok()
}

/// Starts a job that was just uploaded. If that fails, the job stays pending and can be started by hand: an error would be
/// taken for one of the upload.
#[cfg(feature = "ssr")]
async fn start(backend: &Backend, viewer: &Viewer, job_id: JobId) {
    let given = GivenFormat::default();
    let started = backend::control::command(backend, viewer, job_id, Command::Start, &given).await;
    if let Err(error) = started {
        tracing::warn!(%job_id, %error, "a job wasn't started after its upload");
        if let backend::Error::QuotaExceeded(sentence) = error {
            say(format!(
                "The file was uploaded, and not started: {sentence}"
            ));
        }
    }
}

#[cfg(feature = "ssr")]
fn incomplete() -> AppError {
    AppError::new(
        ErrorKind::Invalid,
        "Some fields didn't arrive. Reload the page and try again.",
    )
}

#[cfg(feature = "ssr")]
fn broken_off() -> AppError {
    AppError::new(ErrorKind::Invalid, "The upload was interrupted. Try again.")
}

/// Uploads the demonstration file for the user and starts it; leads to the page of the new job.
#[server(prefix = "/rpc", endpoint = "create-demo-job")]
pub async fn create_demo_job(user_id: UserId) -> Result<(), AppError> {
    respond(async {
        let (backend, viewer) = caller();
        let job = backend::demo::create_job(&backend, &viewer, user_id).await?;
        leptos_axum::redirect(&format!("/jobs/{}", job.id));
        Ok(())
    })
    .await
}

/// Starts, pauses, resumes, cancels or retries a job; asking twice does it once.
#[server(prefix = "/rpc", endpoint = "command-job")]
pub async fn command_job(job_id: JobId, command: Command) -> Result<JobState, AppError> {
    respond(async {
        let (backend, viewer) = caller();
        let given = GivenFormat::default();
        let commanded =
            backend::control::command(&backend, &viewer, job_id, command, &given).await?;
        Ok(commanded.job.state)
    })
    .await
    .map_err(|error: AppError| {
        let id = job_id.to_string();
        error.with_typed(&[("job_id", &id), ("command", command.as_str())])
    })
}

/// Retries a job with answers: what is given about its file. Leads to the job's page. Without JavaScript alone, so it is
/// a plain form whose fields `check::form` names.
#[cfg(feature = "ssr")]
pub async fn answer_questions(
    backend: &Backend,
    viewer: &Viewer,
    job_id: JobId,
    fields: &[(String, String)],
) -> Result<(), AppError> {
    let given = GivenFormat {
        format: check::form::answers(fields)
            .map_err(InvalidField::from)?
            .into(),
        saved: None,
    };
    let job = backend::queries::job(backend, viewer, job_id).await?;
    let command = match job.state.status {
        JobStatus::Pending => Command::Start,
        _ => Command::Retry,
    };
    backend::control::command(backend, viewer, job_id, command, &given).await?;
    Ok(())
}

/// Leads to the page of `user_id`, whose job it was.
#[server(prefix = "/rpc", endpoint = "delete-job")]
pub async fn delete_job(job_id: JobId, user_id: UserId) -> Result<(), AppError> {
    respond(async {
        let (backend, viewer) = caller();
        let job = backend::queries::job(&backend, &viewer, job_id).await?;
        backend::deletion::delete_job(&backend, &viewer, job_id).await?;
        say(format!("{} was deleted.", shortened(job.filename)));
        leptos_axum::redirect(&format!("/users/{user_id}"));
        Ok(())
    })
    .await
}
