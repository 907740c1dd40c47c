//! The format under which a file is read: the format as given, completed from one of the user's saved formats. Keys about
//! the file as a whole are left out where they can't hold.

use bytes::Bytes;
use domain::UserId;
use sqlx::PgPool;
use tokio::task::spawn_blocking;
use validator::{
    CompletedFormat, Container, EncodingProof, Format, HEADER_BYTES, is_download,
    possible_saved_headers,
};

use super::StepError;
use crate::{
    jobs::query::Work,
    saved_formats::{self, Applied},
};

/// The number of bytes at the start of a file's text in which its header is searched.
pub(super) const HEAD_BYTES: u64 = HEADER_BYTES as u64;

/// The given format of a file, completed by a saved format.
pub(super) struct AppliedFormat {
    pub format: CompletedFormat,
    /// The name of the saved format, if one applies.
    pub name: Option<String>,
}

/// The text of a file.
pub(super) trait Text {
    /// `Xlsx` or `Ods` if the text was converted from a workbook.
    fn container(&self) -> Option<Container>;

    /// The worksheet that was converted.
    fn sheet(&self) -> Option<&str>;

    /// Returns the first [`HEAD_BYTES`].
    async fn head(&self) -> Result<Bytes, StepError>;

    /// Feeds the text to the proof until it is decided.
    async fn prove(&self, proof: EncodingProof) -> Result<EncodingProof, StepError>;
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

/// Applies the chosen format or, without a choice, the saved format for one of the headers that the file may have.
pub(super) async fn apply(
    pool: &PgPool,
    work: &Work,
    chosen: Option<Applied>,
    text: &impl Text,
) -> Result<AppliedFormat, StepError> {
    let mut given = Format {
        container: text.container(),
        sheet: text.sheet().map(str::to_owned),
        ..work.format.0.clone()
    };
    let is_workbook = matches!(text.container(), Some(Container::Xlsx | Container::Ods));
    if is_workbook {
        (given.encoding, given.delimiter) = (None, None);
    }
    let before = work.corrected_format.as_ref().map(|before| &before.0);
    if before.is_none() && chosen.is_none() && work.saved_encodings.is_empty() {
        return Ok(AppliedFormat {
            format: given.into(),
            name: None,
        });
    }
    let head = text.head().await?;
    let (head, is_download) = spawn_blocking(move || {
        let is_download = is_download(&head);
        (head, is_download)
    })
    .await?;
    // An encoding that was right for another file. This file may prove another one.
    let mut encoding = None;
    let mut is_inherited = false;
    if let Some(before) = before {
        if is_download {
            forget_inherited(&mut given, before);
        }
        if given.encoding == before.encoding {
            encoding = given.encoding.take();
            is_inherited = encoding.is_some();
        }
    }
    let found = match chosen {
        Some(chosen) => Some(chosen),
        None if work.saved_encodings.is_empty() => None,
        None => by_header(pool, work, head, &given).await?,
    };
    let (mut saved, name) =
        found.map_or_else(Default::default, |found| (found.format, Some(found.name)));
    encoding = encoding.or(saved.encoding).filter(|_| !is_workbook);
    if is_download {
        saved = saved.for_download();
    }
    if is_workbook {
        saved.delimiter = None;
    }
    if let Some(presumed) = encoding.filter(|_| given.encoding.is_none()) {
        let proof = text.prove(EncodingProof::against(presumed)).await?;
        encoding = encoding.filter(|_| !proof.finish());
    }
    saved.encoding = encoding;
    if is_inherited {
        given.encoding = encoding;
    }
    Ok(AppliedFormat {
        format: CompletedFormat::new(given, &saved),
        name,
    })
}

/// Removes what was given for a download only because it corrects a file that was given `before`. The keys that
/// [`Format::for_download`] drops don't hold for it; container and sheet are already its own.
fn forget_inherited(given: &mut Format, before: &Format) {
    fn forget<T: PartialEq>(given: &mut Option<T>, before: &Option<T>) {
        if given == before {
            *given = None;
        }
    }
    forget(&mut given.delimiter, &before.delimiter);
    forget(&mut given.header, &before.header);
    forget(&mut given.skip_records, &before.skip_records);
}

async fn by_header(
    pool: &PgPool,
    work: &Work,
    head: Bytes,
    given: &Format,
) -> Result<Option<Applied>, StepError> {
    let (given, encodings) = (given.clone(), work.saved_encodings.clone());
    let headers = spawn_blocking(move || possible_saved_headers(&head, &given, &encodings));
    let headers = headers.await?;
    let user_id = UserId::from(work.user_id);
    Ok(saved_formats::find_by_header(pool, user_id, &headers).await?)
}
