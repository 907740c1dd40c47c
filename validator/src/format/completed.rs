//! The format given for a file, completed by a saved one.

use super::Format;
use crate::{DateOrder, Decimal};

/// The format under which a file is read, which knows which of its keys come from a saved format.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompletedFormat {
    format: Format,
    given: Format,
}

impl CompletedFormat {
    /// Completes the keys that are given for the file by those of a saved format.
    pub fn new(given: Format, saved: &Format) -> Self {
        Self {
            format: given.clone().or(saved),
            given,
        }
    }

    /// Returns all keys.
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// Returns the keys that are given for the file.
    pub(crate) fn given(&self) -> &Format {
        &self.given
    }

    /// Returns the decimal sign if it comes from the saved format.
    pub(crate) fn saved_decimal(&self) -> Option<Decimal> {
        self.format.decimal.filter(|_| self.given.decimal.is_none())
    }

    /// Returns the order of dates if it comes from the saved format and dates can contradict it. `ymd` only says that
    /// other orders aren't dates.
    pub(crate) fn saved_date_order(&self) -> Option<DateOrder> {
        self.format
            .date_order
            .filter(|order| self.given.date_order.is_none() && *order != DateOrder::Ymd)
    }
}

/// All keys are given for the file.
impl From<Format> for CompletedFormat {
    fn from(given: Format) -> Self {
        Self {
            format: given.clone(),
            given,
        }
    }
}
