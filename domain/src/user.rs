//! Users, and the rules for their names and email addresses.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{UserId, hidden::has_hidden};

/// A person or program that uploads files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct User {
    pub id: UserId,
    pub name: String,
    pub email: String,
    pub created_at: DateTime<Utc>,
}

/// A parsed request for a new user.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub name: UserName,
    pub email: Email,
}

impl NewUser {
    /// Returns an error for each invalid field.
    pub fn parse(name: &str, email: &str) -> Result<Self, Vec<InvalidField>> {
        let (name, email) = both(UserName::parse(name), Email::parse(email))?;
        Ok(Self { name, email })
    }
}

/// A parsed request to change a user. `None` leaves a field unchanged.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    pub name: Option<UserName>,
    pub email: Option<Email>,
}

impl UserChange {
    /// Returns an error for each invalid field.
    pub fn parse(name: Option<&str>, email: Option<&str>) -> Result<Self, Vec<InvalidField>> {
        let name = name.map(UserName::parse).transpose();
        let email = email.map(Email::parse).transpose();
        let (name, email) = both(name, email)?;
        Ok(Self { name, email })
    }
}

fn both<A, B>(
    first: Result<A, InvalidField>,
    second: Result<B, InvalidField>,
) -> Result<(A, B), Vec<InvalidField>> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (first, second) => Err([first.err(), second.err()].into_iter().flatten().collect()),
    }
}

/// The number of characters of an unknown name that a response repeats.
pub const MAX_NAMED_CHARS: usize = 64;

/// A typed value that can't be accepted: the field, and the reason as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InvalidField {
    pub field: String,
    pub message: String,
}

impl InvalidField {
    pub fn new(field: &str, message: &str) -> Self {
        Self {
            field: field.to_owned(),
            message: message.to_owned(),
        }
    }

    /// Returns the error for a field that a form of ours doesn't have. Somebody may have misspelt its name.
    pub fn unknown_in_form(name: &str) -> Self {
        let name: String = name.chars().take(MAX_NAMED_CHARS).collect();
        Self::new(&name, &format!("This form has no field \"{name}\"."))
    }
}

impl fmt::Display for InvalidField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for InvalidField {}

impl From<validator::InvalidFormat> for InvalidField {
    fn from(invalid: validator::InvalidFormat) -> Self {
        let field = match invalid.key.as_str() {
            "" => "format".to_owned(),
            key => format!("format.{key}"),
        };
        Self::new(&field, &invalid.to_string())
    }
}

impl From<validator::UnknownFilter> for InvalidField {
    fn from(unknown: validator::UnknownFilter) -> Self {
        Self::new("filter", &unknown.to_string())
    }
}

/// A name of 1 to 100 visible characters, trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName(String);

impl UserName {
    pub const MAX_CHARS: usize = 100;

    pub fn parse(raw: &str) -> Result<Self, InvalidField> {
        let name = raw.trim();
        if name.is_empty() {
            return Err(InvalidField::new("name", "Enter a name."));
        }
        if raw.chars().count() > Self::MAX_CHARS {
            return Err(InvalidField::new(
                "name",
                "The name is too long: use at most 100 characters.",
            ));
        }
        if has_hidden(raw) {
            return Err(InvalidField::new(
                "name",
                "The name contains a line break or another character that can't be seen. Type it again.",
            ));
        }
        Ok(Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An email address that the HTML standard's `type=email` accepts, with a dot in its domain and at most 254 characters
/// (RFC 5321, 4.5.3.1.3). It is kept as typed, and is unique regardless of case.
///
/// Source: <https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    pub const MAX_CHARS: usize = 254;

    pub fn parse(raw: &str) -> Result<Self, InvalidField> {
        let email = raw.trim();
        if email.is_empty() {
            return Err(InvalidField::new("email", "Enter an email address."));
        }
        if raw.len() > Self::MAX_CHARS {
            return Err(InvalidField::new(
                "email",
                "The email address is too long: use at most 254 characters.",
            ));
        }
        if !is_email(email) {
            return Err(InvalidField::new(
                "email",
                "Enter an email address like name@example.com.",
            ));
        }
        Ok(Self(email.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_email(email: &str) -> bool {
    let Some((local, domain)) = email.split_once('@') else {
        return false;
    };
    let local_ok = !local.is_empty()
        && local
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b));
    let label_ok = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    local_ok && domain.contains('.') && domain.split('.').all(label_ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn email_addresses() {
        for good in [
            "a@b.co",
            " ann@example.com ",
            "first.last+tag@sub.example.co.uk",
            "O'Neil@example.com",
        ] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "   ",
            "ann",
            "ann@",
            "@example.com",
            "ann@example",
            "a b@example.com",
            "a@b@example.com",
            "a@-x.com",
            "a@x-.com",
            "a@x..com",
            "a@.com",
            "ä@example.com",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad}");
        }
        assert!(Email::parse(&format!("a@{}.com", "x".repeat(250))).is_err());
        assert_eq!(
            Email::parse(" A@B.co ").map(|e| e.0),
            Ok("A@B.co".to_owned())
        );
    }

    #[test]
    fn names() {
        assert_eq!(
            UserName::parse("  Zoë  ").map(|n| n.0),
            Ok("Zoë".to_owned())
        );
        assert!(UserName::parse(" \t ").is_err());
        assert!(UserName::parse("a\nb").is_err());
        assert!(UserName::parse("Ann\u{202e}").is_err());
        assert!(UserName::parse(&"ü".repeat(100)).is_ok());
        assert!(UserName::parse(&"ü".repeat(101)).is_err());
    }
}
