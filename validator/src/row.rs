//! Shows rows: the content of the file under a verdict.

use std::{borrow::Cow, str};

use chrono::NaiveDate;

use crate::{
    Amount, ErrorCode, Field, Layout, RowError, Transaction, Verdict,
    csv::text_without_apostrophes,
    file::Record,
    number::Limit,
    rules::{InvalidId, amount_limit, invalid_id, read_amount, read_date, unreadable_field, value},
    shown::shown,
    trim::trim,
};

/// A row of a file under its verdict. It borrows its texts; use [`Self::to_transaction`] to copy them.
///
/// What is shown depends on the verdict, not on the current rules: the amount is shown unless the verdict has an error
/// about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'a> {
    /// The data rows of the file are counted from 1.
    pub row_number: u64,
    /// The line on which the row starts, counted from 1. `None` if unknown.
    pub line: Option<u64>,
    /// Trimmed. In a row with a row error, shown as the rules specify.
    pub transaction_id: Option<&'a str>,
    pub amount: Option<Amount>,
    pub date: Option<NaiveDate>,
    pub description: Option<&'a str>,
    pub verdict: Verdict,
    /// In the order of the rules. Empty for a valid row.
    pub errors: Vec<RowError>,
    record: &'a Record<'a>,
}

impl<'a> Row<'a> {
    pub(crate) fn new(
        layout: &Layout,
        record: &'a Record<'a>,
        (row_number, line): (u64, Option<u64>),
        verdict: Verdict,
        texts: &'a mut Texts,
    ) -> Self {
        let mut scratch = Vec::new();
        let (mut amount, mut date) = (None, None);
        if !verdict.is_broken() {
            amount = read_amount(layout, record, &mut scratch).ok();
            let value = value(layout, record, layout.date(), &mut scratch);
            date = read_date(layout, value).ok().and_then(|day| day.date());
        }
        let errors = verdict
            .codes()
            .map(|code| RowError::new(code, message(layout, record, line, code)))
            .collect::<Vec<_>>();
        let is_right = |field| errors.iter().all(|error| error.field != field);
        let (transaction_id, description) = texts.read(layout, record, verdict);
        Self {
            row_number,
            line,
            transaction_id,
            amount: amount.filter(|_| is_right(Field::Amount)),
            date: date.filter(|_| is_right(Field::Date)),
            description,
            verdict,
            errors,
            record,
        }
    }

    /// Returns the number of fields in the file. Zero for a row that is too large.
    pub fn field_count(&self) -> usize {
        self.record.field_count()
    }

    /// Returns an unquoted field, otherwise unchanged. Bytes that aren't UTF-8 and NULs become U+FFFD. Uses `scratch`
    /// if the field can't be borrowed.
    pub fn field<'s>(&'s self, at: usize, scratch: &'s mut String) -> Option<&'s str> {
        self.record.value(at, scratch)
    }

    /// Returns the record as it is in the file's text, without its line end. Bytes that aren't UTF-8 become U+FFFD.
    /// Empty for a row that is too large.
    pub fn raw(&self) -> Cow<'_, str> {
        self.record.text()
    }

    pub fn is_valid(&self) -> bool {
        self.verdict.is_valid()
    }

    pub fn is_suspicious(&self) -> bool {
        self.verdict.is_suspicious()
    }

    /// Returns the messages of the errors, joined by `; `. `None` for a valid row.
    pub fn error_message(&self) -> Option<String> {
        Transaction::join_messages(&self.errors)
    }

    pub fn to_transaction(&self) -> Transaction {
        Transaction {
            row_number: self.row_number,
            line: self.line,
            transaction_id: self.transaction_id.map(str::to_owned),
            amount: self.amount,
            date: self.date,
            description: self.description.map(str::to_owned),
            is_valid: self.is_valid(),
            is_suspicious: self.is_suspicious(),
            is_ignored: self.verdict.is_ignored(),
            errors: self.errors.clone(),
            error_message: self.error_message(),
        }
    }
}

/// Memory for the id and the description, for values that can't be borrowed from the record.
#[derive(Default)]
pub(crate) struct Texts {
    transaction_id: String,
    description: String,
}

impl Texts {
    /// Returns the id and the description that a row with this verdict shows.
    pub(crate) fn read<'a>(
        &'a mut self,
        layout: &Layout,
        record: &'a Record<'_>,
        verdict: Verdict,
    ) -> (Option<&'a str>, Option<&'a str>) {
        let id = match *layout.ids() {
            [] => None,
            [at] => text(layout, record, at, &mut self.transaction_id),
            _ => joined(
                layout,
                record,
                layout.ids(),
                Joint::Id,
                &mut self.transaction_id,
            ),
        };
        let description = match *layout.descriptions() {
            [] => None,
            [at] => text(layout, record, at, &mut self.description),
            _ => joined(
                layout,
                record,
                layout.descriptions(),
                Joint::Description,
                &mut self.description,
            ),
        };
        let id = id.map(trim).and_then(|id| match invalid_id(id.as_bytes()) {
            _ if verdict.has(ErrorCode::TransactionIdMissing) => None,
            Some(InvalidId::TooLong { cut }) if !verdict.is_broken() => Some(&id[..cut]),
            _ => Some(id),
        });
        (id, description)
    }
}

/// Returns a field as it is shown.
fn text<'a>(
    layout: &Layout,
    record: &'a Record<'_>,
    at: usize,
    scratch: &'a mut String,
) -> Option<&'a str> {
    if !layout.is_download() {
        return record.value(at, scratch);
    }
    let text = record.value(at, scratch)?;
    if let Cow::Owned(original) = text_without_apostrophes(text) {
        *scratch = original;
        return Some(scratch);
    }
    record.value(at, scratch)
}

