//! Finds jobs that appear to be in progress while nothing works on them.
//!
//! The cause is always external: an operator terminated or cancelled a workflow, or Temporal lost its data. Such a job
//! is marked as failed, with the reason, and can be retried.

use std::time::Duration;

use crate::{
    Backend, Result,
    jobs::{query, transition},
};

/// A job that has changed within this time is assumed to be in progress.
const QUIET: Duration = Duration::from_secs(10);

/// Checks all jobs that are being processed but haven't made progress for a while. A job about which Temporal can't
/// answer right now is left for the next round.
pub(super) async fn reconcile(backend: &Backend) -> Result<()> {
    for job in query::quiet(&backend.pool, QUIET).await? {
        let attempt = job.attempt;
        let workflow_id = job
            .shared_workflow_id
            .unwrap_or_else(|| attempt.workflow_id());
        let how = match backend.temporal.ended(&workflow_id).await {
            Ok(None) => continue,
            Ok(Some(how)) => how,
            Err(error) => {
                tracing::debug!(
                    job_id = attempt.job_id.get(),
                    error = format!("{error:#}"),
                    "the workflow of a job can't be queried"
                );
                continue;
            }
        };
        let error = format!(
            "Processing stopped because its workflow {how}. Retry the job to process the file \
             again."
        );
        // If the workflow has just completed normally, this changes nothing.
        if transition::fail(&backend.pool, attempt, &error).await? {
            tracing::warn!(
                job_id = attempt.job_id.get(),
                "a job whose workflow {how} is marked as failed"
            );
        }
    }
    Ok(())
}
