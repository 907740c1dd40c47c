//! The work on one attempt at a job: plan the file, validate its chunks, finish; or, for a small file, all of it in
//! one step.
//!
//! Each step may be repeated at any time and from several places at once, as Temporal repeats what
//! it isn't sure about. The ledger decides what counts: a chunk's verdicts are committed once.

mod applied;
mod content;
mod convert;
mod duplicates;
mod finish;
mod plan;
mod scratch;
mod small_file;
mod spill;
mod validate;

pub use finish::{complete, fail};
pub use plan::plan;
pub use scratch::remove_abandoned;
pub(crate) use small_file::is_small;
pub use small_file::{SMALL_BYTES, process_small_file};
pub use validate::validate_chunks;

use sqlx::PgPool;
use validator::{Counts, FileError};

use crate::{Backend, database, jobs::transition, storage::ReadError, temporal::Attempt};

/// Lets the attempt begin unless it has: whoever asked for it may have died before they did. `workflow_id` names a workflow
/// that it shares with others.
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

/// What a step has committed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Committed {
    pub counts: Counts,
    pub chunks: u64,
}

/// Why a step did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The job is gone, finished, or in a later attempt: there is nothing left to do for this one.
    #[error("the attempt is outdated")]
    Outdated,
    /// The file can't be processed, whoever tries: a sentence for the person who uploaded it.
    #[error("{0}")]
    Unreadable(String),
    /// Trying again can't help either, but the file is not to blame.
    #[error("the step can't succeed: {0:#}")]
    Defect(anyhow::Error),
    /// Infrastructure: try again for as long as it lasts.
    #[error("{0:#}")]
    Retry(anyhow::Error),
}

impl StepError {
    /// Notes at the job why its file can't be read, with the questions that must be answered first and the name of the
    /// saved format that was applied.
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
        // SQLSTATE class 22, "data exception": these very values will never be accepted.
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
            error => Self::Retry(error.into()),
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

/// A blocking task that panicked is a defect of ours; one that was cancelled met the end of the program.
impl From<tokio::task::JoinError> for StepError {
    fn from(error: tokio::task::JoinError) -> Self {
        match error.is_panic() {
            true => Self::Defect(error.into()),
            false => Self::Retry(error.into()),
        }
    }
}
