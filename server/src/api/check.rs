//! `/check`

use std::sync::Arc;

use axum::{
    Json,
    extract::{Multipart, State, multipart::MultipartRejection},
};
use backend::{
    dry_run::{self, DryRun},
    traces,
};
use domain::{Format, InvalidField};
use utoipa::ToSchema;

use super::form::{self, Fields, small_text};
use crate::{auth::By, busy::Turns, limits::Limits, problem::Problem};

/// The form for `POST /check`.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the form; its fields are read from the stream"
)]
pub struct CheckForm {
    /// The format as far as it is known.
    #[schema(required = false)]
    format: Format,
    /// The file, with a filename.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Check a file without storing it
///
/// Returns the result that a job would have for the file: how it is read and why, open questions, counts, and the first
/// rows with each kind of error.
#[utoipa::path(post, path = "/check", tag = "check",
    request_body(content = CheckForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, body = DryRun),
        (status = 400, description = "the form is malformed, or the upload was interrupted", body = Problem),
        (status = 413, description = "larger than MAX_CHECK_BYTES", body = Problem),
        (status = 422, description = "no form field `file`, or one without a filename, a wrong format, or a file that only a job unpacks",
            body = Problem)))]
pub async fn check(
    State(limits): State<Arc<Limits>>,
    State(turns): State<Turns>,
    By(viewer): By,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Json<DryRun>, Problem> {
    let limit = limits.max_check_bytes;
    let mut form = form?;
    let turn = turns.checks.take(&viewer).await?;
    let mut fields = Fields::new(&["format", "file"]);
    let (mut format, mut file) = (Format::default(), None);
    while let Some(mut field) = form.next_field().await? {
        if fields.name_of(&field)? == "format" {
            let text = small_text(field).await?;
            format = Format::from_json(&text).map_err(InvalidField::from)?;
            continue;
        }
        form::filename(&field)?;
        let mut content = Vec::new();
        while let Some(piece) = field.chunk().await? {
            if content.len() + piece.len() > limit {
                let limit = limit as u64;
                return Err(backend::Error::TooLarge { limit }.into());
            }
            content.extend_from_slice(&piece);
        }
        file = Some(content);
    }
    let content = file.ok_or_else(form::no_file)?;
    // The check continues if the client disconnects, and so does its turn.
    let check = async move {
        let checked = dry_run::run(content, format).await;
        drop(turn);
        checked
    };
    let checked = tokio::spawn(traces::in_current_spans(check)).await;
    let checked = checked.map_err(|failed| backend::Error::Internal(failed.into()))?;
    Ok(Json(checked?))
}
