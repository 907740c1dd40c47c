//! Which rows of a job a reader asks for.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ErrorCode, InvalidField, Row};

/// Rows by verdict, or by one kind of error. As text: `all`, `valid`, `invalid`, `suspicious`, or an error code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum RowFilter {
    #[default]
    All,
    Valid,
    Invalid,
    Suspicious,
    /// Invalid rows with this error, maybe among others.
    Problem(ErrorCode),
}

impl RowFilter {
    const BY_VERDICT: [Self; 4] = [Self::All, Self::Valid, Self::Invalid, Self::Suspicious];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Suspicious => "suspicious",
            Self::Problem(code) => code.as_str(),
        }
    }

    pub const fn problem(self) -> Option<ErrorCode> {
        match self {
            Self::Problem(code) => Some(code),
            _ => None,
        }
    }

    pub fn lets_through(self, row: &Row<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Valid => row.is_valid(),
            Self::Invalid => !row.is_valid(),
            Self::Suspicious => row.is_suspicious,
            Self::Problem(code) => row.errors.iter().any(|error| error.code == code),
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
        Self::BY_VERDICT
            .into_iter()
            .chain(ErrorCode::ALL.map(Self::Problem))
            .find(|known| known.as_str() == filter)
            .ok_or_else(|| {
                InvalidField::new(
                    "filter",
                    "filter is one of all, valid, invalid, suspicious, or an error code.",
                )
            })
    }
}

impl Serialize for RowFilter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RowFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let filter = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        filter.parse().map_err(serde::de::Error::custom)
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
    /// Instead of `page`: the page that holds this row.
    row: Option<u64>,
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
            row: None,
        })
    }

    /// The page of all rows that holds the row of this number, from 1, or the next one that has its verdict.
    pub fn around(row: u64, size: u32) -> Result<Self, InvalidField> {
        if row == 0 || row > i64::MAX as u64 {
            return Err(InvalidField::new("row", "row is a number from 1."));
        }
        let row = Some(row);
        Ok(Self {
            row,
            ..Self::parse(1, size, RowFilter::All, None)?
        })
    }

    /// From 1; says nothing where [`Self::row`] does.
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
        assert_eq!((page.page(), page.query(), page.pages(41)), (3, None, 3));
        assert_eq!(page.pages(0), 1);
        assert!(PageRequest::around(0, 20).is_err());
        assert!(PageRequest::around(u64::MAX, 20).is_err());
        assert_eq!(PageRequest::around(7, 20).unwrap().row(), Some(7));
    }

    #[test]
    fn filters_as_text() {
        let filters = RowFilter::BY_VERDICT
            .into_iter()
            .chain(ErrorCode::ALL.map(RowFilter::Problem));
        for filter in filters {
            assert_eq!(filter.as_str().parse::<RowFilter>().unwrap(), filter);
            let json = serde_json::to_string(&filter).unwrap();
            assert_eq!(serde_json::from_str::<RowFilter>(&json).unwrap(), filter);
        }
        assert_eq!("".parse::<RowFilter>().unwrap(), RowFilter::All);
        assert!("broken".parse::<RowFilter>().is_err());
    }
}
