//! From the beginning of a file's text to its [`Layout`].

use super::{
    FileError, Layout,
    decode::Encoding,
    error::MAX_COLUMNS,
    layout::Column,
    record::Record,
    scan::{MAX_RECORD_BYTES, Scanner, Step},
};
use crate::trim::trim;

/// Text that is enough to decide on the header, whatever follows it: with one more byte a header of
/// the greatest length has ended.
pub(super) const ENOUGH_TEXT: usize = MAX_HEADER_END + 1;

/// The header ends within so many bytes of text.
const MAX_HEADER_END: usize = MAX_RECORD_BYTES;

/// In the order in which they win a tie.
const DELIMITERS: [u8; 4] = *b",;\t|";

/// Finds the header in the beginning of the text: all of the text, or at least [`ENOUGH_TEXT`] bytes
/// of it. Gives also where in the text the records after the header start.
pub(super) fn find(encoding: Encoding, head: &[u8]) -> Result<(Layout, usize), FileError> {
    if head.is_empty() {
        return Err(FileError::Empty);
    }
    let mut best: Option<Candidate> = None;
    for delimiter in DELIMITERS {
        let candidate = Candidate::read(delimiter, head);
        if best
            .as_ref()
            .is_none_or(|best| candidate.known() > best.known())
        {
            best = Some(candidate);
        }
    }
    let Some(Candidate {
        delimiter,
        header: Some(header),
    }) = best
    else {
        // A header in so short a text would end in time.
        let is_blank = head.len() <= MAX_HEADER_END;
        return Err(FileError::NoHeader { is_blank });
    };

    if header.contains_nul {
        return Err(FileError::NulInHeader {
            names: header.names,
        });
    }
    let columns = header.names.len();
    if columns > MAX_COLUMNS {
        return Err(FileError::TooManyColumns { columns });
    }
    let missing: Vec<Column> = Column::REQUIRED
        .into_iter()
        .filter(|&column| header.columns.of(column).is_empty())
        .collect();
    if !missing.is_empty() {
        return Err(FileError::MissingColumns {
            missing,
            names: header.names,
        });
    }
    for column in Column::ALL {
        let places = header.columns.of(column);
        if places.len() > 1 {
            return Err(FileError::RepeatedColumn {
                column,
                names: places.iter().map(|&at| header.names[at].clone()).collect(),
            });
        }
    }
    let place = |column| header.columns.of(column).first().copied();
    let (Some(transaction_id), Some(amount), Some(date)) = (
        place(Column::TransactionId),
        place(Column::Amount),
        place(Column::Date),
    ) else {
        unreachable!("a required column that is missing is reported above");
    };
    let description = place(Column::Description);
    let layout = Layout {
        encoding,
        delimiter,
        names: header.names,
        transaction_id,
        amount,
        date,
        description,
    };
    Ok((layout, header.end))
}

/// What the beginning of a file is, read with one of the delimiters.
struct Candidate {
    delimiter: u8,
    /// `None` if every record is skipped, or if the first one that isn't does not end in time.
    header: Option<Header>,
}

struct Header {
    names: Vec<String>,
    contains_nul: bool,
    columns: Columns,
    /// Where its line end ends in the text.
    end: usize,
}

impl Candidate {
    fn read(delimiter: u8, head: &[u8]) -> Self {
        Self {
            delimiter,
            header: Header::read(delimiter, head),
        }
    }

    /// How many of the known columns there are.
    fn known(&self) -> usize {
        let Some(header) = &self.header else {
            return 0;
        };
        Column::ALL
            .into_iter()
            .filter(|&column| !header.columns.of(column).is_empty())
            .count()
    }
}

impl Header {
    fn read(delimiter: u8, head: &[u8]) -> Option<Self> {
        let mut scanner = Scanner::new(delimiter);
        let mut start = 0;
        loop {
            let (length, next) = match scanner.scan(&head[start..]) {
                Step::End(length) => (length - 1, start + length),
                Step::More if scanner.finish() => (head.len() - start, head.len()),
                Step::More | Step::TooLarge(_) => return None,
            };
            if start + length > MAX_HEADER_END {
                return None;
            }
            if scanner.has_character() {
                let record = Record::first(&head[start..start + length], scanner.starts());
                return Some(Self::of(&record, next));
            }
            start = next;
            scanner.next_record();
        }
    }

    fn of(record: &Record<'_>, end: usize) -> Self {
        let names: Vec<String> = (0..record.field_count())
            .map_while(|field| record.value_bytes(field))
            .map(|name| String::from_utf8_lossy(&name).into_owned())
            .collect();
        Self {
            contains_nul: record.contains_nul(),
            columns: Columns::find(&names),
            names,
            end,
        }
    }
}

/// At which places of the header each known column stands.
#[derive(Default)]
struct Columns {
    transaction_id: Vec<usize>,
    amount: Vec<usize>,
    date: Vec<usize>,
    description: Vec<usize>,
}

impl Columns {
    fn find(names: &[String]) -> Self {
        let mut columns = Self::default();
        let mut timestamp = Vec::new();
        for (at, name) in names.iter().enumerate() {
            // A byte that is not UTF-8 has become U+FFFD, which is in none of these.
            let name = trim(name);
            if is_called(name, "transaction_id") {
                columns.transaction_id.push(at);
            } else if is_called(name, "amount") {
                columns.amount.push(at);
            } else if is_called(name, "date") {
                columns.date.push(at);
            } else if is_called(name, "timestamp") {
                timestamp.push(at);
            } else if is_called(name, "description") {
                columns.description.push(at);
            }
        }
        if columns.date.is_empty() {
            columns.date = timestamp;
        }
        columns
    }

    fn of(&self, column: Column) -> &[usize] {
        match column {
            Column::TransactionId => &self.transaction_id,
            Column::Amount => &self.amount,
            Column::Date => &self.date,
            Column::Description => &self.description,
        }
    }
}

/// Whether a trimmed name is `known` when it is lower-cased and its spaces and hyphens are
/// underscores. No letter outside of ASCII becomes one of the known names' letters in lower case, so
/// ASCII rules do.
fn is_called(name: &str, known: &str) -> bool {
    name.len() == known.len()
        && name.bytes().zip(known.bytes()).all(|(byte, known)| {
            let byte = match byte {
                b' ' | b'-' => b'_',
                _ => byte.to_ascii_lowercase(),
            };
            byte == known
        })
}
