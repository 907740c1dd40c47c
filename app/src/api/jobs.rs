//! Loads jobs for pages, and the server functions that upload, command and delete them.

use domain::{Command, JobId, JobState, UserId};
use leptos::{
    prelude::*,
    server_fn::codec::{MultipartData, MultipartFormData},
};

use super::PlainForm;
use crate::AppError;
#[cfg(feature = "ssr")]
use {
    super::{caller, respond, say, shortened},
    crate::ErrorKind,
    axum::http::header::CONTENT_DISPOSITION,
    backend::results::page::RowPage,
    backend::{
        Backend, FileFormat, Viewer,
        uploads::{UploadKey, UploadOptions, UploadRest, Uploaded},
        versions::Versions,
    },
    chrono::{DateTime, Utc},
    domain::{
        FormatChange, FormatName, GivenFormat, InvalidField, Job, JobEvent, JobReport, JobStatus,
        PageRequest, User, format,
    },
};

/// Everything on the page of a job except its rows.
#[cfg(feature = "ssr")]
pub struct JobDetails {
    pub job: Job,
    pub user: User,
    pub report: JobReport,
    /// How the file is read, and the questions to answer first.
    pub file: FileFormat,
    /// The latest earlier job of the same user with the same file.
    pub same_file_as: Option<JobId>,
    pub versions: Versions,
    /// The history of the job, oldest event first.
    pub events: Vec<JobEvent>,
    /// When retention will delete the job.
    pub expires_at: Option<DateTime<Utc>>,
}

/// The maximum size of a format in bytes. No valid one is larger.
#[cfg(feature = "ssr")]
const MAX_FORMAT_BYTES: usize = 256 << 10;

/// The maximum size of an id in bytes. No valid one is larger.
#[cfg(feature = "ssr")]
const MAX_ID_BYTES: usize = 20;

/// The maximum number of characters of a description on a page. Downloads have all of them.
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

/// The fields of the form of an upload. Each may occur once.
#[cfg(feature = "ssr")]
const UPLOAD_FIELDS: [&str; 6] = [
    "user_id",
    "corrects",
    "format",
    "format_name",
    "file",
    "then",
];

