//! Applies the rules for rows to records.

use std::{borrow::Cow, str};

use crate::{
    Amount, ErrorCode, Layout, Verdict,
    csv::text_without_apostrophes,
    date::{DateError, DateOrder, Day, parse_date, parse_date_v1},
    file::Record,
    format::{AmountColumns, IgnoredValue, Limits},
    number::{Decimal, Limit, NumberError, parse_amount, parse_amount_v1},
    trim::{trim, trim_bytes},
};

/// The maximum length of a transaction id in characters (Unicode scalar values).
const MAX_ID_CHARS: usize = 255;

/// A verdict and the values that were read to reach it.
pub(crate) struct Validated {
    pub verdict: Verdict,
    pub amount: Option<Amount>,
    pub day: Option<Day>,
}

/// Applies the rules to records of the same layout, one after the other. Reuses its memory for values that can't be
/// borrowed from the record.
#[derive(Default)]
pub(crate) struct Rules {
    scratch: Vec<u8>,
    joined: Vec<u8>,
    /// The outer `None` means that no record was seen yet. The inner one means that the layout isn't usual.
    usual: Option<Option<Usual>>,
}

/// What the rules need for most layouts: a single column for the id, which counts for duplicates, and a single column
/// for the amount. All other layouts take a slower path.
#[derive(Clone, Copy)]
struct Usual {
    columns: usize,
    id: usize,
    amount: usize,
    date: usize,
    decimal: Decimal,
    date_order: Option<DateOrder>,
}

impl Usual {
    fn of(layout: &Layout) -> Option<Self> {
        let (&[id], &AmountColumns::One(amount)) = (layout.ids(), layout.amount()) else {
            return None;
        };
        let is_usual = layout.rules() > 1
            && layout.ids_are_unique()
            && layout.ignore().is_empty()
            && layout.limits().is_none()
            && !layout.is_download();
        is_usual.then(|| Self {
            columns: layout.names().len(),
            id,
            amount,
            date: layout.date(),
            decimal: layout.decimal(),
            date_order: layout.date_order(),
        })
    }
}

