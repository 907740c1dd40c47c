//! The format under which a file is read: the format as given, completed from one of the user's saved formats.

use bytes::Bytes;
use domain::UserId;
use sqlx::PgPool;
use tokio::task::spawn_blocking;
use validator::{Format, HEADER_BYTES, possible_saved_headers};

use super::StepError;
use crate::{
    jobs::query::Work,
    saved_formats::{self, Applied},
};

/// The number of bytes at the start of a file's text in which its header is searched.
pub(super) const HEAD_BYTES: u64 = HEADER_BYTES as u64;

/// The given format of a file, completed by a saved format.
pub(super) struct AppliedFormat {
    pub format: Format,
    /// The name of the saved format, if one applies.
    pub name: Option<String>,
}

impl AppliedFormat {
    fn new(given: &Format, saved: Option<Applied>) -> Self {
        match saved {
            Some(saved) => Self {
                format: given.clone().or(&saved.format),
                name: Some(saved.name),
            },
            None => Self {
                format: given.clone(),
                name: None,
            },
        }
    }
}

/// Returns the saved format that the user chose by name. `None` without a choice, or if the format was deleted.
pub(super) async fn by_choice(pool: &PgPool, work: &Work) -> Result<Option<Applied>, StepError> {
    match work.saved_format_id {
        Some(id) => {
            let user_id = UserId::from(work.user_id);
            Ok(saved_formats::chosen(pool, user_id, id.into()).await?)
        }
        None => Ok(None),
    }
}

/// Applies the chosen format or, without a choice, the saved format for one of the headers that the file may have. If
/// the user has saved formats, calls `head`, which returns the first [`HEAD_BYTES`] of the file's text.
pub(super) async fn apply(
    pool: &PgPool,
    work: &Work,
    chosen: Option<Applied>,
    head: impl AsyncFnOnce() -> Result<Bytes, StepError>,
) -> Result<AppliedFormat, StepError> {
    let given = &work.format.0;
    if chosen.is_some() || work.saved_encodings.is_empty() {
        return Ok(AppliedFormat::new(given, chosen));
    }
    let head = head().await?;
    let (known, encodings) = (given.clone(), work.saved_encodings.clone());
    let headers = spawn_blocking(move || possible_saved_headers(&head, &known, &encodings));
    let headers = headers.await?;
    let user_id = UserId::from(work.user_id);
    let saved = saved_formats::find_by_header(pool, user_id, &headers).await?;
    Ok(AppliedFormat::new(given, saved))
}
