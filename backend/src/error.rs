//! The one error of all use cases. Its variants are what a caller can act on; `Display` of all but
//! [`Error::Internal`] is a sentence for people.

use domain::InvalidField;

/// What is said of a job whose file can't be read any more.
pub(crate) const FILE_MISSING: &str = "The job's file is no longer in the storage, so its rows can't be read. Upload the \
                                       file again, or ask your administrator to restore it.";

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `User` or `Job`. What belongs to somebody else is not found either.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The viewer may see it, and may not do it.
    #[error("{0}")]
    Forbidden(String),
    /// The state of things forbids it.
    #[error("{0}")]
    Conflict(String),
    /// The user has as much as they may have.
    #[error("{0}")]
    QuotaExceeded(String),
    #[error("{0}")]
    Invalid(InvalidField),
    #[error("The file is larger than {limit} bytes, the most that is accepted here.")]
    TooLarge { limit: u64 },
    /// What came from the caller broke off or is malformed.
    #[error("{0}")]
    BadUpload(String),
    /// A service behind us doesn't answer; trying again later can help.
    #[error("{0}")]
    Unavailable(String),
    /// Anything else: to be logged once, where it is answered, and never shown.
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
            let sentence = "The database takes too long to answer. Try again in a moment.";
            return Self::Unavailable(sentence.to_owned());
        }
        if !is_outage(&error) {
            return Self::Internal(error.into());
        }
        tracing::warn!(%error, "PostgreSQL can't be reached");
        Self::Unavailable("The database can't be reached. Try again in a moment.".to_owned())
    }
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        match error {
            // What a store that is away, or refuses to serve, comes to once the retries are used up.
            object_store::Error::Generic { .. } => {
                tracing::warn!(%error, "the file storage can't be used");
                let sentence = "The file storage can't be reached. Try again in a moment.";
                Self::Unavailable(sentence.to_owned())
            }
            // As after a restore of a database and files of different moments.
            object_store::Error::NotFound { path, .. } => {
                tracing::error!(path, "a job's file is missing from the storage");
                Self::Conflict(FILE_MISSING.to_owned())
            }
            error => Self::Internal(anyhow::Error::new(error).context("file storage")),
        }
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

/// Whether PostgreSQL is away, starting, stopping or full, rather than at odds with us.
fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
        // SQLSTATE classes 08, "connection exception", and 53, "insufficient resources"; 57P… is the
        // server being shut down or not up yet.
        // https://www.postgresql.org/docs/current/errcodes-appendix.html
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "53", "57P"]
                .iter()
                .any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

/// Whether PostgreSQL has ended the statement, as after `statement_timeout`.
fn is_cancelled(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.code())
        .is_some_and(|code| code == "57014")
}

/// Whether `error` is the violation of the constraint or unique index of this name.
pub(crate) fn violates(error: &sqlx::Error, constraint: &str) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.constraint())
        == Some(constraint)
}
