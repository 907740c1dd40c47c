//! Ids of users, jobs and other entities.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The text isn't an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnId;

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id is a whole number such as 7")
    }
}

impl std::error::Error for NotAnId {}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// Returns the number stored in PostgreSQL.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl From<i64> for $name {
            fn from(id: i64) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            /// Parses only the exact output of `Display`, so that nothing has two addresses.
            fn from_str(id: &str) -> Result<Self, Self::Err> {
                let is_plain = id.bytes().all(|byte| byte.is_ascii_digit())
                    && (id == "0" || !id.starts_with('0'));
                match id.parse() {
                    Ok(number) if is_plain => Ok(Self(number)),
                    _ => Err(NotAnId),
                }
            }
        }
    };
}

id! {
    /// The id of a user.
    UserId
}

id! {
    /// The id of a job.
    JobId
}

id! {
    /// The id of what an attempt at a job has found. A retry begins another one.
    ResultId
}

id! {
    /// The id of a saved format.
    SavedFormatId
}

id! {
    /// The id of a session.
    SessionId
}

id! {
    /// The id of an API token.
    TokenId
}

#[cfg(test)]
mod tests {
    use super::JobId;

    #[test]
    fn an_id_is_its_number_in_text_and_json() {
        let id: JobId = "7".parse().unwrap();
        assert_eq!((id.get(), id.to_string().as_str()), (7, "7"));
        assert_eq!(serde_json::to_string(&id).unwrap(), "7");
        assert_eq!(serde_json::from_str::<JobId>("7").unwrap(), id);
        assert_eq!("0".parse::<JobId>().unwrap().get(), 0);
        for other in ["7x", "+7", "-7", "07", "", " 7", "٧", "9223372036854775808"] {
            assert!(other.parse::<JobId>().is_err(), "{other}");
        }
    }
}
