//! Rows of a file with their verdicts.

use std::borrow::Cow;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr, VariantArray};

use crate::Amount;

/// The part of a row that an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// The row as a whole.
    Row,
    TransactionId,
    Amount,
    Date,
}

/// What is wrong with a row, in the order in which a row reports it. The codes are stable because programs rely on them.
/// So are the numbers, which the ledger stores: a new code gets a new number.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    IntoStaticStr,
    VariantArray,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[strum(const_into_str)]
pub enum ErrorCode {
    #[serde(rename = "row.too_large")]
    #[strum(to_string = "row.too_large")]
    RowTooLarge = 0,
    #[serde(rename = "row.encoding")]
    #[strum(to_string = "row.encoding")]
    RowEncoding = 1,
    #[serde(rename = "row.unclosed_quote")]
    #[strum(to_string = "row.unclosed_quote")]
    RowUnclosedQuote = 12,
    #[serde(rename = "row.quoted_lines")]
    #[strum(to_string = "row.quoted_lines")]
    RowQuotedLines = 13,
    #[serde(rename = "row.column_count")]
    #[strum(to_string = "row.column_count")]
    RowColumnCount = 2,
    #[serde(rename = "transaction_id.missing")]
    #[strum(to_string = "transaction_id.missing")]
    TransactionIdMissing = 3,
    #[serde(rename = "transaction_id.too_long")]
    #[strum(to_string = "transaction_id.too_long")]
    TransactionIdTooLong = 4,
    #[serde(rename = "transaction_id.duplicate")]
    #[strum(to_string = "transaction_id.duplicate")]
    TransactionIdDuplicate = 5,
    #[serde(rename = "amount.missing")]
    #[strum(to_string = "amount.missing")]
    AmountMissing = 6,
    #[serde(rename = "amount.not_a_number")]
    #[strum(to_string = "amount.not_a_number")]
    AmountNotANumber = 7,
    #[serde(rename = "amount.out_of_range")]
    #[strum(to_string = "amount.out_of_range")]
    AmountOutOfRange = 8,
    #[serde(rename = "date.missing")]
    #[strum(to_string = "date.missing")]
    DateMissing = 9,
    #[serde(rename = "date.not_a_date")]
    #[strum(to_string = "date.not_a_date")]
    DateNotADate = 10,
    #[serde(rename = "date.out_of_range")]
    #[strum(to_string = "date.out_of_range")]
    DateOutOfRange = 11,
}

impl ErrorCode {
    /// All codes, in the order in which a row reports them.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }

    /// Returns the title of the error where several rows share it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::RowTooLarge => "Row is too large",
            Self::RowEncoding => "Invalid characters",
            Self::RowUnclosedQuote => "Quote is not closed",
            Self::RowQuotedLines => "Quote swallows lines",
            Self::RowColumnCount => "Wrong number of columns",
            Self::TransactionIdMissing => "ID is missing",
            Self::TransactionIdTooLong => "ID is too long",
            Self::TransactionIdDuplicate => "Duplicate ID",
            Self::AmountMissing => "Amount is missing",
            Self::AmountNotANumber => "Amount is not a number",
            Self::AmountOutOfRange => "Amount is out of range",
            Self::DateMissing => "Date is missing",
            Self::DateNotADate => "Unrecognised date format",
            Self::DateOutOfRange => "Impossible date",
        }
    }

    pub const fn field(self) -> Field {
        match self {
            Self::RowTooLarge
            | Self::RowEncoding
            | Self::RowUnclosedQuote
            | Self::RowQuotedLines
            | Self::RowColumnCount => Field::Row,
            Self::TransactionIdMissing
            | Self::TransactionIdTooLong
            | Self::TransactionIdDuplicate => Field::TransactionId,
            Self::AmountMissing | Self::AmountNotANumber | Self::AmountOutOfRange => Field::Amount,
            Self::DateMissing | Self::DateNotADate | Self::DateOutOfRange => Field::Date,
        }
    }
}

/// One error of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RowError {
    pub field: Field,
    pub code: ErrorCode,
    /// A sentence for people.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub message: Cow<'static, str>,
}

impl RowError {
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            field: code.field(),
            code,
            message: message.into(),
        }
    }
}

/// A stored row, as returned by the REST API and shown on pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Transaction {
    /// The data rows of the file are counted from 1.
    pub row_number: u64,
    /// The number of the line in the stored file on which the row starts, counted from 1. `null` if the job was
    /// processed before lines were counted.
    pub line: Option<u64>,
    pub transaction_id: Option<String>,
    /// A JSON number with exactly these digits.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<f64>))]
    pub amount: Option<Amount>,
    pub date: Option<NaiveDate>,
    pub description: Option<String>,
    pub is_valid: bool,
    pub is_suspicious: bool,
    /// Whether the record isn't a transaction and so has no verdict.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_ignored: bool,
    /// In the order of the rules. Empty for a valid row.
    pub errors: Vec<RowError>,
    /// The messages of `errors`, joined by `; `.
    pub error_message: Option<String>,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Transaction {
    /// Returns the messages of `errors`, joined by `; `. `None` without errors.
    pub fn join_messages(errors: &[RowError]) -> Option<String> {
        let messages: Vec<&str> = errors.iter().map(|error| &*error.message).collect();
        (!messages.is_empty()).then(|| messages.join("; "))
    }
}
