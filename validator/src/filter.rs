//! Selects rows by verdict or by error.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ErrorCode, Verdict};

/// Selects rows by verdict or by one kind of error. Its text is `all`, `valid`, `invalid`, `suspicious`, `ignored`, or
/// an error code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum RowFilter {
    /// All rows except ignored ones.
    #[default]
    All,
    Valid,
    Invalid,
    Suspicious,
    /// Records that are not transactions.
    Ignored,
    /// Invalid rows with this error, possibly among others.
    Problem(ErrorCode),
}

impl RowFilter {
    const BY_VERDICT: [Self; 5] = [
        Self::All,
        Self::Valid,
        Self::Invalid,
        Self::Suspicious,
        Self::Ignored,
    ];

    fn all() -> impl Iterator<Item = Self> {
        let by_code = ErrorCode::ALL.iter().copied().map(Self::Problem);
        Self::BY_VERDICT.into_iter().chain(by_code)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Suspicious => "suspicious",
            Self::Ignored => "ignored",
            Self::Problem(code) => code.as_str(),
        }
    }

    pub const fn problem(self) -> Option<ErrorCode> {
        match self {
            Self::Problem(code) => Some(code),
            _ => None,
        }
    }

    /// Returns whether the filter selects rows with this verdict.
    pub fn matches(self, verdict: Verdict) -> bool {
        match self {
            Self::All => !verdict.is_ignored(),
            Self::Valid => verdict.is_valid(),
            Self::Invalid => verdict.is_invalid(),
            Self::Ignored => verdict.is_ignored(),
            Self::Suspicious => verdict.is_suspicious(),
            Self::Problem(code) => verdict.has(code),
        }
    }
}

impl fmt::Display for RowFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RowFilter {
    type Err = UnknownFilter;

    /// The empty string means `all`.
    fn from_str(filter: &str) -> Result<Self, Self::Err> {
        if filter.is_empty() {
            return Ok(Self::All);
        }
        Self::all()
            .find(|known| known.as_str() == filter)
            .ok_or(UnknownFilter)
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

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for RowFilter {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "Rows by verdict, or those with an error of this code, maybe among others.",
            ))
            .enum_values(Some(Self::all().map(Self::as_str)));
        Schema::from(schema.build()).into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for RowFilter {}

/// The text isn't that of a [`RowFilter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownFilter;

impl fmt::Display for UnknownFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("filter is one of all, valid, invalid, suspicious, ignored, or an error code.")
    }
}

impl std::error::Error for UnknownFilter {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_as_text() {
        for filter in RowFilter::all() {
            assert_eq!(filter.as_str().parse::<RowFilter>().unwrap(), filter);
            let json = serde_json::to_string(&filter).unwrap();
            assert_eq!(serde_json::from_str::<RowFilter>(&json).unwrap(), filter);
        }
        assert_eq!("".parse::<RowFilter>().unwrap(), RowFilter::All);
        assert!("broken".parse::<RowFilter>().is_err());
    }
}
