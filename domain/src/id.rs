//! The ids of users and jobs.

use std::{fmt, num::ParseIntError, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// Returns the number that PostgreSQL has.
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
            type Err = ParseIntError;

            fn from_str(id: &str) -> Result<Self, Self::Err> {
                id.parse().map(Self)
            }
        }
    };
}

id! {
    /// The number of a user.
    UserId
}

id! {
    /// The number of a job.
    JobId
}

id! {
    /// The number of a saved format.
    SavedFormatId
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
        assert!("7x".parse::<JobId>().is_err());
    }
}
