//! Selects the rows of a job.

use serde::{Deserialize, Serialize};
use validator::RowFilter;

use crate::InvalidField;

/// Returns the number of pages of `size` items that `total` items fill, at least 1.
pub fn page_count(total: u64, size: u64) -> u64 {
    total.div_ceil(size).max(1)
}

/// A page of rows: its filter and its position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRequest {
    page: u64,
    size: u32,
    filter: RowFilter,
    /// Only rows with exactly this transaction id. If there are none, rows whose id or description contains the text,
    /// ignoring case. Never empty.
    query: Option<String>,
    /// The row whose page is requested, instead of `page`.
    row: Option<u64>,
}

impl Default for PageRequest {
    /// Returns the first page of all rows.
    fn default() -> Self {
        Self {
            page: 1,
            size: Self::DEFAULT_SIZE,
            filter: RowFilter::All,
            query: None,
            row: None,
        }
    }
}

impl PageRequest {
    pub const DEFAULT_SIZE: u32 = 20;
    pub const MAX_SIZE: u32 = 1000;
    pub const MAX_QUERY_CHARS: usize = 255;

    /// `page` is counted from 1. `size` is at most [`Self::MAX_SIZE`].
    pub fn parse(
        page: u64,
        size: u32,
        filter: RowFilter,
        query: Option<&str>,
    ) -> Result<Self, InvalidField> {
        if page == 0 || page > u64::from(u32::MAX) {
            return Err(InvalidField::new("page", "Page must be 1 or higher."));
        }
        if size == 0 || size > Self::MAX_SIZE {
            return Err(InvalidField::new("size", "Size must be from 1 to 1,000."));
        }
        if query.is_some_and(|query| query.chars().count() > Self::MAX_QUERY_CHARS) {
            return Err(InvalidField::new("q", "Search for at most 255 characters."));
        }
        let query = query.map(str::trim).filter(|query| !query.is_empty());
        if query.is_some_and(|query| query.contains('\0')) {
            return Err(InvalidField::new(
                "q",
                "The search can't contain a NUL character.",
            ));
        }
        Ok(Self {
            page,
            size,
            filter,
            query: query.map(str::to_owned),
            row: None,
        })
    }

    /// Requests the page of all rows that contains this row, counted from 1, or the next row with a verdict.
    pub fn around(row: u64, size: u32) -> Result<Self, InvalidField> {
        if row == 0 || row > i64::MAX as u64 {
            return Err(InvalidField::new("row", "Row must be 1 or higher."));
        }
        let row = Some(row);
        Ok(Self {
            row,
            ..Self::parse(1, size, RowFilter::All, None)?
        })
    }

    /// Returns the page, counted from 1. It has no meaning if [`Self::row`] is set.
    pub fn page(&self) -> u64 {
        self.page
    }

    pub fn size(&self) -> u32 {
        self.size
    }

    pub fn filter(&self) -> RowFilter {
        self.filter
    }

    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    pub fn row(&self) -> Option<u64> {
        self.row
    }

    /// Returns the number of pages that `total` rows fill, at least 1.
    pub fn pages(&self, total: u64) -> u64 {
        page_count(total, u64::from(self.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        assert!(PageRequest::parse(0, 20, RowFilter::All, None).is_err());
        assert!(PageRequest::parse(1, 0, RowFilter::All, None).is_err());
        assert!(PageRequest::parse(1, 1001, RowFilter::All, None).is_err());
        let page = PageRequest::parse(3, 20, "invalid".parse().unwrap(), Some("  ")).unwrap();
        assert_eq!((page.page(), page.query(), page.pages(41)), (3, None, 3));
        assert_eq!(page.pages(0), 1);
        assert!(PageRequest::around(0, 20).is_err());
        assert!(PageRequest::around(u64::MAX, 20).is_err());
        assert_eq!(PageRequest::around(7, 20).unwrap().row(), Some(7));
    }
}
