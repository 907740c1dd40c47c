//! Saved formats of users, and the rules for their names and headers.

use chrono::{DateTime, Utc};
use serde::Serialize;
use validator::{Format, FormatChange, header_key};

use crate::{
    InvalidField, SavedFormatId,
    hidden::{has_hidden, without_hidden},
};

/// The format of a user's files with a certain header, or one that is only known by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SavedFormat {
    pub id: SavedFormatId,
    /// Unique for the user.
    pub name: String,
    /// The names of the header, trimmed and in lower case. `null` if the format applies only when it is chosen by name.
    pub header: Option<Vec<String>>,
    pub format: Format,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl SavedFormat {
    /// The maximum number of formats per user.
    pub const MAX_PER_USER: usize = 200;
}

/// A parsed request for a new saved format.
#[derive(Debug, Clone)]
pub struct NewSavedFormat {
    pub name: FormatName,
    pub header: Option<HeaderKey>,
    pub format: Format,
}

/// A parsed request to change a saved format. `None` leaves a field unchanged.
#[derive(Debug, Clone, Default)]
pub struct SavedFormatChange {
    pub name: Option<FormatName>,
    /// `Some(None)` detaches it from its header.
    pub header: Option<Option<HeaderKey>>,
    pub format: Option<Format>,
}

/// The format that a request gives for a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenFormat {
    pub format: FormatChange,
    /// The name of one of the user's saved formats.
    pub saved: Option<FormatName>,
}

impl GivenFormat {
    pub fn is_empty(&self) -> bool {
        self.format.is_empty() && self.saved.is_none()
    }
}

/// A name of 1 to 100 visible characters, trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatName(String);

impl FormatName {
    pub const MAX_CHARS: usize = 100;

    pub fn parse(raw: &str) -> Result<Self, InvalidField> {
        Self::parse_field("name", raw)
    }

    /// Parses a name from a form or body whose field isn't called `name`.
    pub fn parse_field(field: &str, raw: &str) -> Result<Self, InvalidField> {
        let name = raw.trim();
        if name.is_empty() {
            return Err(InvalidField::new(field, "Enter a name for the format."));
        }
        if raw.chars().count() > Self::MAX_CHARS {
            return Err(InvalidField::new(
                field,
                "The name of the format is too long: use at most 100 characters.",
            ));
        }
        if has_hidden(raw) {
            return Err(InvalidField::new(
                field,
                "The name of the format contains a line break or another character that can't be seen. Type it again.",
            ));
        }
        Ok(Self(name.to_owned()))
    }

    /// Returns the name of a format that is created for a file of this name. If it is taken, a `number` from 2 on
    /// yields alternatives.
    pub fn of_file(filename: &str, number: usize) -> Self {
        let stem = match filename.rsplit_once('.') {
            Some((stem, _)) if !stem.trim().is_empty() => stem,
            _ => filename,
        };
        let suffix = match number {
            0 | 1 => String::new(),
            number => format!(" ({number})"),
        };
        let stem: String = without_hidden(stem.trim())
            .chars()
            .take(Self::MAX_CHARS - suffix.len())
            .collect();
        match stem.trim() {
            "" => Self(format!("Format{suffix}")),
            stem => Self(format!("{stem}{suffix}")),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The names of a header, as the key of a saved format: 2 to 1,000 names, trimmed, in lower case, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderKey(Vec<String>);

/// The maximum number of characters in all names of an imported header.
const MAX_HEADER_CHARS: usize = 100_000;

impl HeaderKey {
    pub fn parse(names: &[String]) -> Result<Self, InvalidField> {
        let chars: usize = names.iter().map(|name| name.chars().count()).sum();
        if chars > MAX_HEADER_CHARS || names.iter().any(|name| name.contains('\0')) {
            return Err(InvalidField::new(
                "header",
                "The header has more than 100,000 characters, or one of them is NUL.",
            ));
        }
        header_key(names).map(Self).ok_or_else(|| {
            InvalidField::new(
                "header",
                "A header has 2 to 1,000 names. Leave it out for files without a header.",
            )
        })
    }

    pub fn names(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_formats_come_from_files() {
        let name = |filename, number| FormatName::of_file(filename, number).0;
        assert_eq!(name("May.2024.csv", 1), "May.2024");
        assert_eq!(name("bank.csv", 2), "bank (2)");
        assert_eq!(name(".csv", 1), ".csv");
        assert_eq!(name(&"x".repeat(255), 12).len(), 100);
    }

    #[test]
    fn headers_are_normalised() {
        let key = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            HeaderKey::parse(&names).map(|key| key.0)
        };
        assert_eq!(
            key(&[" Betrag", "WÄHRUNG", " "]),
            Ok(vec!["betrag".to_owned(), "währung".to_owned()])
        );
        assert!(key(&["one", ""]).is_err());
        assert!(key(&["one\0", "two"]).is_err());
    }
}