impl Rules {
    /// Returns the id that a row shows, if any, and whether it counts for duplicates. It doesn't if the row has a row
    /// error or the id is too long.
    #[inline]
    pub(crate) fn shown_id<'a>(
        &'a mut self,
        layout: &Layout,
        record: &'a Record<'_>,
        is_whole: bool,
    ) -> Option<(&'a [u8], bool)> {
        let usual = self.usual.get_or_insert_with(|| Usual::of(layout));
        let (true, Some(usual)) = (is_whole, usual) else {
            return self.other_shown_id(layout, record, is_whole);
        };
        let id = stored_value(record, usual.id, &mut self.scratch);
        match invalid_id(id) {
            None => Some((id, true)),
            Some(InvalidId::Missing) => None,
            Some(InvalidId::TooLong { cut }) => Some((&id[..cut], false)),
        }
    }

    #[inline(never)]
    fn other_shown_id<'a>(
        &'a mut self,
        layout: &Layout,
        record: &'a Record<'_>,
        is_whole: bool,
    ) -> Option<(&'a [u8], bool)> {
        let id = match *layout.ids() {
            [at] if record.is_clean() || is_whole => value(layout, record, at, &mut self.scratch),
            [at] => trim_bytes(record.text_in(at, &mut self.scratch)?),
            [] => return None,
            _ => self.joined_id(layout, record),
        };
        let counts = is_whole && layout.ids_are_unique();
        match invalid_id(id) {
            None => Some((id, counts)),
            Some(InvalidId::Missing) => None,
            Some(InvalidId::TooLong { cut }) if is_whole => Some((&id[..cut], false)),
            Some(InvalidId::TooLong { .. }) => Some((id, false)),
        }
    }

    /// Returns the id that [`Self::validate`] will look up unless the row has a row error. The record need not be known
    /// to be clean.
    #[inline]
    pub(crate) fn id_ahead<'a>(
        &'a mut self,
        layout: &Layout,
        record: &'a Record<'_>,
    ) -> Option<&'a [u8]> {
        let usual = self.usual.get_or_insert_with(|| Usual::of(layout));
        let usual = usual.as_ref()?;
        if !record.has_fields(usual.columns) {
            return None;
        }
        let id = stored_value(record, usual.id, &mut self.scratch);
        invalid_id(id).is_none().then_some(id)
    }

    /// Returns the values of all id columns, joined by `/`. Empty if all are empty.
    #[inline(never)]
    fn joined_id(&mut self, layout: &Layout, record: &Record<'_>) -> &[u8] {
        self.joined.clear();
        let mut is_empty = true;
        for (nth, at) in layout.ids().iter().enumerate() {
            if nth > 0 {
                self.joined.push(b'/');
            }
            let value = value(layout, record, *at, &mut self.scratch);
            is_empty &= value.is_empty();
            self.joined.extend_from_slice(value);
        }
        if is_empty {
            self.joined.clear();
        }
        &self.joined
    }

    /// Returns the verdict on a row. `is_duplicate` returns whether an earlier row has this id, and is only called if
    /// the id counts for duplicates.
    #[inline]
    pub(crate) fn validate(
        &mut self,
        layout: &Layout,
        record: &Record<'_>,
        is_duplicate: impl FnOnce(&[u8]) -> bool,
    ) -> Validated {
        let usual = self.usual.get_or_insert_with(|| Usual::of(layout));
        let Some(usual) = usual else {
            return self.validate_other(layout, record, is_duplicate);
        };
        if !record.is_whole(usual.columns)
            && let Some(code) = possible_row_error(layout, record)
        {
            return Validated::without_values(Verdict::VALID.with_error(code));
        }
        let scratch = &mut self.scratch;
        let id_error = id_error(stored_value(record, usual.id, scratch), is_duplicate);
        let amount = match stored_value(record, usual.amount, scratch) {
            [] => Err(ErrorCode::AmountMissing),
            amount => parse_amount(amount, usual.decimal).map_err(amount_error),
        };
        let date = match stored_value(record, usual.date, scratch) {
            [] => Err(ErrorCode::DateMissing),
            date => parse_date(date, usual.date_order).map_err(date_error),
        };
        Validated::new(id_error, amount, date, None)
    }

    #[inline(never)]
    fn validate_other(
        &mut self,
        layout: &Layout,
        record: &Record<'_>,
        is_duplicate: impl FnOnce(&[u8]) -> bool,
    ) -> Validated {
        if !layout.ignore().is_empty() && is_ignored(layout, record) {
            return Validated::without_values(Verdict::IGNORED);
        }
        if let Some(code) = row_error(layout, record) {
            return Validated::without_values(Verdict::VALID.with_error(code));
        }
        let is_duplicate = |id: &[u8]| layout.ids_are_unique() && is_duplicate(id);
        let id_error = match *layout.ids() {
            [] => None,
            [at] => id_error(value(layout, record, at, &mut self.scratch), is_duplicate),
            _ => id_error(self.joined_id(layout, record), is_duplicate),
        };
        let scratch = &mut self.scratch;
        let amount = read_amount(layout, record, scratch);
        let date = match value(layout, record, layout.date(), scratch) {
            [] => Err(ErrorCode::DateMissing),
            date => read_date(layout, date),
        };
        Validated::new(id_error, amount, date, layout.limits())
    }
}

impl Validated {
    fn without_values(verdict: Verdict) -> Self {
        Self {
            verdict,
            amount: None,
            day: None,
        }
    }

    #[inline(always)]
    fn new(
        id_error: Option<ErrorCode>,
        amount: Result<Amount, ErrorCode>,
        date: Result<Day, ErrorCode>,
        limits: Option<&Limits>,
    ) -> Self {
        match (id_error, amount, date) {
            (None, Ok(amount), Ok(day)) => Self {
                verdict: Verdict::VALID.with_suspicion(is_suspicious(limits, amount)),
                amount: Some(amount),
                day: Some(day),
            },
            _ => Self::invalid(id_error, amount, date, limits),
        }
    }

    #[inline(never)]
    fn invalid(
        id_error: Option<ErrorCode>,
        amount: Result<Amount, ErrorCode>,
        date: Result<Day, ErrorCode>,
        limits: Option<&Limits>,
    ) -> Self {
        let suspicious = amount.is_ok_and(|amount| is_suspicious(limits, amount));
        let errors = [id_error, amount.err(), date.err()];
        Self {
            verdict: errors.into_iter().flatten().fold(
                Verdict::VALID.with_suspicion(suspicious),
                Verdict::with_error,
            ),
            amount: amount.ok(),
            day: date.ok(),
        }
    }
}

/// Returns the error of a trimmed id with regard to the other ids of its file.
#[inline(always)]
fn id_error(id: &[u8], is_duplicate: impl FnOnce(&[u8]) -> bool) -> Option<ErrorCode> {
    match invalid_id(id) {
        Some(InvalidId::Missing) => Some(ErrorCode::TransactionIdMissing),
        Some(InvalidId::TooLong { .. }) => Some(ErrorCode::TransactionIdTooLong),
        None => is_duplicate(id).then_some(ErrorCode::TransactionIdDuplicate),
    }
}

