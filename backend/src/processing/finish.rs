//! The last step: the final status.

use super::StepError;
use crate::{Backend, jobs::transition, ledger, temporal::Attempt};

/// Marks the attempt as completed, once every row has its verdict.
pub async fn complete(backend: &Backend, attempt: Attempt) -> Result<(), StepError> {
    if transition::complete(&backend.pool, attempt).await? {
        return Ok(());
    }
    // It is over already, or rows are missing.
    Err(match ledger::missing_rows(&backend.pool, attempt).await? {
        None => StepError::Outdated,
        Some(rows) => StepError::Defect(anyhow::anyhow!("{rows} rows have no verdict")),
    })
}

/// Marks the attempt as failed. `error` is a sentence for the person who uploaded the file.
pub async fn fail(backend: &Backend, attempt: Attempt, error: &str) -> Result<(), StepError> {
    match transition::fail(&backend.pool, attempt, error).await? {
        true => Ok(()),
        false => Err(StepError::Outdated),
    }
}
