//! Bounds on the bodies of requests: bytes, time, and the parts of a multipart form. They hold whatever reads the body.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream, Bytes},
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue,
        header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use memchr::memmem;

use crate::{
    limits::Limits,
    problem::{Problem, ProblemKind},
};

/// What a body may be like.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    bytes: u64,
    idle: Duration,
    parts: usize,
    part_header_bytes: usize,
    field_bytes: u64,
}

impl BodyLimits {
    /// `bytes` is the size of the largest body.
    pub fn new(limits: &Limits, bytes: u64) -> Self {
        Self {
            bytes,
            idle: limits.body_timeout(),
            parts: limits.max_form_parts,
            part_header_bytes: limits.max_part_header_bytes,
            field_bytes: limits.max_field_bytes,
        }
    }
}

/// Why a body isn't read on.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Excess {
    Bytes(u64),
    Preamble(usize),
    PartHeader(usize),
    Parts(usize),
    Field(u64),
    Idle(Duration),
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(
                f,
                "The body of the request is larger than {bytes} bytes, the most that is accepted here."
            ),
            Self::Preamble(bytes) => write!(
                f,
                "The form has more than {bytes} bytes before its first boundary."
            ),
            Self::PartHeader(bytes) => {
                write!(
                    f,
                    "The form has a part whose header is larger than {bytes} bytes."
                )
            }
            Self::Parts(parts) => write!(f, "The form has more than {parts} parts."),
            Self::Field(bytes) => write!(f, "The form has a field of more than {bytes} bytes."),
            Self::Idle(time) => write!(
                f,
                "Nothing came for {} seconds before the request was complete.",
                time.as_secs()
            ),
        }
    }
}

impl std::error::Error for Excess {}

impl Excess {
    fn into_response(self) -> Response {
        let kind = match self {
            Self::Idle(_) => ProblemKind::BodyTimeout,
            _ => ProblemKind::TooLarge,
        };
        let mut response = Problem::new(kind, self.to_string()).into_response();
        // Nothing can follow a body that isn't read to its end.
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
        response
    }
}

/// Answers 413 or 408 in place of the handler whose request's body goes beyond the limits; with a `Content-Length`
/// beyond them, before anything is read.
pub async fn limit(State(limits): State<BodyLimits>, request: Request, next: Next) -> Response {
    if content_length(request.headers()).is_some_and(|length| length > limits.bytes) {
        return Excess::Bytes(limits.bytes).into_response();
    }
    let excess = Arc::new(OnceLock::new());
    let watched = Watched {
        limits,
        bytes: 0,
        form: boundary(request.headers()).map(|boundary| Form::new(&boundary, limits)),
        excess: excess.clone(),
    };
    let request = request.map(|body| watched.wrap(body));
    let response = next.run(request).await;
    match excess.get() {
        // The handler may have had what it needs.
        Some(excess) if !response.status().is_success() => excess.clone().into_response(),
        _ => response,
    }
}

/// Returns what the request says of the size of its body.
pub fn content_length(headers: &HeaderMap) -> Option<u64> {
    // hyper has refused what is no number; one of more than 64 bits is larger than anything.
    let length = headers.get(CONTENT_LENGTH)?.to_str().ok()?;
    Some(length.parse().unwrap_or(u64::MAX))
}

/// The boundary of a multipart form (RFC 2046, 5.1.1).
pub fn boundary(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let (media_type, parameters) = kind.split_once(';')?;
    if !media_type
        .trim()
        .eq_ignore_ascii_case("multipart/form-data")
    {
        return None;
    }
    parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (name.trim().eq_ignore_ascii_case("boundary") && (1..=70).contains(&value.len()))
            .then(|| value.to_owned())
    })
}

/// A body as far as it has been read.
struct Watched {
    limits: BodyLimits,
    bytes: u64,
    form: Option<Form>,
    excess: Arc<OnceLock<Excess>>,
}

impl Watched {
    fn wrap(self, body: Body) -> Body {
        let reading: Option<(Self, BodyDataStream)> = Some((self, body.into_data_stream()));
        Body::from_stream(stream::unfold(reading, |reading| async move {
            let (mut watched, mut body) = reading?;
            let checked = match tokio::time::timeout(watched.limits.idle, body.next()).await {
                Ok(None) => return None,
                Ok(Some(Err(error))) => return Some((Err(error), None)),
                Ok(Some(Ok(piece))) => watched.check(piece),
                Err(_) => Err(Excess::Idle(watched.limits.idle)),
            };
            match checked {
                Ok(piece) => Some((Ok(piece), Some((watched, body)))),
                Err(excess) => {
                    // An error says that one is there already.
                    let _ = watched.excess.set(excess.clone());
                    Some((Err(axum::Error::new(excess)), None))
                }
            }
        }))
    }

    fn check(&mut self, piece: Bytes) -> Result<Bytes, Excess> {
        self.bytes += piece.len() as u64;
        if self.bytes > self.limits.bytes {
            return Err(Excess::Bytes(self.limits.bytes));
        }
        if let Some(form) = &mut self.form {
            form.check(&piece)?;
        }
        Ok(piece)
    }
}

/// Follows a multipart form as multer reads it. multer itself holds whatever comes before a part's content.
struct Form {
    limits: BodyLimits,
    /// The line end and boundary that end a part's content.
    delimiter: Vec<u8>,
    place: Place,
    parts: usize,
}

enum Place {
    Preamble(Search),
    /// What follows a boundary, up to an empty line.
    Header {
        head: Vec<u8>,
        end: Search,
    },
    Content {
        is_file: bool,
        bytes: u64,
        end: Search,
    },
    /// After the last boundary.
    Epilogue,
}

