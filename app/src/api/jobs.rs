use domain::{Command, Job, JobReport, RowFilter, Transaction, User};
use leptos::{
    prelude::*,
    server_fn::codec::{MultipartData, MultipartFormData},
};
use serde::{Deserialize, Serialize};

use crate::AppError;
#[cfg(feature = "ssr")]
use {
    super::respond,
    crate::{ErrorKind, format},
    backend::Backend,
    domain::{InvalidField, PageRequest},
};

/// What the page of a job shows, except its rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobDetails {
    pub job: Job,
    pub user: User,
    pub report: JobReport,
}

/// One page of rows, and how many rows the filter and the search let through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowPage {
    /// Which page it is, from 1.
    pub page: u64,
    pub rows: Vec<Transaction>,
    pub total: u64,
}

/// The most characters of a description that a page has; a download has them all.
#[cfg(feature = "ssr")]
const MAX_DESCRIPTION_CHARS: usize = 2000;

#[server(prefix = "/rpc", endpoint = "get-job")]
pub async fn get_job(job_id: i64) -> Result<JobDetails, AppError> {
    respond(async {
        let backend = expect_context::<Backend>();
        let job = backend::jobs::get(&backend, job_id).await?;
        let user = backend::users::get(&backend, job.user_id).await?;
        let report = backend::reports::get(&backend, job_id).await?;
        Ok(JobDetails { job, user, report })
    })
    .await
}

/// The page of this number, or, with `row`, the page of all rows that holds that row.
#[server(prefix = "/rpc", endpoint = "get-rows")]
pub async fn get_rows(
    job_id: i64,
    page: u64,
    size: u32,
    filter: RowFilter,
    q: String,
    row: Option<u64>,
) -> Result<RowPage, AppError> {
    respond(async {
        let request = match row {
            Some(row) => PageRequest::around(row, size)?,
            None => PageRequest::parse(page, size, filter, Some(&q))?,
        };
        let page =
            backend::transactions::page(&expect_context::<Backend>(), job_id, &request).await?;
        let mut rows = page.rows;
        for row in &mut rows {
            if let Some(description) = &mut row.description
                && let Some(short) = format::shortened(description, MAX_DESCRIPTION_CHARS)
            {
                *description = short;
            }
        }
        Ok(RowPage {
            page: page.page,
            rows,
            total: page.total,
        })
    })
    .await
}

/// Stores the field `file` for the user of the field `user_id`, which comes first, and leads to the
/// page of the new job. The file goes to the storage piece by piece as it comes in.
#[server(prefix = "/rpc", endpoint = "upload-file", input = MultipartFormData)]
pub async fn upload_file(data: MultipartData) -> Result<Job, AppError> {
    respond(async {
        let mut form = data.into_inner().ok_or_else(incomplete)?;
        let mut user_id: Option<i64> = None;
        while let Some(mut field) = form.next_field().await.map_err(|_| broken_off())? {
            match field.name() {
                Some("user_id") => {
                    let mut digits = Vec::new();
                    while let Some(chunk) = field.chunk().await.map_err(|_| broken_off())? {
                        digits.extend_from_slice(&chunk);
                        // No id is longer, whatever somebody sends.
                        if digits.len() > 20 {
                            return Err(incomplete());
                        }
                    }
                    user_id = std::str::from_utf8(&digits)
                        .ok()
                        .and_then(|digits| digits.parse().ok());
                }
                Some("file") => {
                    let user_id = user_id.ok_or_else(incomplete)?;
                    let filename = field.file_name().unwrap_or_default().to_owned();
                    // What a browser sends when no file was chosen.
                    if filename.is_empty() {
                        return Err(InvalidField::new("file", "Choose a CSV file.").into());
                    }
                    let backend = expect_context::<Backend>();
                    let job = backend::jobs::upload(&backend, user_id, &filename, field).await?;
                    leptos_axum::redirect(&format!("/jobs/{}", job.id));
                    return Ok(job);
                }
                _ => {}
            }
        }
        Err(incomplete())
    })
    .await
    .map_err(|error: AppError| error.at("file"))
}

#[cfg(feature = "ssr")]
fn incomplete() -> AppError {
    AppError::new(
        ErrorKind::Invalid,
        "The form came incomplete. Reload the page and try again.",
    )
}

#[cfg(feature = "ssr")]
fn broken_off() -> AppError {
    AppError::new(
        ErrorKind::Invalid,
        "The upload broke off before the file was complete. Try again.",
    )
}

/// Uploads the demonstration file for the user and starts it; leads to the page of the new job.
#[server(prefix = "/rpc", endpoint = "create-demo-job")]
pub async fn create_demo_job(user_id: i64) -> Result<(), AppError> {
    respond(async {
        let job = backend::demo::create_job(&expect_context::<Backend>(), user_id).await?;
        leptos_axum::redirect(&format!("/jobs/{}", job.id));
        Ok(())
    })
    .await
}

/// Starts, pauses, resumes, cancels or retries a job; asking twice does it once.
#[server(prefix = "/rpc", endpoint = "command-job")]
pub async fn command_job(job_id: i64, command: Command) -> Result<Job, AppError> {
    respond(async {
        let backend = expect_context::<Backend>();
        Ok(backend::control::command(&backend, job_id, command).await?)
    })
    .await
    .map_err(|error: AppError| {
        let id = job_id.to_string();
        error.with_typed(&[("job_id", &id), ("command", command.as_str())])
    })
}

/// Leads to the page of `user_id`, whose job it was.
#[server(prefix = "/rpc", endpoint = "delete-job")]
pub async fn delete_job(job_id: i64, user_id: i64) -> Result<(), AppError> {
    respond(async {
        backend::jobs::delete(&expect_context::<Backend>(), job_id).await?;
        leptos_axum::redirect(&format!("/users/{user_id}"));
        Ok(())
    })
    .await
}
