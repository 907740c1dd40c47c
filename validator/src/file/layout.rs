//! How a stored file is to be read.

use std::fmt;

use serde::{Deserialize, Serialize};

pub use super::decode::Encoding;

/// How a stored file is to be read: found once from its beginning, then handed to every chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    pub(super) encoding: Encoding,
    pub(super) delimiter: u8,
    pub(super) names: Vec<String>,
    pub(super) transaction_id: usize,
    pub(super) amount: usize,
    pub(super) date: usize,
    pub(super) description: Option<usize>,
}

impl Layout {
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// One of `,` `;` TAB `|`.
    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// The header's names in their order, unquoted and otherwise as they stand in the file; bytes
    /// that are not UTF-8 are U+FFFD.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn transaction_id(&self) -> usize {
        self.transaction_id
    }

    pub(crate) fn amount(&self) -> usize {
        self.amount
    }

    pub(crate) fn date(&self) -> usize {
        self.date
    }

    pub(crate) fn description(&self) -> Option<usize> {
        self.description
    }

    /// Where `column` stands among [`Self::names`]; only the description may be absent.
    pub fn position(&self, column: Column) -> Option<usize> {
        match column {
            Column::TransactionId => Some(self.transaction_id),
            Column::Amount => Some(self.amount),
            Column::Date => Some(self.date),
            Column::Description => self.description,
        }
    }
}

/// A column that the rules know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Column {
    TransactionId,
    Amount,
    /// Also called `timestamp`.
    Date,
    Description,
}

impl Column {
    pub const ALL: [Self; 4] = [
        Self::TransactionId,
        Self::Amount,
        Self::Date,
        Self::Description,
    ];
    pub const REQUIRED: [Self; 3] = [Self::TransactionId, Self::Amount, Self::Date];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TransactionId => "transaction_id",
            Self::Amount => "amount",
            Self::Date => "date",
            Self::Description => "description",
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