impl Form {
    fn new(boundary: &str, limits: BodyLimits) -> Self {
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        Self {
            place: Place::Preamble(Search::default()),
            limits,
            delimiter,
            parts: 0,
        }
    }

    fn check(&mut self, mut piece: &[u8]) -> Result<(), Excess> {
        let limits = self.limits;
        while !piece.is_empty() {
            match &mut self.place {
                Place::Preamble(search) => {
                    // The first boundary needs no line before it.
                    let found = search.find(&self.delimiter[2..], piece);
                    if search.seen - found.map_or(0, |end| piece.len() - end)
                        > limits.part_header_bytes + self.delimiter.len()
                    {
                        return Err(Excess::Preamble(limits.part_header_bytes));
                    }
                    let Some(end) = found else { return Ok(()) };
                    piece = &piece[end..];
                    self.place = Place::header();
                }
                Place::Header { head, end } => {
                    let found = end.find(b"\r\n\r\n", piece);
                    let part = &piece[..found.unwrap_or(piece.len())];
                    // The last boundary is marked by two more hyphens.
                    head.extend_from_slice(&part[..part.len().min(limits.part_header_bytes)]);
                    if head.starts_with(b"--") {
                        self.place = Place::Epilogue;
                        return Ok(());
                    }
                    if head.len() >= limits.part_header_bytes {
                        return Err(Excess::PartHeader(limits.part_header_bytes));
                    }
                    let Some(end) = found else { return Ok(()) };
                    self.parts += 1;
                    if self.parts > limits.parts {
                        return Err(Excess::Parts(limits.parts));
                    }
                    let is_file = memmem::find(&head.to_ascii_lowercase(), b"filename").is_some();
                    piece = &piece[end..];
                    self.place = Place::Content {
                        is_file,
                        bytes: 0,
                        end: Search::default(),
                    };
                }
                Place::Content {
                    is_file,
                    bytes,
                    end,
                } => {
                    let found = end.find(&self.delimiter, piece);
                    *bytes += found.unwrap_or(piece.len()) as u64;
                    if !*is_file && *bytes > limits.field_bytes + self.delimiter.len() as u64 {
                        return Err(Excess::Field(limits.field_bytes));
                    }
                    let Some(end) = found else { return Ok(()) };
                    piece = &piece[end..];
                    self.place = Place::header();
                }
                Place::Epilogue => return Ok(()),
            }
        }
        Ok(())
    }
}

impl Place {
    fn header() -> Self {
        Self::Header {
            head: Vec::new(),
            end: Search::default(),
        }
    }
}

/// A search in bytes that come piece by piece.
#[derive(Default)]
struct Search {
    /// The last bytes before the piece, in which the needle may begin.
    tail: Vec<u8>,
    seen: usize,
}

impl Search {
    /// Returns where in the piece the needle, always the same, ends.
    fn find(&mut self, needle: &[u8], piece: &[u8]) -> Option<usize> {
        self.seen += piece.len();
        let kept = needle.len() - 1;
        let mut seam = std::mem::take(&mut self.tail);
        let before = seam.len();
        seam.extend_from_slice(&piece[..piece.len().min(kept)]);
        if let Some(start) = memmem::find(&seam, needle) {
            return Some(start + needle.len() - before);
        }
        if let Some(start) = memmem::find(piece, needle) {
            return Some(start + needle.len());
        }
        self.tail = match piece.len() > kept {
            true => piece[piece.len() - kept..].to_vec(),
            false => seam[seam.len().saturating_sub(kept)..].to_vec(),
        };
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BodyLimits = BodyLimits {
        bytes: 1 << 20,
        idle: Duration::from_secs(1),
        parts: 3,
        part_header_bytes: 100,
        field_bytes: 50,
    };

    /// What comes of a form, however it is cut.
    fn check(form: &[u8]) -> Result<(), Excess> {
        let cut = |size: usize| {
            let mut checked = Form::new("xyz", LIMITS);
            form.chunks(size).try_for_each(|piece| checked.check(piece))
        };
        let whole = cut(form.len());
        for size in 1..20 {
            assert_eq!(cut(size), whole, "in pieces of {size}");
        }
        whole
    }

    fn part(header: &str, content: &str) -> String {
        format!("--xyz\r\nContent-Disposition: form-data; {header}\r\n\r\n{content}\r\n")
    }

    #[test]
    fn forms() {
        let field = part("name=\"a\"", &"f".repeat(50));
        let file = part(
            "name=\"file\"; FileName=\"a.csv\"",
            &"\r\n--xy".repeat(1000),
        );
        assert_eq!(
            check(format!("{field}{file}--xyz--\r\n").as_bytes()),
            Ok(())
        );
        assert_eq!(
            check(format!("hello\r\n{file}--xyz--{}", "e".repeat(999)).as_bytes()),
            Ok(())
        );
        assert_eq!(
            check("p".repeat(200).as_bytes()),
            Err(Excess::Preamble(100))
        );
        assert_eq!(
            check(part(&"h".repeat(101), "").as_bytes()),
            Err(Excess::PartHeader(100))
        );
        assert_eq!(
            check(part("name=\"a\"", &"f".repeat(70)).as_bytes()),
            Err(Excess::Field(50))
        );
        assert_eq!(
            check(part("name=\"a\"", "").repeat(4).as_bytes()),
            Err(Excess::Parts(3))
        );
    }

    #[test]
    fn boundaries() {
        let of = |kind: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
            boundary(&headers)
        };
        assert_eq!(
            of("multipart/form-data; boundary=xyz").as_deref(),
            Some("xyz")
        );
        assert_eq!(
            of("Multipart/Form-Data;charset=x; Boundary=\"x y\"").as_deref(),
            Some("x y")
        );
        for kind in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "text/csv; boundary=x",
        ] {
            assert_eq!(of(kind), None, "{kind}");
        }
    }
}
