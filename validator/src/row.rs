//! The rules for rows.

use std::str;

use chrono::NaiveDate;

use crate::{
    Amount, ErrorCode, Layout, RowError, Transaction,
    date::{DateError, parse_date},
    file::Record,
    number::{NumberError, parse_amount},
    shown::shown,
    trim::trim,
};

/// Characters (Unicode scalar values) of a transaction id.
const MAX_ID_CHARS: usize = 255;

/// A row of a file with its verdict. The texts are borrowed: what is to be kept must be copied, as
/// [`Self::to_transaction`] does. A valid row needs no allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'a> {
    /// Counts the data rows of the file from 1.
    pub row_number: u64,
    /// Trimmed, and shown as the rules say for a broken row.
    pub transaction_id: Option<&'a str>,
    pub amount: Option<Amount>,
    pub date: Option<NaiveDate>,
    pub description: Option<&'a str>,
    pub is_suspicious: bool,
    /// In the order of the rules; empty for a valid row.
    pub errors: Vec<RowError>,
    record: &'a Record<'a>,
}

impl Row<'_> {
    /// How many cells it has in the file; a row that is too large has none.
    pub fn cell_count(&self) -> usize {
        self.record.field_count()
    }

    /// A cell as it stands in the file, unquoted and otherwise as it is; bytes that are not UTF-8 and
    /// NULs are U+FFFD. What can't be borrowed is put into `scratch`.
    pub fn cell<'s>(&'s self, at: usize, scratch: &'s mut String) -> Option<&'s str> {
        self.record.value(at, scratch)
    }

    pub fn is_valid(&self) -> bool {
        self.errors.is_empty()
    }

    /// The messages of the errors joined by `; `; `None` for a valid row.
    pub fn error_message(&self) -> Option<String> {
        Transaction::join_messages(&self.errors)
    }

    pub fn to_transaction(&self) -> Transaction {
        Transaction {
            row_number: self.row_number,
            transaction_id: self.transaction_id.map(str::to_owned),
            amount: self.amount,
            date: self.date,
            description: self.description.map(str::to_owned),
            is_valid: self.is_valid(),
            is_suspicious: self.is_suspicious,
            errors: self.errors.clone(),
            error_message: self.error_message(),
        }
    }
}

/// Gives the verdict on records. It holds the memory for the values that can't be borrowed from the
/// record, to be used again for the next one.
#[derive(Default)]
pub(crate) struct Judge {
    texts: Texts,
    amount: String,
    date: String,
}

/// The two columns that are shown as they are.
#[derive(Default)]
struct Texts {
    transaction_id: String,
    description: String,
}

impl Texts {
    /// The trimmed id and the description, where the record has such cells.
    fn read<'a>(
        &'a mut self,
        layout: &Layout,
        record: &'a Record<'_>,
    ) -> (Option<&'a str>, Option<&'a str>) {
        let id = record.value(layout.transaction_id(), &mut self.transaction_id);
        let description = layout
            .description()
            .and_then(|at| record.value(at, &mut self.description));
        (id.map(trim), description)
    }
}

impl Judge {
    /// The trimmed id of a row, if it counts for duplicates: unless the row falls to a row error, or
    /// its own id is missing or too long.
    pub(crate) fn id_for_duplicates<'a>(
        &'a mut self,
        layout: &Layout,
        record: &'a Record<'_>,
    ) -> Option<&'a str> {
        if RowFault::find(layout, record).is_some() {
            return None;
        }
        let (id, _) = self.texts.read(layout, record);
        let id = id?;
        id_fault(id).is_none().then_some(id)
    }

    /// The id and the description that [`Self::judge`] shows in the row.
    pub(crate) fn texts<'a>(
        &'a mut self,
        layout: &Layout,
        record: &'a Record<'_>,
    ) -> (Option<&'a str>, Option<&'a str>) {
        let (id, description) = self.texts.read(layout, record);
        let is_checked = RowFault::find(layout, record).is_none();
        let id = id.and_then(|id| match id_fault(id) {
            Some(IdFault::Missing) if is_checked => None,
            Some(IdFault::TooLong { cut }) if is_checked => Some(&id[..cut]),
            _ => Some(id),
        });
        (id, description)
    }

    /// The verdict on a row. `is_duplicate` tells whether an earlier row has this id; it is only
    /// asked if the id counts for duplicates.
    pub(crate) fn judge<'a>(
        &'a mut self,
        layout: &Layout,
        record: &'a Record<'_>,
        row_number: u64,
        is_duplicate: impl FnOnce(&str) -> bool,
    ) -> Row<'a> {
        let fault = RowFault::find(layout, record);
        let (id, description) = self.texts.read(layout, record);
        let mut row = Row {
            row_number,
            transaction_id: id,
            amount: None,
            date: None,
            description,
            is_suspicious: false,
            errors: Vec::new(),
            record,
        };
        if let Some(fault) = fault {
            row.errors.push(fault.error(layout));
            return row;
        }

        // A row without a fault has all of its cells.
        let id = id.unwrap_or_default();
        match id_fault(id) {
            Some(IdFault::Missing) => {
                row.transaction_id = None;
                let message = "transaction_id is missing";
                row.errors
                    .push(RowError::new(ErrorCode::TransactionIdMissing, message));
            }
            Some(IdFault::TooLong { cut }) => {
                row.transaction_id = Some(&id[..cut]);
                let message = "transaction_id is longer than 255 characters";
                row.errors
                    .push(RowError::new(ErrorCode::TransactionIdTooLong, message));
            }
            None if is_duplicate(id) => {
                let message = format!("transaction_id stands in an earlier row too: {}", shown(id));
                row.errors
                    .push(RowError::new(ErrorCode::TransactionIdDuplicate, message));
            }
            None => {}
        }

        let amount = record.value(layout.amount(), &mut self.amount);
        match read_amount(trim(amount.unwrap_or_default())) {
            Ok(amount) => {
                row.amount = Some(amount);
                row.is_suspicious = amount.is_suspicious();
            }
            Err(error) => row.errors.push(error),
        }
        let date = record.value(layout.date(), &mut self.date);
        match read_date(trim(date.unwrap_or_default())) {
            Ok(date) => row.date = Some(date),
            Err(error) => row.errors.push(error),
        }
        row
    }
}