fn amount_error(error: NumberError) -> ErrorCode {
    match error {
        NumberError::NotANumber => ErrorCode::AmountNotANumber,
        NumberError::OutOfRange(_) => ErrorCode::AmountOutOfRange,
    }
}

fn date_error(error: DateError) -> ErrorCode {
    match error {
        DateError::NotADate => ErrorCode::DateNotADate,
        DateError::OutOfRange => ErrorCode::DateOutOfRange,
    }
}

/// Returns the amount of a row without a row error, or the code of its error.
#[inline(always)]
pub(crate) fn read_amount(
    layout: &Layout,
    record: &Record<'_>,
    scratch: &mut Vec<u8>,
) -> Result<Amount, ErrorCode> {
    match layout.amount() {
        AmountColumns::One(at) => one_amount(layout, value(layout, record, *at, scratch)),
        _ => amount_of_columns(layout, record, scratch),
    }
}

#[inline(always)]
fn one_amount(layout: &Layout, value: &[u8]) -> Result<Amount, ErrorCode> {
    if value.is_empty() {
        return Err(ErrorCode::AmountMissing);
    }
    parse(layout, value).map_err(amount_error)
}

#[inline(always)]
fn parse(layout: &Layout, value: &[u8]) -> Result<Amount, NumberError> {
    match layout.rules() {
        1 => parse_amount_v1(value),
        _ => parse_amount(value, layout.decimal()),
    }
}

/// Returns the limit that the amount exceeds.
pub(crate) fn amount_limit(layout: &Layout, record: &Record<'_>) -> Option<Limit> {
    let mut scratch = Vec::new();
    let columns = layout.amount().values();
    columns.into_iter().flatten().find_map(|at| {
        match parse(layout, value(layout, record, *at, &mut scratch)) {
            Err(NumberError::OutOfRange(limit)) => Some(limit),
            _ => None,
        }
    })
}

#[inline(never)]
fn amount_of_columns(
    layout: &Layout,
    record: &Record<'_>,
    scratch: &mut Vec<u8>,
) -> Result<Amount, ErrorCode> {
    let mut read = |at: usize| one_amount(layout, value(layout, record, at, scratch));
    match layout.amount() {
        AmountColumns::One(at) => read(*at),
        AmountColumns::DebitCredit { debit, credit } => {
            let (debit, credit) = (read(*debit), read(*credit));
            let missing = Err(ErrorCode::AmountMissing);
            match (debit, credit) {
                (debit, credit) if debit == missing => credit,
                (debit, credit) if credit == missing => debit.map(Amount::as_debit),
                (Ok(debit), Ok(credit)) => match (debit.is_zero(), credit.is_zero()) {
                    (true, false) => Ok(credit),
                    (false, true) => Ok(debit.as_debit()),
                    _ => Err(ErrorCode::AmountNotANumber),
                },
                (Err(ErrorCode::AmountNotANumber), _) | (_, Err(ErrorCode::AmountNotANumber)) => {
                    Err(ErrorCode::AmountNotANumber)
                }
                (Err(error), _) | (_, Err(error)) => Err(error),
            }
        }
        AmountColumns::Signed {
            value: at,
            sign,
            negative,
        } => {
            let amount = read(*at)?;
            let sign = value(layout, record, *sign, scratch);
            let is_negative = negative.iter().any(|it| trim(it).as_bytes() == sign);
            Ok(match is_negative {
                true => amount.as_debit(),
                false => amount,
            })
        }
    }
}

#[inline(always)]
fn is_suspicious(limits: Option<&Limits>, amount: Amount) -> bool {
    match limits {
        None => amount.is_suspicious(),
        Some(limits) => is_beyond(limits, amount),
    }
}

#[inline(never)]
fn is_beyond(limits: &Limits, amount: Amount) -> bool {
    limits
        .below
        .is_some_and(|below| amount.units() < below.units())
        || limits
            .above
            .is_some_and(|above| amount.units() > above.units())
}

#[inline(always)]
pub(crate) fn read_date(layout: &Layout, value: &[u8]) -> Result<Day, ErrorCode> {
    let date = match layout.rules() {
        1 => parse_date_v1(value),
        _ => parse_date(value, layout.date_order()),
    };
    date.map_err(date_error)
}

