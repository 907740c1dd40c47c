//! Properties of forms with any bytes in any pieces, for property tests and fuzzing: the watched form and multer, which
//! reads it afterwards, agree, and neither exceeds the limits.

use futures::{executor::block_on, stream};

use super::form::{Form, FormExcess, FormLimits, Place};

/// Small enough for tests to reach them.
const LIMITS: FormLimits = FormLimits {
    parts: 3,
    part_header_bytes: 100,
    field_bytes: 50,
};

/// A part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    pub filename: Option<String>,
    pub content: Vec<u8>,
}

/// Cuts a form into pieces of these sizes, which repeat.
fn pieces<'a>(mut form: &'a [u8], cuts: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = cuts.iter().cycle();
    std::iter::from_fn(move || {
        let size = usize::from(sizes.next().copied().unwrap_or(u8::MAX)).max(1);
        let piece = form.split_off(..size.min(form.len()))?;
        (!piece.is_empty()).then_some(piece)
    })
}

/// What multer has read of a form before its end, before a limit, or before an error of its own.
struct Outcome {
    parts: Vec<Part>,
    has_ended: bool,
    excess: Option<FormExcess>,
    /// The number of parts that the watched form has seen.
    watched: usize,
}

/// Reads a form with multer as far as the limits allow.
fn read(boundary: &str, form: &[u8], cuts: &[u8]) -> Outcome {
    let mut watched = Form::new(boundary, LIMITS);
    let mut excess = None;
    let mut let_through = Vec::new();
    for piece in pieces(form, cuts) {
        if let Err(found) = watched.check(piece) {
            excess = Some(found);
            break;
        }
        assert!(held(&watched) <= 2 * LIMITS.part_header_bytes + boundary.len() + 8);
        let_through.push(Ok(piece.to_vec()));
    }
    if excess.is_some() {
        let_through.push(Err(std::io::Error::other("beyond the limits")));
    }
    let mut form = multer::Multipart::new(stream::iter(let_through), boundary);
    let mut parts = Vec::new();
    let has_ended = block_on(async {
        loop {
            let field = match form.next_field().await {
                Ok(Some(field)) => field,
                Ok(None) => return true,
                Err(_) => return false,
            };
            let name = field.name().unwrap_or_default().to_owned();
            let filename = field.file_name().map(str::to_owned);
            match field.bytes().await {
                Ok(content) => parts.push(Part {
                    name,
                    filename,
                    content: content.to_vec(),
                }),
                Err(_) => return false,
            }
        }
    });
    Outcome {
        parts,
        has_ended,
        excess,
        watched: watched.parts,
    }
}

fn held(form: &Form) -> usize {
    match &form.place {
        Place::Preamble(search) => search.tail.len(),
        Place::Header { head, end, .. } => head.len() + end.tail.len(),
        Place::Content { end, .. } => end.tail.len(),
        Place::Epilogue => 0,
    }
}

/// Panics unless a form of these bytes is read the same in these pieces and as a whole, within the limits.
pub fn agree(boundary: &str, form: &[u8], cuts: &[u8]) {
    let read_whole = Form::new(boundary, LIMITS).check(form).err();
    let outcome = read(boundary, form, cuts);
    assert_eq!(outcome.excess, read_whole, "in pieces and in one");
    assert!(
        outcome.parts.len() <= outcome.watched,
        "multer reads {} parts of {} that were counted",
        outcome.parts.len(),
        outcome.watched
    );
    // A header that contains this word anywhere counts as that of a file, which has no limit of its own.
    let may_have_file = form.to_ascii_lowercase();
    if !may_have_file.windows(8).any(|bytes| bytes == b"filename") {
        for part in &outcome.parts {
            assert!(part.content.len() as u64 <= LIMITS.field_bytes, "{part:?}");
        }
    }
}

/// Panics unless these parts, written as a form and cut into these pieces, are read unchanged, or refused because they
/// exceed a limit.
pub fn round_trip(parts: Vec<Part>, cuts: &[u8]) {
    let is_in = |boundary: &str, part: &Part| {
        let mut windows = part.content.windows(boundary.len());
        windows.any(|bytes| bytes == boundary.as_bytes())
    };
    let mut boundary = "xyz".to_owned();
    while parts.iter().any(|part| is_in(&boundary, part)) {
        boundary.push('z');
    }
    let mut form = Vec::new();
    for part in &parts {
        let filename = part.filename.as_ref();
        let filename = filename.map_or(String::new(), |name| format!("; filename=\"{name}\""));
        let header = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"{filename}\r\n\r\n",
            part.name
        );
        form.extend_from_slice(header.as_bytes());
        form.extend_from_slice(&part.content);
        form.extend_from_slice(b"\r\n");
    }
    form.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let outcome = read(&boundary, &form, cuts);
    let is_small =
        |part: &Part| part.filename.is_some() || part.content.len() as u64 <= LIMITS.field_bytes;
    if parts.len() <= LIMITS.parts && parts.iter().all(is_small) {
        assert_eq!(outcome.excess, None);
        assert!(outcome.has_ended);
        assert_eq!(outcome.parts, parts);
    } else {
        assert!(outcome.excess.is_some() || outcome.parts == parts);
    }
}
