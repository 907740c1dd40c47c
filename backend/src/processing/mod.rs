//! Processes one attempt at a job: plans the file, validates its chunks and finishes, or does all of it in one step for
//! a small file.
//!
//! Temporal repeats steps whose outcome it doesn't know, so each step may run at any time and several times at once.
//! The ledger decides what counts: the verdicts of a chunk are committed once.

mod applied;
mod content;
mod convert;
mod duplicates;
mod finish;
mod plan;
mod scratch;
mod small_file;
mod spill;
mod tries;
mod validate;

pub use finish::{complete, fail};
pub use plan::plan;
pub use scratch::remove_abandoned;
pub(crate) use small_file::is_small;
pub use small_file::{SMALL_BYTES, process_small_file};
pub use validate::validate_chunks;

use sqlx::PgPool;
use validator::{Counts, FileError};

use crate::{
    Backend, database, error::storage_error, jobs::transition, storage::ReadError,
    temporal::Attempt,
};

/// Begins the attempt unless it has begun, because the process that requested it may have died first. `workflow_id`
/// names a workflow that the attempt shares with others.
async fn begin(
    backend: &Backend,
    attempt: Attempt,
    workflow_id: Option<&str>,
) -> Result<(), StepError> {
    let mut tx = database::begin(&backend.pool).await?;
    transition::begin(&mut tx, &backend.quotas, &[attempt], workflow_id).await?;
    tx.commit().await?;
    Ok(())
}

/// The rows and chunks that a step has committed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Committed {
    pub counts: Counts,
    pub chunks: u64,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The job is gone, finished, or in a later attempt. Nothing is left to do for this one.
    #[error("the attempt is outdated")]
    Outdated,
    /// No retry can process the file. Contains a sentence for the person who uploaded it.
    #[error("{0}")]
    Unreadable(String),
    /// No retry can help, but the file isn't to blame.
    #[error("the step can't succeed: {0:#}")]
    Defect(anyhow::Error),
    /// The infrastructure failed. Retry until it works again.
    #[error("{0:#}")]
    Retry(anyhow::Error),
    /// The file storage failed. Retry until it works again. Contains a sentence that says what is wrong, with advice.
    #[error("{1:#}")]
    Storage(&'static str, anyhow::Error),
}

/// Publishes what the job waits for if a step of the attempt failed because of the file storage. Costs nothing otherwise.
pub async fn waits(backend: &Backend, attempt: Attempt, error: &StepError) {
    let StepError::Storage(sentence, _) = error else {
        return;
    };
    // The advice is for somebody who could try again.
    let what = sentence.split_inclusive('.').next().unwrap_or(sentence);
    match database::in_time(transition::waits(&backend.pool, attempt, what)).await {
        Ok(true) => backend.publisher.progress(attempt.job_id),
        Ok(false) => {}
        Err(error) => tracing::debug!(%error, "what a job waits for could not be recorded"),
    }
}

impl StepError {
    /// Stores why the job's file can't be read, with the questions that must be answered first and the name of the
    /// applied saved format.
    async fn refused(
        pool: &PgPool,
        attempt: Attempt,
        error: &FileError,
        applied_format: Option<&str>,
    ) -> Self {
        match transition::refused(pool, attempt, error, applied_format).await {
            Ok(()) => Self::Unreadable(error.to_string()),
            Err(error) => error.into(),
        }
    }
}

impl From<sqlx::Error> for StepError {
    fn from(error: sqlx::Error) -> Self {
        // SQLSTATE class 22, "data exception": PostgreSQL will never accept these values.
        // https://www.postgresql.org/docs/current/errcodes-appendix.html
        let never = error
            .as_database_error()
            .and_then(|error| error.code())
            .is_some_and(|code| code.starts_with("22"));
        match never {
            true => Self::Defect(error.into()),
            false => Self::Retry(error.into()),
        }
    }
}

impl From<object_store::Error> for StepError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Unreadable(
                "The uploaded file is no longer in the storage. Upload it again.".to_owned(),
            ),
            error => Self::Storage(storage_error(&error), error.into()),
        }
    }
}

impl From<ReadError> for StepError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::Changed => Self::Unreadable(
                "The stored file has changed since it was uploaded. Upload it again.".to_owned(),
            ),
        }
    }
}

impl From<crate::Error> for StepError {
    fn from(error: crate::Error) -> Self {
        match error {
            crate::Error::NotFound(_) => Self::Outdated,
            error => Self::Retry(error.into()),
        }
    }
}

/// A panic in a blocking task is a bug of ours. A cancelled task means that the program is shutting down.
impl From<tokio::task::JoinError> for StepError {
    fn from(error: tokio::task::JoinError) -> Self {
        match error.is_panic() {
            true => Self::Defect(error.into()),
            false => Self::Retry(error.into()),
        }
    }
}
