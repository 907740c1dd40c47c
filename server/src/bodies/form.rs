//! The parts of a multipart form as they arrive: their number, and how much of them must be held in memory. Pure.

use std::fmt;

use memchr::{memchr, memmem};

/// Limits on what a reader of a form holds in memory.
#[derive(Debug, Clone, Copy)]
pub struct FormLimits {
    pub parts: usize,
    /// Also limits the bytes before the first boundary.
    pub part_header_bytes: usize,
    /// The maximum content of a part that isn't a file.
    pub field_bytes: u64,
}

/// The limit that a form exceeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormExcess {
    Preamble(usize),
    PartHeader(usize),
    Parts(usize),
    Field(u64),
}

impl fmt::Display for FormExcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
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
        }
    }
}

/// Follows a multipart form in parallel with multer, which itself holds everything before a part's content in memory.
pub struct Form {
    limits: FormLimits,
    /// The line end and the boundary after a part's content.
    delimiter: Vec<u8>,
    pub(super) place: Place,
    pub(super) parts: usize,
}

pub(super) enum Place {
    Preamble(Search),
    /// Between a boundary and an empty line.
    Header {
        head: Vec<u8>,
        /// Whether the line of the boundary has ended. The header may be empty, but that line end isn't part of its end.
        has_begun: bool,
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
    pub fn new(boundary: &str, limits: FormLimits) -> Self {
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        Self {
            place: Place::Preamble(Search::default()),
            limits,
            delimiter,
            parts: 0,
        }
    }

    /// Follows the form through its next bytes. Must not be called again after an error.
    pub fn check(&mut self, mut piece: &[u8]) -> Result<(), FormExcess> {
        let limits = self.limits;
        while !piece.is_empty() {
            match &mut self.place {
                Place::Preamble(search) => {
                    // The first boundary needs no line end before it.
                    let found = search.find(&self.delimiter[2..], piece);
                    if search.seen - found.map_or(0, |end| piece.len() - end)
                        > limits.part_header_bytes + self.delimiter.len()
                    {
                        return Err(FormExcess::Preamble(limits.part_header_bytes));
                    }
                    let Some(end) = found else { return Ok(()) };
                    piece = &piece[end..];
                    self.place = Place::header();
                }
                Place::Header {
                    head,
                    has_begun,
                    end,
                } => {
                    let mut start = 0;
                    if !*has_begun {
                        let line_end = memchr(b'\n', piece);
                        *has_begun = line_end.is_some();
                        start = line_end.map_or(piece.len(), |at| at + 1);
                    }
                    let found = end.find(b"\r\n\r\n", &piece[start..]);
                    let found = found.map(|end| start + end);
                    let part = &piece[..found.unwrap_or(piece.len())];
                    // Two more hyphens mark the last boundary.
                    head.extend_from_slice(&part[..part.len().min(limits.part_header_bytes)]);
                    if head.starts_with(b"--") {
                        self.place = Place::Epilogue;
                        return Ok(());
                    }
                    if head.len() >= limits.part_header_bytes {
                        return Err(FormExcess::PartHeader(limits.part_header_bytes));
                    }
                    let Some(end) = found else { return Ok(()) };
                    self.parts += 1;
                    if self.parts > limits.parts {
                        return Err(FormExcess::Parts(limits.parts));
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
                        return Err(FormExcess::Field(limits.field_bytes));
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
            has_begun: false,
            end: Search::default(),
        }
    }
}

/// A search in bytes that arrive in pieces.
#[derive(Default)]
pub(super) struct Search {
    /// The last bytes before the current piece, in which a match may begin.
    pub(super) tail: Vec<u8>,
    seen: usize,
}

impl Search {
    /// Returns the position in the piece at which a match ends. The needle must always be the same.
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

    const LIMITS: FormLimits = FormLimits {
        parts: 3,
        part_header_bytes: 100,
        field_bytes: 50,
    };

    /// Returns the result for a form, which must not depend on how it is cut.
    fn check(form: &[u8]) -> Result<(), FormExcess> {
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
        // A part without a header begins with its second empty line, as multer reads it.
        let bare = "--xyz\r\n\r\na\r\n--xyz--";
        let long = "f".repeat(60);
        assert_eq!(
            check(format!("{bare}\r\n\r\n{long}").as_bytes()),
            Err(FormExcess::Field(50))
        );
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
            Err(FormExcess::Preamble(100))
        );
        assert_eq!(
            check(part(&"h".repeat(101), "").as_bytes()),
            Err(FormExcess::PartHeader(100))
        );
        assert_eq!(
            check(part("name=\"a\"", &"f".repeat(70)).as_bytes()),
            Err(FormExcess::Field(50))
        );
        assert_eq!(
            check(part("name=\"a\"", "").repeat(4).as_bytes()),
            Err(FormExcess::Parts(3))
        );
    }
}