/// How several fields are joined.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joint {
    /// All of them, trimmed and joined by `/`. Nothing if all are empty.
    Id,
    /// The ones that aren't empty, joined by a space.
    Description,
}

fn joined<'a>(
    layout: &Layout,
    record: &Record<'_>,
    columns: &[usize],
    joint: Joint,
    out: &'a mut String,
) -> Option<&'a str> {
    out.clear();
    let mut scratch = String::new();
    let (mut is_empty, mut is_first) = (true, true);
    for at in columns {
        let text = text(layout, record, *at, &mut scratch).unwrap_or_default();
        let has_text = !trim(text).is_empty();
        is_empty &= !has_text;
        if joint == Joint::Description && !has_text {
            continue;
        }
        if !std::mem::take(&mut is_first) {
            out.push(if joint == Joint::Id { '/' } else { ' ' });
        }
        out.push_str(if joint == Joint::Id { trim(text) } else { text });
    }
    (!is_empty).then_some(out)
}

/// Formats the values of these columns for a message.
fn shown_values(layout: &Layout, record: &Record<'_>, columns: &[usize]) -> String {
    let mut scratch = String::new();
    let values: Vec<String> = columns
        .iter()
        .map(|at| {
            shown(trim(
                text(layout, record, *at, &mut scratch).unwrap_or_default(),
            ))
        })
        .collect();
    values.join(" and ")
}

/// Returns the message of an error. `line` is the line on which the record starts, if known. The message depends on the
/// code and on the content of the file, never on the current rules.
fn message(layout: &Layout, record: &Record<'_>, line: Option<u64>, code: ErrorCode) -> String {
    let amounts: Vec<usize> = layout
        .amount()
        .values()
        .into_iter()
        .flatten()
        .copied()
        .collect();
    let value = |columns: &[usize]| shown_values(layout, record, columns);
    match code {
        ErrorCode::RowTooLarge => "Row is longer than 1,048,576 bytes".to_owned(),
        ErrorCode::RowEncoding => not_text(layout, record),
        ErrorCode::RowUnclosedQuote | ErrorCode::RowQuotedLines => {
            quotes(layout, record, line, code)
        }
        ErrorCode::RowColumnCount => {
            let (fields, columns) = (record.field_count(), layout.names().len());
            let plural = if fields == 1 { "" } else { "s" };
            format!("Row has {fields} value{plural}; expected {columns}")
        }
        ErrorCode::TransactionIdMissing => "ID is missing".to_owned(),
        ErrorCode::TransactionIdTooLong => "ID is longer than 255 characters".to_owned(),
        ErrorCode::TransactionIdDuplicate => {
            format!(
                "Duplicate ID {}, used in an earlier row",
                value(layout.ids())
            )
        }
        ErrorCode::AmountMissing => "Amount is missing".to_owned(),
        ErrorCode::AmountNotANumber => {
            format!("{} isn't a number", value(&amounts))
        }
        ErrorCode::AmountOutOfRange => {
            let limit = match amount_limit(layout, record) {
                Some(Limit::WholeDigits) => "has more than 18 digits before the decimal point",
                Some(Limit::FractionDigits) => "has more than 10 digits after the decimal point",
                Some(Limit::Exponent) => "has an exponent beyond 99",
                None => "has too many digits",
            };
            format!("{} {limit}", value(&amounts))
        }
        ErrorCode::DateMissing => "Date is missing".to_owned(),
        ErrorCode::DateNotADate => {
            format!(
                "Use a date like 2024-01-31 (found {})",
                value(&[layout.date()])
            )
        }
        ErrorCode::DateOutOfRange => {
            format!("{} isn't a real date", value(&[layout.date()]))
        }
    }
}

/// Describes the quote that swallows lines: where it opens, and how many lines it spans.
fn quotes(layout: &Layout, record: &Record<'_>, line: Option<u64>, code: ErrorCode) -> String {
    let (field, lines) = record.lines_of_quoted().unwrap_or((0, 1));
    let column = match layout.names().get(field).map(|name| trim(name)) {
        Some(name) if !name.is_empty() => shown(name),
        _ => format!("number {}", field + 1),
    };
    let before = record.lines_before(field);
    let line = match (line, before) {
        (Some(line), _) => format!("in line {} of the file", line + before as u64),
        (None, 0) => "in the row's first line".to_owned(),
        (None, _) => format!("in line {} of the row", before + 1),
    };
    let spans = match lines {
        1 => "spans 1 line".to_owned(),
        lines => format!("spans {lines} lines"),
    };
    match code {
        ErrorCode::RowUnclosedQuote => format!(
            "A quotation mark is never closed: the field {column} opens {line} and {spans} up to the end of the file"
        ),
        _ => format!(
            "A quotation mark swallows lines that look like rows: the field {column} opens {line} and {spans}"
        ),
    }
}

fn not_text(layout: &Layout, record: &Record<'_>) -> String {
    let encoding = layout.encoding().name();
    let Some((field, is_text)) = unreadable_field(record) else {
        return format!("Row isn't valid {encoding} text");
    };
    let place = match layout.names().get(field).map(|name| trim(name)) {
        Some(name) if !name.is_empty() => format!("column {}", shown(name)),
        _ => format!("field {}", field + 1),
    };
    if is_text {
        format!("Row contains a NUL character in {place}")
    } else {
        format!("Row isn't valid {encoding} text in {place}")
    }
}