/// Adds a field of an upload to those seen. Fails if it is unknown or repeated.
#[cfg(feature = "ssr")]
fn see(seen: &mut Vec<&'static str>, name: Option<&str>) -> Result<&'static str, InvalidField> {
    let name = name.unwrap_or_default();
    let known = UPLOAD_FIELDS.into_iter().find(|known| *known == name);
    let known = known.ok_or_else(|| InvalidField::unknown_in_form(name))?;
    if seen.contains(&known) {
        let sentence = format!("{known} is given more than once.");
        return Err(InvalidField::new(known, &sentence));
    }
    seen.push(known);
    Ok(known)
}

/// Stores the field `file` for the user in the field `user_id`, which must come first. Returns the id of the new job
/// and redirects to its page. The file is streamed to the storage as it arrives. Only `then` may follow it.
#[server(prefix = "/rpc", endpoint = "upload-file", input = MultipartFormData)]
pub async fn upload_file(data: MultipartData) -> Result<JobId, AppError> {
    respond(async {
        let mut form = data.into_inner().ok_or_else(incomplete)?;
        let mut user_id: Option<UserId> = None;
        let mut with = UploadOptions {
            key: request_header(UploadKey::HEADER)
                .map(|key| UploadKey::parse(key.as_bytes()))
                .transpose()?,
            ..UploadOptions::default()
        };
        let mut seen = Vec::new();
        let mut starts = false;
        while let Some(mut field) = form.next_field().await.map_err(|_| broken_off())? {
            match see(&mut seen, field.name())? {
                "user_id" => user_id = small_text!(field, MAX_ID_BYTES)?.parse().ok(),
                "corrects" => {
                    let id = small_text!(field, MAX_ID_BYTES)?;
                    with.corrects = Some(id.parse().map_err(|_| incomplete())?);
                }
                "format" => {
                    let text = small_text!(field, MAX_FORMAT_BYTES)?;
                    with.given.format =
                        FormatChange::from_json(&text).map_err(InvalidField::from)?;
                }
                "format_name" => {
                    let text = small_text!(field, MAX_FORMAT_BYTES)?;
                    if !text.is_empty() {
                        let name = FormatName::parse_field("format_name", &text)?;
                        with.given.saved = Some(name);
                    }
                }
                "then" => starts = small_text!(field, MAX_ID_BYTES)? == "start",
                _ => {
                    let user_id = user_id.ok_or_else(incomplete)?;
                    let disposition = field.headers().get(CONTENT_DISPOSITION);
                    let filename = disposition
                        .and_then(|it| backend::uploads::filename_of(it.as_bytes()))
                        .unwrap_or_default();
                    // Browsers send an empty name if no file was chosen.
                    if filename.is_empty() {
                        return Err(InvalidField::new("file", "Choose a file.").into());
                    }
                    let (backend, viewer) = caller();
                    let admission =
                        backend::uploads::admit(&backend, &viewer, user_id, request_bytes())
                            .await?;
                    let mut refused = None;
                    // Resolves after the file, so that nothing is stored for a form that is refused.
                    let in_all = async {
                        // The pressed button is the last field.
                        let rest = async {
                            while let Some(mut field) =
                                form.next_field().await.map_err(|_| broken_off())?
                            {
                                match see(&mut seen, field.name())? {
                                    "then" => starts = small_text!(field, MAX_ID_BYTES)? == "start",
                                    name => {
                                        let sentence = format!("{name} must precede the file.");
                                        return Err(InvalidField::new(name, &sentence).into());
                                    }
                                }
                            }
                            Ok::<_, AppError>(())
                        };
                        refused = rest.await.err();
                        let given = with.given.clone();
                        refused.is_none().then_some(UploadRest { given, starts })
                    };
                    let uploaded = backend::uploads::upload(
                        &backend, &viewer, admission, &filename, &with, field, in_all,
                    );
                    let uploaded = uploaded.await;
                    if let Some(error) = refused {
                        return Err(error);
                    }
                    let Uploaded { job, not_started } = uploaded?;
                    // An error would look like a failed upload.
                    if let Some(backend::Error::QuotaExceeded(sentence)) = not_started {
                        say(format!("The file was uploaded but not started: {sentence}"));
                    }
                    leptos_axum::redirect(&format!("/jobs/{}", job.id));
                    return Ok(job.id);
                }
            }
        }
        Err(incomplete())
    })
    .await
    .map_err(|error: AppError| error.at("file"))
}

/// Returns the size of the request as declared in its headers.
#[cfg(feature = "ssr")]
fn request_bytes() -> Option<u64> {
    use axum::http::header::CONTENT_LENGTH;

    let length = request_header(CONTENT_LENGTH.as_str())?;
    length.to_str().ok()?.parse().ok()
}

#[cfg(feature = "ssr")]
fn request_header(name: &str) -> Option<axum::http::HeaderValue> {
    use_context::<axum::http::request::Parts>()?
        .headers
        .get(name)
        .cloned()
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

/// Uploads the demonstration file for the user, starts its job, and redirects to the page of the job.
#[server(prefix = "/rpc", endpoint = "create-demo-job", input = PlainForm)]
pub async fn create_demo_job(user_id: UserId) -> Result<(), AppError> {
    respond(async {
        let (backend, viewer) = caller();
        let job = backend::demo::create_job(&backend, &viewer, user_id).await?;
        leptos_axum::redirect(&format!("/jobs/{}", job.id));
        Ok(())
    })
    .await
}

/// Starts, pauses, resumes, cancels or retries a job. Repeating a command has no effect.
#[server(prefix = "/rpc", endpoint = "command-job", input = PlainForm)]
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

/// Retries a job with answers to its questions, and redirects to the job's page. Used only without JavaScript, so it
/// handles a plain form whose fields are named by `check::form`.
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

/// Redirects to the page of `user_id`, the owner of the deleted job.
#[server(prefix = "/rpc", endpoint = "delete-job", input = PlainForm)]
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
