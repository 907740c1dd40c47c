//! The last step: sets the final status.

use super::StepError;
use crate::{
    Backend, database,
    jobs::{query, transition},
    ledger,
    saved_formats::{self, CompletedFile},
    temporal::Attempt,
    traces,
};

/// Marks the attempt as completed once every row has a verdict, and saves the given format. Does nothing if the attempt is
/// already over.
pub async fn complete(backend: &Backend, attempt: Attempt) -> Result<(), StepError> {
    traces::statement("update", "jobs", complete_job(backend, attempt)).await
}

async fn complete_job(backend: &Backend, attempt: Attempt) -> Result<(), StepError> {
    let mut tx = database::begin(&backend.pool).await?;
    let Some(job) = query::completing(&mut *tx, attempt).await? else {
        return Ok(());
    };
    let file = CompletedFile {
        user_id: job.user_id.into(),
        job_id: attempt.job_id,
        filename: &job.filename,
        given: job.layout.0.format_to_save(&job.format.0),
        chosen: job.saved_format_id.map(Into::into),
        header: job.layout.0.header_key(),
    };
    saved_formats::save_after_completion(&mut tx, &file).await?;
    if transition::complete(tx, attempt).await? {
        return Ok(());
    }
    // Either the attempt is already over, or rows are missing.
    match ledger::missing_rows(&backend.pool, attempt).await? {
        None => Ok(()),
        Some(rows) => Err(StepError::Defect(anyhow::anyhow!(
            "{rows} rows have no verdict"
        ))),
    }
}

/// Marks the attempt as failed. `error` is a sentence for the person who uploaded the file.
pub async fn fail(backend: &Backend, attempt: Attempt, error: &str) -> Result<(), StepError> {
    let failed = transition::fail(&backend.pool, attempt, error);
    match traces::statement("update", "jobs", failed).await? {
        true => Ok(()),
        false => Err(StepError::Outdated),
    }
}
