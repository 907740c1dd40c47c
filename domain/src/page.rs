//! Which rows of a job a reader asks for.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::InvalidField;

/// Rows by verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowFilter {
    #[default]
    All,
    Valid,
    Invalid,
    Suspicious,
}

impl RowFilter {
    pub const ALL: [Self; 4] = [Self::All, Self::Valid, Self::Invalid, Self::Suspicious];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Suspicious => "suspicious",
        }
    }
}

impl fmt::Display for RowFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RowFilter {
    type Err = InvalidField;

    /// The empty string is `all`.
    fn from_str(filter: &str) -> Result<Self, Self::Err> {
        if filter.is_empty() {
            return Ok(Self::All);
        }
        Self::ALL
            .into_iter()
            .find(|known| known.as_str() == filter)
            .ok_or_else(|| {
                InvalidField::new(
                    "filter",
                    "filter is one of all, valid, invalid, suspicious.",
                )
            })
    }
}

/// One page of rows: which ones, and where it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRequest {
    page: u64,
    size: u32,
    filter: RowFilter,
    /// Only rows with exactly this transaction id; if there are none, those whose id or description contains
    /// it, whatever the case. Never empty.
    query: Option<String>,
}

impl PageRequest {
    pub const DEFAULT_SIZE: u32 = 20;
    pub const MAX_SIZE: u32 = 1000;
    pub const MAX_QUERY_CHARS: usize = 255;

    /// `page` counts from 1; `size` is at most [`Self::MAX_SIZE`].
    pub fn parse(
        page: u64,
        size: u32,
        filter: RowFilter,
        query: Option<&str>,
    ) -> Result<Self, InvalidField> {
        if page == 0 || page > u64::from(u32::MAX) {
            return Err(InvalidField::new("page", "page is a number from 1."));
        }
        if size == 0 || size > Self::MAX_SIZE {
            return Err(InvalidField::new(
                "size",
                "size is a number from 1 to 1000.",
            ));
        }
        let query = query.map(str::trim).filter(|query| !query.is_empty());
        if query.is_some_and(|query| query.chars().count() > Self::MAX_QUERY_CHARS) {
            return Err(InvalidField::new("q", "q has at most 255 characters."));
        }
        if query.is_some_and(|query| query.contains('\0')) {
            return Err(InvalidField::new("q", "q can't contain a NUL character."));
        }
        Ok(Self {
            page,
            size,
            filter,
            query: query.map(str::to_owned),
        })
    }

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

    /// Rows before this page.
    pub fn offset(&self) -> u64 {
        (self.page - 1) * u64::from(self.size)
    }

    /// Pages that `total` rows fill; at least 1.
    pub fn pages(&self, total: u64) -> u64 {
        total.div_ceil(u64::from(self.size)).max(1)
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
        assert_eq!((page.offset(), page.query(), page.pages(41)), (40, None, 3));
        assert_eq!(page.pages(0), 1);
        assert!("broken".parse::<RowFilter>().is_err());
    }
}
