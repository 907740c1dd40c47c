//! The single error type of all use cases. Each variant is something a caller can act on. `Display` is a sentence for
//! people, except for [`Error::Internal`].

use std::io;

use domain::InvalidField;

use crate::storage::ReadError;

/// Shown for a job whose file is missing from the storage.
const FILE_MISSING: &str = "The job's file is no longer in the storage, so its rows can't be read. Upload the \
                                       file again, or ask your administrator to restore it.";

/// Shown for a job whose file differs from what was uploaded.
const FILE_CHANGED: &str = "The job's file in the storage has changed since it was uploaded, so its rows can't be read. \
                            Upload the file again, or ask your administrator to restore it.";

pub(crate) const DATABASE_AWAY: &str = "The database can't be reached. Try again in a moment.";
pub(crate) const DATABASE_READ_ONLY: &str =
    "The database is read-only at the moment, so nothing can be changed. Try again later.";
const STORAGE_REFUSES: &str = "The file storage refuses access. Tell your administrator.";
pub(crate) const STORAGE_AWAY: &str = "The file storage can't be reached. Try again in a moment.";

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `User` or `Job`. Also returned for data of other users.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The viewer may see it but not do this.
    #[error("{0}")]
    Forbidden(String),
    /// The viewer may do this, but their session must be authenticated again first.
    #[error("You signed in too long ago for this change. Confirm that it's you, or sign in again.")]
    Unconfirmed,
    /// The current state forbids it.
    #[error("{0}")]
    Conflict(String),
    /// The user has reached a quota.
    #[error("{0}")]
    QuotaExceeded(String),
    #[error("{0}")]
    Invalid(InvalidField),
    #[error("The file is larger than the maximum of {limit} bytes.")]
    TooLarge { limit: u64 },
    /// The storage has too little room for the file.
    #[error("{0}")]
    NoRoom(String),
    /// The upload broke off or is malformed.
    #[error("{0}")]
    BadUpload(String),
    /// A service that we depend on doesn't respond. Retrying later can help.
    #[error("{0}")]
    Unavailable(String),
    /// Anything else. Log it once, where the response is made, and never show it.
    #[error("internal error")]
    Internal(#[source] anyhow::Error),
}

impl From<InvalidField> for Error {
    fn from(invalid: InvalidField) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if is_cancelled(&error) {
            tracing::warn!(%error, "PostgreSQL took too long");
            let sentence = "The database is taking too long to respond. Try again in a moment.";
            return Self::Unavailable(sentence.to_owned());
        }
        let Some(sentence) = outage(&error) else {
            return Self::Internal(error.into());
        };
        tracing::warn!(%error, "PostgreSQL can't be used");
        Self::Unavailable(sentence.to_owned())
    }
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        match error {
            // A store that is unreachable or refuses to serve, after all retries.
            object_store::Error::Generic { .. } => {
                tracing::warn!(%error, "the file storage can't be used");
                Self::Unavailable(storage_error(&error).to_owned())
            }
            // Happens after the database and the files are restored from different backups.
            object_store::Error::NotFound { path, .. } => {
                tracing::error!(path, "a job's file is missing from the storage");
                Self::Unavailable(FILE_MISSING.to_owned())
            }
            // Its credentials or permissions are wrong, or it has reached a quota.
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. } => {
                tracing::error!(%error, "the file storage refuses access");
                Self::Unavailable(storage_error(&error).to_owned())
            }
            error => Self::Internal(anyhow::Error::new(error).context("file storage")),
        }
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::Changed => {
                tracing::error!("a job's file in the storage has changed");
                Self::Unavailable(FILE_CHANGED.to_owned())
            }
        }
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

/// Returns what is wrong if PostgreSQL is unreachable, starting, shutting down, full or read-only. `None` for other
/// errors, which are ours.
fn outage(error: &sqlx::Error) -> Option<&'static str> {
    let code = match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => {
            return Some(DATABASE_AWAY);
        }
        sqlx::Error::Database(error) => error.code()?,
        _ => return None,
    };
    // https://www.postgresql.org/docs/current/errcodes-appendix.html
    match &*code {
        "25006" => Some(DATABASE_READ_ONLY),
        "53100" => Some("The database is full. Tell your administrator."),
        // Classes 08 (connection exception), 53 (insufficient resources) and 57P (shutting down or not yet started).
        code if ["08", "53", "57P"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            Some(DATABASE_AWAY)
        }
        _ => None,
    }
}

/// Returns what is wrong if the storage can't be used, with advice.
pub(crate) fn storage_error(error: &object_store::Error) -> &'static str {
    match error {
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => STORAGE_REFUSES,
        error => disk_error(error).unwrap_or(STORAGE_AWAY),
    }
}

/// Returns what is wrong if a disk is full, read-only or forbidden to us.
pub(crate) fn disk_error(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                return Some("The file storage is full. Tell your administrator.");
            }
            Some(io::ErrorKind::ReadOnlyFilesystem) => {
                return Some("The file storage is read-only at the moment. Try again later.");
            }
            Some(io::ErrorKind::PermissionDenied) => return Some(STORAGE_REFUSES),
            _ => cause = error.source(),
        }
    }
    None
}

/// Returns whether PostgreSQL cancelled the statement, for example after `statement_timeout`.
fn is_cancelled(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.code())
        .is_some_and(|code| code == "57014")
}

/// Returns whether `error` violates the constraint or unique index with this name.
pub(crate) fn violates(error: &sqlx::Error, constraint: &str) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.constraint())
        == Some(constraint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_its_own_message() {
        for (kind, word) in [
            (io::ErrorKind::StorageFull, "full"),
            (io::ErrorKind::QuotaExceeded, "full"),
            (io::ErrorKind::ReadOnlyFilesystem, "read-only"),
            (io::ErrorKind::PermissionDenied, "refuses"),
            (io::ErrorKind::TimedOut, "reached"),
        ] {
            let error = anyhow::Error::new(io::Error::from(kind)).context("writing");
            let error = object_store::Error::Generic {
                store: "LocalFileSystem",
                source: error.into(),
            };
            let sentence = Error::from(error).to_string();
            assert!(sentence.contains(word), "{kind}: {sentence}");
        }
    }
}
