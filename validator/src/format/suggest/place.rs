//! Finds the header, or the first row of a file without one.

use super::{FirstRecords, columns::columns};
use crate::{
    DateOrder, Decimal,
    date::parse_date,
    format::{
        Format,
        synonyms::{self, Synonyms},
    },
    number::parse_amount,
    trim::trim,
};

/// The number of records that decide where the header is.
const FOLLOWING: usize = 20;

/// The number of names examined across all possible headers. Records of a thousand fields would otherwise take seconds.
const MAX_NAMES_TRIED: usize = 20_000;

/// The probable position of the header, or of the first row of a file without one.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub at: usize,
    pub is_headless: bool,
}

impl Place {
    pub(super) fn of(first: &FirstRecords, given: &Format) -> Self {
        let records = &first.records[..];
        let header = |at: usize| Self {
            at,
            is_headless: given.is_headless(),
        };
        if let Some(skip) = given.skip_records {
            return Self::at(records, given, (skip as usize).min(records.len() - 1));
        }
        if given.is_headless() {
            return header(0);
        }
        // A record with known names for a date and an amount is a header, whatever the lengths of the other records.
        let is_named = |at: &usize| {
            let next = || records[at + 1..].iter().take(FOLLOWING);
            has_known_names(&records[*at]) && (next().any(|it| is_row(it)) || next().len() == 0)
        };
        if let Some(at) = (0..records.len()).find(is_named) {
            return header(at);
        }
        // The first record whose number of fields is shared by most of the next twenty.
        let has_most = |at: usize, fields: usize| {
            let next = records[at + 1..].iter().take(FOLLOWING);
            let alike = next.clone().filter(|record| record.len() == fields);
            fields > 1 && 2 * alike.count() > next.count()
        };
        // In many files empty fields follow a title. They rarely follow a header.
        let by_names = (0..records.len()).filter(|at| has_most(*at, named(&records[*at])));
        let by_fields = (0..records.len()).filter(|at| {
            let record = &records[*at];
            named(record) > 1 && has_most(*at, record.len())
        });
        let (rows, headers): (Vec<usize>, Vec<usize>) = by_names
            .chain(by_fields)
            .partition(|at| is_row(&records[*at]));
        // Some files begin with a two-column table about the account.
        let has_columns = |at: &&usize| {
            let next = &records[**at + 1..];
            let columns = columns(&records[**at], &next[..next.len().min(FOLLOWING)]);
            columns.date.is_some() && columns.amount.is_some()
        };
        let widest = records.iter().map(Vec::len).max().unwrap_or(0);
        let mut tried = headers.iter().take(MAX_NAMES_TRIED / widest.max(1));
        if let Some(at) = tried.find(has_columns) {
            return header(*at);
        }
        match (rows.first(), headers.first()) {
            (Some(&row), _) => {
                // A header may have more or fewer fields than the rows.
                let is_above = row > 0
                    && named(&records[row - 1]) + 1 >= named(&records[row])
                    && !records[row - 1]
                        .iter()
                        .any(|it| is_date(it) || is_number(it));
                match is_above && given.header.is_none() {
                    true => header(row - 1),
                    false => Self::at(records, given, row),
                }
            }
            (None, Some(at)) => header(*at),
            (None, None) => Self::at(records, given, 0),
        }
    }

    /// Returns the record at this position. It is a row rather than a header if it looks like one.
    fn at(records: &[Vec<String>], given: &Format, at: usize) -> Self {
        let is_headless = match given.header {
            Some(has_header) => !has_header,
            None => is_row(&records[at]),
        };
        Self { at, is_headless }
    }
}

/// Returns the number of fields up to the last one that isn't empty.
pub(super) fn named(record: &[String]) -> usize {
    let last = record.iter().rposition(|name| !trim(name).is_empty());
    last.map_or(0, |last| last + 1)
}

/// Returns whether a record has a date and a number in another field, which a header doesn't have.
fn is_row(record: &[String]) -> bool {
    let dates = record.iter().filter(|value| is_date(value)).count();
    let only_numbers = record
        .iter()
        .filter(|value| is_number(value) && !is_date(value))
        .count();
    dates > 0 && only_numbers > 0
}

pub(super) fn is_date(value: &str) -> bool {
    [DateOrder::Dmy, DateOrder::Mdy]
        .iter()
        .any(|order| parse_date(trim(value).as_bytes(), Some(*order)).is_ok())
}

pub(super) fn is_number(value: &str) -> bool {
    [Decimal::Point, Decimal::Comma]
        .iter()
        .any(|decimal| parse_amount(trim(value).as_bytes(), *decimal).is_ok())
}

/// Returns whether a record names a date, and an amount or both debit and credit, by names that are known as a whole.
fn has_known_names(record: &[String]) -> bool {
    let names: Vec<String> = record.iter().map(|name| synonyms::key(name)).collect();
    let has = |known: &Synonyms| names.iter().any(|name| known.place(name).is_some());
    let has_amount = has(&synonyms::AMOUNT) || (has(&synonyms::DEBIT) && has(&synonyms::CREDIT));
    has(&synonyms::DATE) && has_amount
}