/// Returns whether a record isn't a transaction.
#[inline(never)]
pub(crate) fn is_ignored(layout: &Layout, record: &Record<'_>) -> bool {
    let mut scratch = Vec::new();
    !record.is_too_large()
        && layout.ignore().iter().any(|(at, is)| {
            let value = value(layout, record, *at, &mut scratch);
            match is {
                IgnoredValue::Empty => value.is_empty(),
                IgnoredValue::OneOf(values) => values.iter().any(|it| trim(it).as_bytes() == value),
            }
        })
}

/// Returns a trimmed value as stored. Empty if the record doesn't have the field.
#[inline(always)]
fn stored_value<'a>(record: &'a Record<'_>, column: usize, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    trim_bytes(record.value_in(column, scratch).unwrap_or_default())
}

/// Returns a trimmed value without the apostrophes that a download added. Empty if the record doesn't have the field.
#[inline(always)]
pub(crate) fn value<'a>(
    layout: &Layout,
    record: &'a Record<'_>,
    column: usize,
    scratch: &'a mut Vec<u8>,
) -> &'a [u8] {
    if layout.is_download() {
        let value = record.value_in(column, scratch).unwrap_or_default();
        if let Ok(text) = str::from_utf8(value)
            && let Cow::Owned(original) = text_without_apostrophes(text)
        {
            *scratch = original.into_bytes();
            return trim_bytes(scratch);
        }
    }
    stored_value(record, column, scratch)
}

/// Returns the error of a row as a whole. If there is one, nothing else is checked.
#[inline]
pub(crate) fn row_error(layout: &Layout, record: &Record<'_>) -> Option<ErrorCode> {
    match record.is_whole(layout.names().len()) {
        true => None,
        false => possible_row_error(layout, record),
    }
}

#[inline(never)]
fn possible_row_error(layout: &Layout, record: &Record<'_>) -> Option<ErrorCode> {
    if record.is_too_large() {
        return Some(ErrorCode::RowTooLarge);
    }
    if !record.is_clean() && unreadable_field(record).is_some() {
        return Some(ErrorCode::RowEncoding);
    }
    if (record.is_unclosed() || record.may_have_lines()) && layout.rules() > 1 {
        let quotes = quote_error(layout, record);
        if quotes.is_some() {
            return quotes;
        }
    }
    if record.has_fields(layout.names().len()) {
        return None;
    }
    other_fields_error(layout, record)
}

#[inline(never)]
fn quote_error(layout: &Layout, record: &Record<'_>) -> Option<ErrorCode> {
    let columns = layout.names().len();
    if record.is_unclosed() {
        return Some(ErrorCode::RowUnclosedQuote);
    }
    let has_row = columns >= 3 && record.has_line_of_fields(layout.delimiter(), columns);
    has_row.then_some(ErrorCode::RowQuotedLines)
}

#[inline(never)]
fn other_fields_error(layout: &Layout, record: &Record<'_>) -> Option<ErrorCode> {
    let (fields, columns) = (record.field_count(), layout.names().len());
    let fits = layout.rules() > 1
        && match fields < columns {
            true => layout.pads() && layout.has_fields_in_use(fields),
            false => record.is_empty_from(columns),
        };
    (!fits).then_some(ErrorCode::RowColumnCount)
}

/// Returns the first field whose value isn't UTF-8 or contains a NUL, and whether the value is UTF-8.
#[cold]
pub(crate) fn unreadable_field(record: &Record<'_>) -> Option<(usize, bool)> {
    (0..record.field_count()).find_map(|field| {
        let value = record.value_bytes(field)?;
        let is_text = str::from_utf8(&value).is_ok();
        (!is_text || value.contains(&0)).then_some((field, is_text))
    })
}

pub(crate) enum InvalidId {
    Missing,
    /// The first 255 characters take `cut` bytes.
    TooLong {
        cut: usize,
    },
}

/// Returns what is wrong with a trimmed id by itself.
#[inline]
pub(crate) fn invalid_id(id: &[u8]) -> Option<InvalidId> {
    if id.is_empty() {
        return Some(InvalidId::Missing);
    }
    if id.len() <= MAX_ID_CHARS {
        return None;
    }
    too_long(id)
}

#[cold]
fn too_long(id: &[u8]) -> Option<InvalidId> {
    let starts_character = |byte: &u8| !matches!(byte, 0x80..=0xBF);
    let mut starts = (0..id.len()).filter(|&at| starts_character(&id[at]));
    let cut = starts.nth(MAX_ID_CHARS)?;
    Some(InvalidId::TooLong { cut })
}
