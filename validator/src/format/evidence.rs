//! Collects what the rows of a file prove about how it is to be read.

use crate::{
    ErrorCode, Layout, Verdict,
    date::{OrderEvidence, order_evidence},
    file::Record,
    format::AmountColumns,
    number::{DecimalEvidence, decimal_evidence},
    trim::trim_bytes,
};

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proof {
    /// Counted from 1 in a file, and from 0 in a chunk.
    pub row: u64,
    /// At most [`MAX_VALUE_BYTES`] of the value.
    pub value: Vec<u8>,
}

/// The number of bytes kept of a value.
const MAX_VALUE_BYTES: usize = 200;

/// The number of values kept of each kind.
const SAMPLES: usize = 3;

/// What the rows prove. The result doesn't depend on how a file is split: the first row that proves something is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    pub day_first: Option<Proof>,
    pub month_first: Option<Proof>,
    /// Dates with the year last that prove nothing.
    pub ambiguous: Vec<Proof>,
    pub point: Option<Proof>,
    pub comma: Option<Proof>,
    /// Amounts with a sign that prove nothing.
    pub undecided: Vec<Proof>,
    /// Values that aren't UTF-8.
    pub unreadable: Vec<Proof>,
    /// Whether any row has as many fields as the header.
    pub has_whole_row: bool,
    /// The number of fields of the rows that have more or fewer than the header. The inner value is `None` if they
    /// differ.
    pub other_fields: Option<Option<usize>>,
}

impl Evidence {
    /// Adds a row without a row error.
    #[inline(always)]
    pub(crate) fn add(
        &mut self,
        layout: &Layout,
        record: &Record<'_>,
        row: u64,
        scratch: &mut Vec<u8>,
    ) {
        self.has_whole_row = true;
        if layout.asks_for_decimal() && !self.is_one_more_point(layout, record) {
            self.add_amounts(layout, record, row, scratch);
        }
        // A leading year proves nothing about the order.
        let begins_with_year = |raw: &[u8]| {
            let digits = raw.first_chunk::<3>();
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_digit))
        };
        if layout.asks_for_date_order() && !record.raw(layout.date()).is_some_and(begins_with_year)
        {
            self.add_date(layout, record, row, scratch);
        }
    }

    /// Returns whether the amount could at most prove the decimal point, which is already proved: it has no comma, and
    /// is too short for two points between groups.
    #[inline]
    fn is_one_more_point(&self, layout: &Layout, record: &Record<'_>) -> bool {
        let AmountColumns::One(at) = layout.amount() else {
            return false;
        };
        self.point.is_some()
            && layout.delimiter() == b','
            && record
                .raw(*at)
                .is_some_and(|raw| raw.len() <= 8 && raw.first() != Some(&b'"'))
    }

    #[inline(never)]
    fn add_amounts(
        &mut self,
        layout: &Layout,
        record: &Record<'_>,
        row: u64,
        scratch: &mut Vec<u8>,
    ) {
        for at in layout.amount().values().into_iter().flatten() {
            let value = trim_bytes(record.value_in(*at, scratch).unwrap_or_default());
            match decimal_evidence(value) {
                DecimalEvidence::None => {}
                DecimalEvidence::Point if self.point.is_some() => {}
                DecimalEvidence::Comma if self.comma.is_some() => {}
                evidence => self.add_decimal(evidence, row, value),
            }
        }
    }

    #[inline(never)]
    fn add_date(&mut self, layout: &Layout, record: &Record<'_>, row: u64, scratch: &mut Vec<u8>) {
        let value = trim_bytes(record.value_in(layout.date(), scratch).unwrap_or_default());
        match order_evidence(value) {
            OrderEvidence::None => {}
            OrderEvidence::Dmy if self.day_first.is_some() => {}
            OrderEvidence::Mdy if self.month_first.is_some() => {}
            evidence => self.add_order(evidence, row, value),
        }
    }

    #[inline(never)]
    fn add_decimal(&mut self, evidence: DecimalEvidence, row: u64, value: &[u8]) {
        match evidence {
            DecimalEvidence::None => {}
            DecimalEvidence::Point => keep_first(&mut self.point, row, value),
            DecimalEvidence::Comma => keep_first(&mut self.comma, row, value),
            DecimalEvidence::Undecided => keep_few(&mut self.undecided, row, value),
        }
    }

    #[inline(never)]
    fn add_order(&mut self, evidence: OrderEvidence, row: u64, value: &[u8]) {
        match evidence {
            OrderEvidence::None => {}
            OrderEvidence::Dmy => keep_first(&mut self.day_first, row, value),
            OrderEvidence::Mdy => keep_first(&mut self.month_first, row, value),
            OrderEvidence::Ambiguous => keep_few(&mut self.ambiguous, row, value),
        }
    }

    /// Adds a row that has a row error or is ignored.
    #[inline(never)]
    pub(crate) fn add_broken(&mut self, record: &Record<'_>, row: u64, verdict: Verdict) {
        if verdict.has(ErrorCode::RowColumnCount) {
            self.merge_other_fields(Some(Some(record.field_count())));
        }
        if verdict.has(ErrorCode::RowEncoding) && self.unreadable.len() < SAMPLES {
            let value = (0..record.field_count())
                .filter_map(|field| record.value_bytes(field))
                .find(|value| std::str::from_utf8(value).is_err());
            if let Some(value) = value {
                keep_few(&mut self.unreadable, row, &value);
            }
        }
    }

    fn merge_other_fields(&mut self, other: Option<Option<usize>>) {
        self.other_fields = match (self.other_fields, other) {
            (None, fields) | (fields, None) => fields,
            (Some(a), Some(b)) => Some(a.filter(|_| a == b)),
        };
    }

    /// Adds the evidence of rows that come after `rows` rows. Their own numbers count from 0.
    pub(crate) fn append(&mut self, rows: u64, later: Self) {
        let moved = |mut proof: Proof| {
            proof.row += rows + 1;
            proof
        };
        let first = |ours: &mut Option<Proof>, theirs: Option<Proof>| {
            if ours.is_none() {
                *ours = theirs.map(moved);
            }
        };
        let few = |ours: &mut Vec<Proof>, theirs: Vec<Proof>| {
            let lacking = SAMPLES.saturating_sub(ours.len());
            ours.extend(theirs.into_iter().take(lacking).map(moved));
        };
        first(&mut self.day_first, later.day_first);
        first(&mut self.month_first, later.month_first);
        few(&mut self.ambiguous, later.ambiguous);
        first(&mut self.point, later.point);
        first(&mut self.comma, later.comma);
        few(&mut self.undecided, later.undecided);
        few(&mut self.unreadable, later.unreadable);
        self.has_whole_row |= later.has_whole_row;
        self.merge_other_fields(later.other_fields);
    }
}

fn proof(row: u64, value: &[u8]) -> Proof {
    let value = value.get(..MAX_VALUE_BYTES).unwrap_or(value);
    Proof {
        row,
        value: value.to_vec(),
    }
}

fn keep_first(kept: &mut Option<Proof>, row: u64, value: &[u8]) {
    kept.get_or_insert_with(|| proof(row, value));
}

fn keep_few(kept: &mut Vec<Proof>, row: u64, value: &[u8]) {
    if kept.len() < SAMPLES {
        kept.push(proof(row, value));
    }
}
