//! Start, pause, resume, cancel, retry.
//!
//! The job's row decides. Each command that changes something gives the job a new run number, and only
//! work of the present run commits: what was under way is fenced off at once, whatever Temporal does with
//! it and however late it wakes up. Ending its workflow only frees the workers sooner.

use domain::{Command, Effect, Job, JobStatus};

use crate::{
    Backend, Error, Result, Run,
    jobs::{self, JobRow},
    progress, removals,
};

/// Does what is asked for, and gives the job as it is then. However often a command comes, and from
/// however many places at once, it takes effect once. Fails with [`Error::Conflict`] when the job's state
/// forbids it, and with [`Error::Unavailable`] when Temporal doesn't take a job that is to run; then
/// nothing has changed.
pub async fn command(backend: &Backend, job_id: i64, command: Command) -> Result<Job> {
    loop {
        let job = jobs::get(backend, job_id).await?;
        let present = Run {
            job_id,
            run: job.run,
        };
        let status = match command.effect_on(job.status) {
            Ok(Effect::Change(status)) => status,
            Ok(Effect::Nothing) => return Ok(job),
            Err(forbidden) => return Err(Error::Conflict(forbidden.to_string())),
        };
        let changed = match status {
            JobStatus::Processing => {
                // Temporal takes the workflow first, and only then does the job look started. If this
                // process dies in between, the workflow's first step does the rest.
                let next = present.next();
                backend.temporal.start(next, job.bytes).await?;
                begin(backend, next).await?
            }
            status => {
                let stopped = stop(backend, present, status).await?;
                if stopped.is_some() {
                    backend.temporal.terminate_soon(present, status);
                }
                stopped
            }
        };
        // Without a change somebody else was faster: see what the command means now.
        if let Some(job) = changed {
            return Ok(job);
        }
    }
}

/// Lets the job be processed in this run, if it is at rest in the run before; otherwise nothing changes.
/// A paused job goes on where it was; any other begins with a new, empty result.
pub(crate) async fn begin(backend: &Backend, run: Run) -> Result<Option<Job>> {
    let mut tx = backend.pool.begin().await?;
    let at_rest = sqlx::query!(
        "select status, result_id from jobs
         where id = $1 and run = $2 - 1 and status in ('pending', 'paused', 'failed', 'cancelled')
         for update",
        run.job_id,
        run.run as i32
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(at_rest) = at_rest else {
        return Ok(None);
    };
    let begun = if at_rest.status == JobStatus::Paused.as_str() {
        sqlx::query_as!(
            JobRow,
            "update jobs
             set status = 'processing', run = run + 1,
                 paused_seconds = paused_seconds + extract(epoch from clock_timestamp() - paused_at),
                 paused_at = null, updated_at = clock_timestamp(), version = version + 1
             where id = $1 returning *",
            run.job_id
        )
        .fetch_one(&mut *tx)
        .await?
    } else {
        if let Some(result_id) = at_rest.result_id {
            sqlx::query!("insert into removals (result_id) values ($1)", result_id)
                .execute(&mut *tx)
                .await?;
        }
        sqlx::query_as!(
            JobRow,
            "update jobs
             set status = 'processing', run = run + 1, result_id = nextval('result_ids'), layout = null,
                 total_records = 0, processed_records = 0, valid_records = 0, invalid_records = 0,
                 suspicious_records = 0, batch_completed = 0, total_batches = 0,
                 started_at = clock_timestamp(), finished_at = null, paused_at = null,
                 paused_seconds = 0, error = null, updated_at = clock_timestamp(),
                 version = version + 1
             where id = $1 returning *",
            run.job_id
        )
        .fetch_one(&mut *tx)
        .await?
    };
    let job = progress::commit(tx, begun).await?;
    if at_rest.result_id.is_some() {
        removals::sweep_soon(backend);
    }
    Ok(Some(job))
}

/// Pauses or cancels the job, if it is still in this run.
async fn stop(backend: &Backend, run: Run, status: JobStatus) -> Result<Option<Job>> {
    let mut tx = backend.pool.begin().await?;
    let stopped = sqlx::query_as!(
        JobRow,
        "update jobs
         set status = $3, run = run + 1,
             paused_at = case when $3 = 'paused' then clock_timestamp() end,
             paused_seconds = paused_seconds
                 + coalesce(extract(epoch from clock_timestamp() - paused_at), 0),
             finished_at = case when $3 = 'cancelled' then clock_timestamp() end,
             updated_at = clock_timestamp(), version = version + 1
         where id = $1 and run = $2 and status in ('processing', 'paused')
         returning *",
        run.job_id,
        run.run as i32,
        status.as_str()
    )
    .fetch_optional(&mut *tx)
    .await?;
    match stopped {
        Some(stopped) => Ok(Some(progress::commit(tx, stopped).await?)),
        None => Ok(None),
    }
}
