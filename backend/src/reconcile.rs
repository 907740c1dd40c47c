//! Finds jobs that look as if they were being processed while nothing works on them.
//!
//! That takes somebody from outside: a workflow that was terminated or cancelled by an operator, a
//! Temporal whose memory was lost. Such a job is marked as failed, with the reason, and can be retried.

use std::time::Duration;

use crate::{Backend, Result, Run, jobs::JobRow, processing};

/// A job that has changed within this time is taken to be worked on.
const QUIET: Duration = Duration::from_secs(10);

/// Looks at all jobs that are being processed and haven't moved for a while. One of which Temporal can't
/// say anything at the moment is left for the next time.
pub(crate) async fn reconcile(backend: &Backend) -> Result<()> {
    let quiet = sqlx::query_as!(
        JobRow,
        "select * from jobs
         where status = 'processing' and updated_at < clock_timestamp() - $1 * interval '1 second'
         order by updated_at",
        QUIET.as_secs_f64()
    )
    .fetch_all(&backend.pool)
    .await?;
    for job in quiet {
        let run = Run {
            job_id: job.id,
            run: job.run as u32,
        };
        let workflow_id = job.shared_workflow_id.unwrap_or_else(|| run.workflow_id());
        let how = match backend.temporal.ended(&workflow_id).await {
            Ok(None) => continue,
            Ok(Some(how)) => how,
            Err(error) => {
                tracing::debug!(
                    job_id = run.job_id,
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
        if processing::fail(backend, run, &error).await.is_ok() {
            tracing::warn!(
                job_id = run.job_id,
                "a job whose workflow {how} is marked as failed"
            );
        }
    }
    Ok(())
}