/// What is wrong with a row as a whole: then nothing else is checked.
enum RowFault {
    TooLarge,
    Encoding { cell: usize, is_text: bool },
    ColumnCount { cells: usize },
}

impl RowFault {
    fn find(layout: &Layout, record: &Record<'_>) -> Option<Self> {
        if record.is_too_large() {
            return Some(Self::TooLarge);
        }
        if !record.is_clean()
            && let Some(fault) = Self::find_in_cells(record)
        {
            return Some(fault);
        }
        let cells = record.field_count();
        (cells != layout.names().len()).then_some(Self::ColumnCount { cells })
    }

    #[cold]
    fn find_in_cells(record: &Record<'_>) -> Option<Self> {
        (0..record.field_count()).find_map(|cell| {
            let value = record.value_bytes(cell)?;
            let is_text = str::from_utf8(&value).is_ok();
            (!is_text || value.contains(&0)).then_some(Self::Encoding { cell, is_text })
        })
    }

    fn error(self, layout: &Layout) -> RowError {
        match self {
            Self::TooLarge => {
                RowError::new(ErrorCode::RowTooLarge, "row is longer than 1,048,576 bytes")
            }
            Self::Encoding { cell, is_text } => {
                let place = match layout.names().get(cell).map(|name| trim(name)) {
                    Some(name) if !name.is_empty() => format!("column {}", shown(name)),
                    _ => format!("cell {}", cell + 1),
                };
                let message = if is_text {
                    format!("row contains a NUL character in {place}")
                } else {
                    let encoding = layout.encoding().name();
                    format!("row is not valid {encoding} text in {place}")
                };
                RowError::new(ErrorCode::RowEncoding, message)
            }
            Self::ColumnCount { cells } => {
                let columns = layout.names().len();
                let plural = |count| if count == 1 { "" } else { "s" };
                RowError::new(
                    ErrorCode::RowColumnCount,
                    format!(
                        "row has {cells} cell{}, but the header has {columns} column{}",
                        plural(cells),
                        plural(columns)
                    ),
                )
            }
        }
    }
}

enum IdFault {
    Missing,
    /// The first 255 characters are so many bytes.
    TooLong {
        cut: usize,
    },
}

/// What is wrong with a trimmed id itself.
fn id_fault(id: &str) -> Option<IdFault> {
    if id.is_empty() {
        return Some(IdFault::Missing);
    }
    if id.len() <= MAX_ID_CHARS {
        return None;
    }
    let (cut, _) = id.char_indices().nth(MAX_ID_CHARS)?;
    Some(IdFault::TooLong { cut })
}

fn read_amount(value: &str) -> Result<Amount, RowError> {
    if value.is_empty() {
        return Err(RowError::new(ErrorCode::AmountMissing, "amount is missing"));
    }
    parse_amount(value.as_bytes()).map_err(|error| {
        let value = shown(value);
        match error {
            NumberError::NotANumber => RowError::new(
                ErrorCode::AmountNotANumber,
                format!("amount is not a number: {value}"),
            ),
            NumberError::OutOfRange => RowError::new(
                ErrorCode::AmountOutOfRange,
                format!(
                    "amount has more than 18 digits before the decimal point, more than 10 after \
                     it, or an exponent beyond 99: {value}"
                ),
            ),
        }
    })
}

fn read_date(value: &str) -> Result<NaiveDate, RowError> {
    if value.is_empty() {
        return Err(RowError::new(ErrorCode::DateMissing, "date is missing"));
    }
    parse_date(value.as_bytes()).map_err(|error| {
        let value = shown(value);
        match error {
            DateError::NotADate => RowError::new(
                ErrorCode::DateNotADate,
                format!("date is not of a form like 2024-01-31 or 2024-01-31T09:30:00: {value}"),
            ),
            DateError::OutOfRange => RowError::new(
                ErrorCode::DateOutOfRange,
                format!("date is a day or time that does not exist: {value}"),
            ),
        }
    })
}
