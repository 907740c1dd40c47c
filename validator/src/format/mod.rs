//! How a file is to be read, as far as somebody says so: the *format*.
//!
//! Every key is optional. What isn't given is decided from the file, by [`crate::file`], or asked.

mod columns;
mod decide;
mod evidence;
mod json;
mod preview;
mod question;
#[cfg(feature = "openapi")]
mod schema;
mod suggest;
mod synonyms;

pub use json::{FormatChange, InvalidFormat};
pub use preview::{Preview, PreviewRow};
pub use question::{Choice, Decision, Question, Reading, Sample, Source};

pub(crate) use columns::{ColumnNames, FoundColumns};
pub(crate) use decide::{decide, encoding_question};
pub(crate) use evidence::Evidence;
pub(crate) use suggest::{FirstRecords, columns_question};

use serde::{Deserialize, Serialize};

use crate::{Amount, DateOrder, Decimal, Encoding};

/// What is given about the way a file is to be read. Its JSON is that of the API; `json.rs` reads and writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Format {
    pub container: Option<Container>,
    /// Name of the worksheet.
    pub sheet: Option<String>,
    pub encoding: Option<Encoding>,
    /// Any ASCII character but a quote, CR, LF, a letter or a digit.
    pub delimiter: Option<u8>,
    /// `false`: no record is a header.
    pub header: Option<bool>,
    /// Records before the header, or before the first row. Records without a character don't count.
    pub skip_records: Option<u32>,
    /// Any one of these conditions makes a record no transaction.
    pub ignore: Option<Vec<Ignore>>,
    pub fields: Option<Fields>,
    pub suspicious: Option<Limits>,
    pub columns: GivenColumns,
    pub date_order: Option<DateOrder>,
    pub decimal: Option<Decimal>,
}

/// What a file is before it is text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    Csv,
    Xlsx,
    Ods,
}

/// Whether a record may have fewer fields than the header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fields {
    #[default]
    Exact,
    /// A record with fewer fields, but enough for every column in use, is filled with empty ones.
    Pad,
}

/// A condition under which a record is no transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignore {
    pub column: ColumnRef,
    pub is: IgnoredValue,
}

/// The trimmed values that make a record no transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IgnoredValue {
    Empty,
    OneOf(Vec<String>),
}

/// An amount below or above is suspicious. `None` sets no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub below: Option<Amount>,
    pub above: Option<Amount>,
}

impl Limits {
    pub const DEFAULT: Self = Self {
        below: Some(Amount::new(0, 0)),
        above: Some(Amount::new(50_000, 0)),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A column of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnRef {
    /// By its name in the header.
    Name(String),
    /// Counts from 1.
    Number(u32),
}

/// Which columns are to be taken for what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenColumns {
    pub transaction_id: Option<IdColumns>,
    pub amount: Option<AmountColumns<ColumnRef>>,
    pub date: Option<ColumnRef>,
    /// Values are joined by a space.
    pub description: Option<Vec<ColumnRef>>,
}

/// Where the id of a row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdColumns {
    /// Values are joined by `/`. Without any, rows have no id.
    pub from: Vec<ColumnRef>,
    /// `false` if the same id may be in several rows.
    pub unique: bool,
}

/// Where the amount of a row is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AmountColumns<C> {
    One(C),
    /// A debit counts negative, whatever its sign.
    DebitCredit {
        debit: C,
        credit: C,
    },
    /// The amount counts negative if the trimmed value of `sign` is one of `negative`.
    Signed {
        value: C,
        sign: C,
        negative: Vec<String>,
    },
}

impl<C> AmountColumns<C> {
    /// The columns that have numbers.
    pub(crate) fn values(&self) -> [Option<&C>; 2] {
        match self {
            Self::One(value) | Self::Signed { value, .. } => [Some(value), None],
            Self::DebitCredit { debit, credit } => [Some(debit), Some(credit)],
        }
    }

    /// All columns.
    pub(crate) fn all(&self) -> [Option<&C>; 2] {
        match self {
            Self::Signed { value, sign, .. } => [Some(value), Some(sign)],
            other => other.values(),
        }
    }

    pub(crate) fn map<D>(&self, mut map: impl FnMut(&C) -> D) -> AmountColumns<D> {
        let Ok(mapped) = self.try_map(|column| Ok::<_, std::convert::Infallible>(map(column)));
        mapped
    }

    pub(crate) fn try_map<D, E>(
        &self,
        mut map: impl FnMut(&C) -> Result<D, E>,
    ) -> Result<AmountColumns<D>, E> {
        Ok(match self {
            Self::One(column) => AmountColumns::One(map(column)?),
            Self::DebitCredit { debit, credit } => AmountColumns::DebitCredit {
                debit: map(debit)?,
                credit: map(credit)?,
            },
            Self::Signed {
                value,
                sign,
                negative,
            } => AmountColumns::Signed {
                value: map(value)?,
                sign: map(sign)?,
                negative: negative.clone(),
            },
        })
    }
}

impl Format {
    /// The same, with what is missing taken from `other`.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        let columns = self.columns;
        let others = other.columns.clone();
        Self {
            container: self.container.or(other.container),
            sheet: self.sheet.or_else(|| other.sheet.clone()),
            encoding: self.encoding.or(other.encoding),
            delimiter: self.delimiter.or(other.delimiter),
            header: self.header.or(other.header),
            skip_records: self.skip_records.or(other.skip_records),
            ignore: self.ignore.or_else(|| other.ignore.clone()),
            fields: self.fields.or(other.fields),
            suspicious: self.suspicious.or(other.suspicious),
            columns: GivenColumns {
                transaction_id: columns.transaction_id.or(others.transaction_id),
                amount: columns.amount.or(others.amount),
                date: columns.date.or(others.date),
                description: columns.description.or(others.description),
            },
            date_order: self.date_order.or(other.date_order),
            decimal: self.decimal.or(other.decimal),
        }
    }

    /// Whether nothing is given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether no record is a header.
    pub(crate) fn is_headless(&self) -> bool {
        self.header == Some(false)
    }
}
