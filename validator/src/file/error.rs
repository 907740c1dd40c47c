//! Reasons why a whole file can't be processed.

use std::fmt;

use super::scan::MAX_RECORD_BYTES;
use crate::{
    format::{ColumnRef, FoundColumns, Question, Questions},
    shown::{shown, shown_name},
};

/// The reason why a whole file can't be processed. Its `Display` is a sentence for a bookkeeper. It names what was
/// found and what to do, contains no control characters, and has at most a few thousand characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileError {
    /// The file has no bytes except perhaps a BOM.
    Empty,
    /// Every record is skipped, or the first record that isn't ends too late.
    NoHeader {
        /// Whether every record of the file is known to be skipped.
        is_blank: bool,
        /// The delimiter that a line `sep=X` names, which isn't a record.
        named: Option<u8>,
    },
    NulInHeader {
        names: Vec<String>,
    },
    /// There are more columns than [`MAX_COLUMNS`].
    TooManyColumns {
        columns: usize,
    },
    /// A quoted name in the header isn't closed, or has lines that look like rows.
    QuoteInHeader {
        is_unclosed: bool,
    },
    /// The file is neither text nor a readable archive or workbook.
    Container {
        code: String,
        message: String,
    },
    /// At least one question must be answered first.
    Questions(Questions),
}

/// The number of columns that a file may have.
pub(super) const MAX_COLUMNS: usize = 1_000;

const EXPECTED: &str = "Start it with a header line: transaction_id,amount,date.";

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "The file is empty. {EXPECTED}"),
            Self::NoHeader {
                is_blank: true,
                named: None,
            } => {
                write!(f, "The file contains only empty lines. {EXPECTED}")
            }
            Self::NoHeader {
                is_blank: true,
                named: Some(delimiter),
            } => write!(
                f,
                "The file contains nothing but {}, which names the delimiter. Add a header line: {}.",
                shown(&format!("sep={}", char::from(*delimiter))),
                ["transaction_id", "amount", "date"].join(&char::from(*delimiter).to_string())
            ),
            Self::NoHeader {
                is_blank: false, ..
            } => write!(
                f,
                "The file has no header: no line with text ends in its first {} bytes. A quotation mark may not be \
                 closed. {EXPECTED}",
                grouped(MAX_RECORD_BYTES)
            ),
            Self::NulInHeader { names } => write!(
                f,
                "This doesn't look like a text file: its first line contains a NUL character. It starts with {}. Save \
                 it as CSV and upload it again.",
                list(names)
            ),
            Self::TooManyColumns { columns } => write!(
                f,
                "The header has {} columns, and at most {} are read. Remove those that aren't needed.",
                grouped(*columns),
                grouped(MAX_COLUMNS)
            ),
            Self::QuoteInHeader { is_unclosed: true } => f.write_str(
                "A quotation mark in the header isn't closed, so the header never ends. Remove the quotation mark, or \
                 close it, and upload the file again.",
            ),
            Self::QuoteInHeader { is_unclosed: false } => f.write_str(
                "A quoted name in the header contains lines that look like rows. Probably a quotation mark isn't closed. \
                 Remove it, or close it, and upload the file again.",
            ),
            Self::Container { message, .. } => f.write_str(message),
            Self::Questions(questions) => {
                let messages: Vec<&str> = questions.iter().map(|it| it.message.as_str()).collect();
                f.write_str(&messages.join(" "))
            }
        }
    }
}

impl FileError {
    /// Returns a stable code, for programs.
    pub fn code(&self) -> &str {
        match self {
            Self::Empty => "file.empty",
            Self::NoHeader { .. } => "file.no_header",
            Self::NulInHeader { .. } => "file.nul_in_header",
            Self::TooManyColumns { .. } => "file.too_many_columns",
            Self::QuoteInHeader { .. } => "file.quote_in_header",
            Self::Container { code, .. } => code,
            Self::Questions(questions) => questions
                .first()
                .map_or("format", |question| &question.code),
        }
    }

    /// Returns the questions that must be answered before the file can be read.
    pub fn questions(&self) -> &[Question] {
        match self {
            Self::Questions(questions) => questions,
            _ => &[],
        }
    }

    /// Returns the sentence that asks for columns. `names` are those of the header.
    pub(super) fn columns(found: &FoundColumns, names: &[String]) -> String {
        let mut sentences = Vec::new();
        if let [first, ..] = &found.unknown[..] {
            let column = match first {
                ColumnRef::Name(name) => shown_name(name, MAX_NAME_CHARS),
                ColumnRef::Number(number) => format!("number {number}"),
            };
            sentences.push(format!("The file has no column {column}."));
        }
        if found.unknown.is_empty() && !found.missing.is_empty() {
            let missing: Vec<&str> = found.missing.iter().map(|it| it.as_str()).collect();
            let plural = if missing.len() == 1 { "" } else { "s" };
            sentences.push(format!("Missing column{plural}: {}.", missing.join(", ")));
        }
        for (column, places) in &found.repeated {
            let repeated: Vec<String> = places.iter().map(|at| names[*at].clone()).collect();
            let count = match repeated.len() {
                2 => "Two".to_owned(),
                count => count.to_string(),
            };
            sentences.push(format!(
                "{count} columns are named {column}: {}. Keep one.",
                list(&repeated)
            ));
        }
        sentences.push(format!(
            "The first line of your file has: {}. Choose which columns are the amount, the date and, if there is one, \
             the ID.",
            list(names)
        ));
        sentences.join(" ")
    }
}

impl std::error::Error for FileError {}

/// The number of characters shown of each name, and of all names together.
const MAX_NAME_CHARS: usize = 100;
const MAX_LIST_CHARS: usize = 2_000;

/// Lists the names, shortened, and how many more there are.
fn list(names: &[String]) -> String {
    let mut list: Vec<String> = Vec::new();
    let mut characters = 0;
    for name in names {
        let shown = shown_name(name, MAX_NAME_CHARS);
        characters += shown.chars().count();
        if characters > MAX_LIST_CHARS {
            list.push(format!("{} more", names.len() - list.len()));
            break;
        }
        list.push(shown);
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

/// Formats a number with a comma between thousands.
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
