//! Finds jobs that look as if they were being processed while nothing works on them.
//!
//! That takes somebody from outside: a workflow that was terminated or cancelled by an operator, a
//! Temporal whose memory was lost. Such a job is marked as failed, with the reason, and can be retried.

use std::time::Duration;

use crate::{
    Backend, Result,
    jobs::{query, transition},
};

/// A job that has changed within this time is taken to be worked on.
const QUIET: Duration = Duration::from_secs(10);

/// Looks at all jobs that are being processed and haven't moved for a while. One of which Temporal can't
/// say anything at the moment is left for the next time.
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
                    "Temporal can't say how a job fares"
                );
                continue;
            }
        };
        let error = format!(
            "The processing has stopped, because its workflow {how}. Retry the job to process the file \
             again."
        );
        // The workflow may have ended just now, in good order: then this changes nothing.
        if transition::fail(&backend.pool, attempt, &error).await? {
            tracing::warn!(
                job_id = attempt.job_id.get(),
                "a job whose workflow {how} is marked as failed"
            );
        }
    }
    Ok(())
}
