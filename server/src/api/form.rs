//! Multipart forms with a file and its format, in any order. Unknown and repeated fields are refused.

use axum::{
    body::Bytes,
    extract::{
        Multipart,
        multipart::{Field, MultipartError},
    },
    http::header::CONTENT_DISPOSITION,
};
use backend::uploads;
use domain::{FormatChange, FormatName, GivenFormat, InvalidField};
use futures::{SinkExt, channel::mpsc};
use tokio::sync::oneshot;

use crate::{input, problem::Problem};

/// The maximum size of a format's JSON, in bytes. No valid format comes near it.
pub const MAX_FORMAT_BYTES: usize = 256 << 10;

/// The known fields of a form. Each may occur once.
pub struct Fields {
    known: &'static [&'static str],
    seen: Vec<&'static str>,
}

impl Fields {
    pub fn new(known: &'static [&'static str]) -> Self {
        Self {
            known,
            seen: Vec::new(),
        }
    }

    /// Returns the name of the next field. Fails if it is unknown or repeated.
    pub fn name_of(&mut self, field: &Field<'_>) -> Result<&'static str, Problem> {
        let name = field.name().unwrap_or_default();
        let Some(&known) = self.known.iter().find(|known| **known == name) else {
            return Err(input::unknown(name, "field", self.known).into());
        };
        if self.seen.contains(&known) {
            let sentence = format!("{known} is given more than once.");
            return Err(InvalidField::new(known, &sentence).into());
        }
        self.seen.push(known);
        Ok(known)
    }
}

pub fn no_file() -> Problem {
    InvalidField::new("file", "The form has no field \"file\".").into()
}

/// Returns the name of the file in this field. A field without a filename isn't a file, and has the limit of other fields.
pub fn filename(field: &Field<'_>) -> Result<String, InvalidField> {
    let disposition = field.headers().get(CONTENT_DISPOSITION);
    let name = disposition.and_then(|it| uploads::filename_of(it.as_bytes()));
    name.ok_or_else(|| {
        let sentence = "The field \"file\" has no filename. Send it as a file, as curl does with -F file=@payments.csv.";
        InvalidField::new("file", sentence)
    })
}

/// The file of an upload: its name, the fields before it, and its content.
pub struct File {
    pub filename: String,
    /// The format given by the fields before the file.
    pub given: GivenFormat,
    pub content: mpsc::Receiver<Result<Bytes, MultipartError>>,
}

/// Reads the form of an upload to its end. Sends the file to `file` as soon as it begins. Returns the format given by
/// all fields, before and after the file.
pub async fn read_upload(
    mut form: Multipart,
    file: oneshot::Sender<File>,
) -> Result<GivenFormat, Problem> {
    let mut fields = Fields::new(&["format", "format_name", "file"]);
    let mut given = GivenFormat::default();
    let mut file = Some(file);
    while let Some(field) = form.next_field().await? {
        match fields.name_of(&field)? {
            "format" => {
                let text = small_text(field).await?;
                given.format = FormatChange::from_json(&text).map_err(InvalidField::from)?;
            }
            "format_name" => given.saved = saved_name(Some(&small_text(field).await?))?,
            _ => {
                let filename = filename(&field)?;
                let (mut pieces, content) = mpsc::channel(0);
                let began = file.take().map(|file| {
                    let file_of_form = File {
                        filename,
                        given: given.clone(),
                        content,
                    };
                    file.send(file_of_form).is_ok()
                });
                if began != Some(true) || forward(field, &mut pieces).await.is_err() {
                    // The receiver has failed and reports why.
                    return Ok(given);
                }
            }
        }
    }
    match file {
        Some(_) => Err(no_file()),
        None => Ok(given),
    }
}

/// Forwards the content of a field. Fails if the receiver is gone.
async fn forward(
    mut field: Field<'_>,
    pieces: &mut mpsc::Sender<Result<Bytes, MultipartError>>,
) -> Result<(), mpsc::SendError> {
    while let Some(piece) = field.chunk().await.transpose() {
        let is_last = piece.is_err();
        pieces.send(piece).await?;
        if is_last {
            break;
        }
    }
    Ok(())
}

pub async fn small_text(mut field: Field<'_>) -> Result<String, Problem> {
    let mut text = Vec::new();
    while let Some(piece) = field.chunk().await? {
        text.extend_from_slice(&piece);
        if text.len() > MAX_FORMAT_BYTES {
            let sentence = "The format has more than 256 KiB.";
            return Err(InvalidField::new("format", sentence).into());
        }
    }
    String::from_utf8(text)
        .map_err(|_| InvalidField::new("format", "The format isn't UTF-8.").into())
}

/// Parses the name of a saved format. Returns `None` for an empty text.
pub fn saved_name(name: Option<&str>) -> Result<Option<FormatName>, InvalidField> {
    name.filter(|name| !name.is_empty())
        .map(|name| FormatName::parse_field("format_name", name))
        .transpose()
}
