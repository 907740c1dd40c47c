//! The rules for rows: from a record to its verdict.

use std::str;

use crate::{
    Amount, ErrorCode, Layout, Verdict,
    date::{DateError, Day, parse_date},
    file::Record,
    number::{NumberError, parse_amount},
    trim::trim_bytes,
};

/// Characters (Unicode scalar values) of a transaction id.
const MAX_ID_CHARS: usize = 255;

/// A verdict, and the values that were read on the way to it.
pub(crate) struct Validated {
    pub verdict: Verdict,
    pub amount: Option<Amount>,
    pub day: Option<Day>,
}

/// Applies the rules to one record after the other. It holds the memory for the values that can't be borrowed from the
/// record, to be used again for the next one.
#[derive(Default)]
pub(crate) struct Rules {
    scratch: Vec<u8>,
}

impl Rules {
    /// The id that a row shows, if there is one, and whether it counts for duplicates: unless the row falls to a row
    /// error, or the id is too long.
    #[inline]
    pub(crate) fn shown_id<'a>(
        &'a mut self,
        layout: &Layout,
        record: &'a Record<'_>,
    ) -> Option<(&'a [u8], bool)> {
        let is_whole = row_error(layout, record).is_none();
        let at = layout.transaction_id();
        let id = if record.is_clean() || is_whole {
            record.value_in(at, &mut self.scratch)?
        } else {
            record.text_in(at, &mut self.scratch)?
        };
        let id = trim_bytes(id);
        match id_fault(id) {
            None => Some((id, is_whole)),
            Some(IdFault::Missing) => None,
            Some(IdFault::TooLong { cut }) if is_whole => Some((&id[..cut], false)),
            Some(IdFault::TooLong { .. }) => Some((id, false)),
        }
    }

    /// The id that [`Self::validate`] asks about, if the row has no row error. Whether the record is clean doesn't matter.
    #[inline]
    pub(crate) fn id_ahead<'a>(
        &'a mut self,
        layout: &Layout,
        record: &'a Record<'_>,
    ) -> Option<&'a [u8]> {
        if !record.has_fields(layout.names().len()) {
            return None;
        }
        let id = value(record, layout.transaction_id(), &mut self.scratch);
        id_fault(id).is_none().then_some(id)
    }

    /// The verdict on a row. `is_duplicate` tells whether an earlier row has this id; it is only
    /// asked if the id counts for duplicates.
    #[inline]
    pub(crate) fn validate(
        &mut self,
        layout: &Layout,
        record: &Record<'_>,
        is_duplicate: impl FnOnce(&[u8]) -> bool,
    ) -> Validated {
        let mut verdict = Verdict::VALID;
        if let Some(code) = row_error(layout, record) {
            return Validated {
                verdict: verdict.with_error(code),
                amount: None,
                day: None,
            };
        }

        let scratch = &mut self.scratch;
        let id = value(record, layout.transaction_id(), scratch);
        match id_fault(id) {
            Some(IdFault::Missing) => {
                verdict = verdict.with_error(ErrorCode::TransactionIdMissing);
            }
            Some(IdFault::TooLong { .. }) => {
                verdict = verdict.with_error(ErrorCode::TransactionIdTooLong);
            }
            None if is_duplicate(id) => {
                verdict = verdict.with_error(ErrorCode::TransactionIdDuplicate);
            }
            None => {}
        }
        let amount = match value(record, layout.amount(), scratch) {
            [] => Err(ErrorCode::AmountMissing),
            amount => parse_amount(amount).map_err(|error| match error {
                NumberError::NotANumber => ErrorCode::AmountNotANumber,
                NumberError::OutOfRange => ErrorCode::AmountOutOfRange,
            }),
        };
        verdict = match amount {
            Ok(amount) => verdict.with_suspicion(amount.is_suspicious()),
            Err(code) => verdict.with_error(code),
        };
        let date = match value(record, layout.date(), scratch) {
            [] => Err(ErrorCode::DateMissing),
            date => parse_date(date).map_err(|error| match error {
                DateError::NotADate => ErrorCode::DateNotADate,
                DateError::OutOfRange => ErrorCode::DateOutOfRange,
            }),
        };
        if let Err(code) = date {
            verdict = verdict.with_error(code);
        }
        Validated {
            verdict,
            amount: amount.ok(),
            day: date.ok(),
        }
    }
}

/// A trimmed value of a row without a row error: UTF-8, and there for every column.
#[inline]
fn value<'a>(record: &'a Record<'_>, column: usize, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    trim_bytes(record.value_in(column, scratch).unwrap_or_default())
}

/// What is wrong with a row as a whole: then nothing else is checked.
#[inline]
fn row_error(layout: &Layout, record: &Record<'_>) -> Option<ErrorCode> {
    if record.is_too_large() {
        return Some(ErrorCode::RowTooLarge);
    }
    if !record.is_clean() && unreadable_field(record).is_some() {
        return Some(ErrorCode::RowEncoding);
    }
    (!record.has_fields(layout.names().len())).then_some(ErrorCode::RowColumnCount)
}

/// The first field whose value isn't UTF-8 or contains a NUL, and whether it is UTF-8.
#[cold]
pub(crate) fn unreadable_field(record: &Record<'_>) -> Option<(usize, bool)> {
    (0..record.field_count()).find_map(|field| {
        let value = record.value_bytes(field)?;
        let is_text = str::from_utf8(&value).is_ok();
        (!is_text || value.contains(&0)).then_some((field, is_text))
    })
}

pub(crate) enum IdFault {
    Missing,
    /// The first 255 characters take `cut` bytes.
    TooLong {
        cut: usize,
    },
}

/// What is wrong with a trimmed id itself.
#[inline]
pub(crate) fn id_fault(id: &[u8]) -> Option<IdFault> {
    if id.is_empty() {
        return Some(IdFault::Missing);
    }
    if id.len() <= MAX_ID_CHARS {
        return None;
    }
    too_long(id)
}

#[cold]
fn too_long(id: &[u8]) -> Option<IdFault> {
    let starts_character = |byte: &u8| !matches!(byte, 0x80..=0xBF);
    let mut starts = (0..id.len()).filter(|&at| starts_character(&id[at]));
    let cut = starts.nth(MAX_ID_CHARS)?;
    Some(IdFault::TooLong { cut })
}
