//! Why a whole file can't be processed.

use std::fmt;

use super::{layout::Column, scan::MAX_RECORD_BYTES};
use crate::shown::shown_to;

/// Why a whole file can't be processed. Its `Display` is a sentence for a bookkeeper that names what
/// was found and what was expected, without control characters and at most a few hundred characters
/// long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileError {
    /// No bytes, or a mark alone.
    Empty,
    /// Every record is skipped, or the first that isn't ends too late.
    NoHeader {
        /// Every record of the file is known to be skipped.
        is_blank: bool,
    },
    NulInHeader {
        names: Vec<String>,
    },
    /// More than [`MAX_COLUMNS`].
    TooManyColumns {
        columns: usize,
    },
    /// Required columns that are not among the header's names.
    MissingColumns {
        missing: Vec<Column>,
        names: Vec<String>,
    },
    /// A known column stands there more than once, under these names.
    RepeatedColumn {
        column: Column,
        names: Vec<String>,
    },
}

/// Columns that a file may have.
pub(super) const MAX_COLUMNS: usize = 1_000;

const EXPECTED: &str = "a first line that names the columns transaction_id, amount and date \
                        (or timestamp)";

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "The file is empty; {EXPECTED} was expected."),
            Self::NoHeader { is_blank: true } => write!(
                f,
                "The file contains only empty lines; {EXPECTED} was expected."
            ),
            Self::NoHeader { is_blank: false } => write!(
                f,
                "The file has no header: in its first {} bytes no line with text comes to an end \
                 (perhaps a quotation mark is not closed); {EXPECTED} was expected.",
                grouped(MAX_RECORD_BYTES)
            ),
            Self::NulInHeader { names } => write!(
                f,
                "The first line contains a NUL character, so this does not look like a text \
                 file: it starts with {}; {EXPECTED} was expected.",
                list(names)
            ),
            Self::TooManyColumns { columns } => write!(
                f,
                "The header has {} columns, and at most {} are read; {EXPECTED} was expected.",
                grouped(*columns),
                grouped(MAX_COLUMNS)
            ),
            Self::MissingColumns { missing, names } => {
                let missing: Vec<&str> = missing.iter().map(|column| column.as_str()).collect();
                match *missing {
                    [one] => write!(f, "The column {one} is missing")?,
                    _ => write!(f, "The columns {} are missing", and(&missing))?,
                }
                write!(
                    f,
                    ": the first line has {}; {EXPECTED} was expected.",
                    list(names)
                )
            }
            Self::RepeatedColumn { column, names } => write!(
                f,
                "The column {column} stands in the first line {} times, as {}; it was expected \
                 once.",
                names.len(),
                list(names)
            ),
        }
    }
}

impl std::error::Error for FileError {}

/// The first few names, cut, and how many more there are.
fn list(names: &[String]) -> String {
    const NAMES: usize = 8;
    const CHARS: usize = 30;
    let shown = names.iter().take(NAMES);
    let mut list: Vec<String> = shown.map(|name| shown_to(name, CHARS)).collect();
    if names.len() > NAMES {
        list.push(format!("{} more", names.len() - NAMES));
    }
    and(&list)
}

fn and<S: AsRef<str>>(items: &[S]) -> String {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    match *items {
        [ref some @ .., last] if !some.is_empty() => format!("{} and {last}", some.join(", ")),
        _ => items.concat(),
    }
}

/// With a comma between thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
