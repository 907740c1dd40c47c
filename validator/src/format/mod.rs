//! The *format*: what the user states about how a file is to be read.
//!
//! Every key is optional. Whatever isn't given is decided from the file by [`crate::file`], or asked.

mod columns;
mod completed;
mod decide;
mod evidence;
mod json;
mod preview;
mod question;
#[cfg(feature = "openapi")]
mod schema;
mod suggest;
mod synonyms;

pub use completed::CompletedFormat;
pub use json::{FormatChange, InvalidFormat};
pub use preview::{Preview, PreviewRow};
pub use question::{Choice, Decision, Question, Questions, Reading, Sample, Source};

pub(crate) use columns::{ColumnNames, FoundColumns};
pub(crate) use decide::{decide, encoding_question};
pub(crate) use evidence::Evidence;
pub(crate) use suggest::{FirstRecords, columns_question};

use serde::{Deserialize, Serialize};

use crate::{Amount, DateOrder, Decimal, Encoding};

/// How a file is to be read, as far as it is given. `json.rs` parses and writes its JSON, which is that of the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Format {
    pub container: Option<Container>,
    /// The name of the worksheet.
    pub sheet: Option<String>,
    pub encoding: Option<Encoding>,
    /// Any ASCII character except a quote, CR, LF, a letter or a digit.
    pub delimiter: Option<u8>,
    /// `false` means that no record is a header.
    pub header: Option<bool>,
    /// The number of records before the header or, without one, before the first row. Records without characters don't
    /// count.
    pub skip_records: Option<u32>,
    /// A record that meets any of these conditions isn't a transaction.
    pub ignore: Option<Vec<Ignore>>,
    pub fields: Option<Fields>,
    pub suspicious: Option<Limits>,
    pub columns: GivenColumns,
    pub date_order: Option<DateOrder>,
    pub decimal: Option<Decimal>,
}

/// What a file is before it becomes text.
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
    /// Adds empty fields to a record with fewer fields than the header, provided that it has every column in use.
    Pad,
}

/// A condition that makes a record not a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignore {
    pub column: ColumnRef,
    pub is: IgnoredValue,
}

/// The trimmed values that make a record not a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IgnoredValue {
    Empty,
    OneOf(Vec<String>),
}

/// Amounts below the lower or above the upper limit are suspicious. `None` means no limit.
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
    /// By name in the header.
    Name(String),
    /// By number, counted from 1.
    Number(u32),
}

/// The columns to use for each purpose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenColumns {
    pub transaction_id: Option<IdColumns>,
    pub amount: Option<AmountColumns<ColumnRef>>,
    pub date: Option<ColumnRef>,
    /// The values are joined by a space.
    pub description: Option<Vec<ColumnRef>>,
}

/// The columns that make up the id of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdColumns {
    /// The values are joined by `/`. If empty, rows have no id.
    pub from: Vec<ColumnRef>,
    /// `false` if several rows may have the same id.
    pub unique: bool,
}

/// The columns that make up the amount of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AmountColumns<C> {
    One(C),
    /// A debit is negative, whatever its sign.
    DebitCredit {
        debit: C,
        credit: C,
    },
    /// The amount is negative if the trimmed value of `sign` is one of `negative`.
    Signed {
        value: C,
        sign: C,
        negative: Vec<String>,
    },
}

impl<C> AmountColumns<C> {
    /// Returns the columns with numbers.
    pub(crate) fn values(&self) -> [Option<&C>; 2] {
        match self {
            Self::One(value) | Self::Signed { value, .. } => [Some(value), None],
            Self::DebitCredit { debit, credit } => [Some(debit), Some(credit)],
        }
    }

    /// Returns all columns.
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
    /// Returns this format, with missing keys taken from `other`.
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

    /// Returns this format without the keys that don't hold for a download of the file's rows. The download is UTF-8, but
    /// a program may have stored it again in the file's encoding.
    #[must_use]
    pub fn for_download(self) -> Self {
        Self {
            container: None,
            sheet: None,
            delimiter: None,
            header: None,
            skip_records: None,
            ..self
        }
    }

    /// Returns whether nothing is given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether the format says that no record is a header.
    pub(crate) fn is_headless(&self) -> bool {
        self.header == Some(false)
    }
}
