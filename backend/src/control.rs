//! Start, pause, resume, cancel, retry.
//!
//! The job's row decides. Each command that changes something gives the job a new run number, and only
//! work of the present run commits: what was under way is fenced off at once, whatever Temporal does with
//! it and however late it wakes up. Ending its workflow only frees the workers sooner.

use domain::{Command, Effect, Job, JobStatus};

use crate::{
    Assignment, Backend, Error, Result, Run,
    jobs::{self, JobRow},
    processing, progress, removals,
};

/// Does what is asked for, and gives the job as it is then. However often a command comes, and from
/// however many places at once, it takes effect once. Fails with [`Error::Conflict`] when the job's state
/// forbids it, and with [`Error::Unavailable`] when Temporal doesn't take a job that is to run; then
/// nothing has changed.
pub async fn command(backend: &Backend, job_id: i64, command: Command) -> Result<Job> {
    loop {
        let row = jobs::row(&backend.pool, job_id).await?;
        let goes_whole = processing::goes_whole(&row);
        let job = Job::try_from(row)?;
        let present = Run::of(&job);
        let status = match command.effect_on(job.status) {
            Ok(Effect::Change(status)) => status,
            Ok(Effect::Nothing) => return Ok(job),
            Err(forbidden) => return Err(Error::Conflict(forbidden.to_string())),
        };
        let changed = match status {
            JobStatus::Processing => {
                // Temporal takes the workflow first, and only then does the job look started. If this
                // process dies in between, the workflow's first step does the rest.
                let run = present.next();
                let begun = if goes_whole {
                    backend.starter.start(backend, run).await?
                } else {
                    let assignment = Assignment {
                        run,
                        bytes: job.bytes,
                    };
                    backend.temporal.start(assignment).await?;
                    begin(backend, &[run], None).await?.pop()
                };
                match begun {
                    Some(job) => Some(job),
                    None => begun_by_its_workflow(backend, run).await?,
                }
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

/// The job if its workflow was faster and has let this run begin, which may even be over.
async fn begun_by_its_workflow(backend: &Backend, run: Run) -> Result<Option<Job>> {
    let job = jobs::get(backend, run.job_id).await?;
    let stopped = matches!(job.status, JobStatus::Paused | JobStatus::Cancelled);
    Ok((Run::of(&job) == run && !stopped).then_some(job))
}

/// Lets these jobs be processed in these runs, and gives those that have begun. A job that isn't at rest in the
/// run before stays as it is. A paused job goes on where it was; any other begins with a new, empty result.
/// `shared_workflow_id` names the workflow unless each has one of its own.
pub(crate) async fn begin(
    backend: &Backend,
    runs: &[Run],
    shared_workflow_id: Option<&str>,
) -> Result<Vec<Job>> {
    let mut tx = backend.pool.begin().await?;
    let begun = sqlx::query_as!(
        JobRow,
        "with at_rest as (
             select id, result_id, status = 'paused' as paused
             from jobs join unnest($1::bigint[], $2::integer[]) as next (job_id, run)
                 on id = next.job_id and jobs.run = next.run - 1
             where status in ('pending', 'paused', 'failed', 'cancelled')
             order by id for update of jobs
         ), removal as (
             insert into removals (result_id)
             select result_id from at_rest where not paused and result_id is not null
         )
         update jobs
         set status = 'processing', run = run + 1, shared_workflow_id = $3,
             result_id = case when paused then jobs.result_id else nextval('result_ids') end,
             layout = case when paused then layout end,
             total_records = case when paused then total_records else 0 end,
             processed_records = case when paused then processed_records else 0 end,
             valid_records = case when paused then valid_records else 0 end,
             invalid_records = case when paused then invalid_records else 0 end,
             suspicious_records = case when paused then suspicious_records else 0 end,
             batch_completed = case when paused then batch_completed else 0 end,
             total_batches = case when paused then total_batches else 0 end,
             started_at = case when paused then started_at else clock_timestamp() end,
             paused_seconds = case when paused then paused_seconds
                 + extract(epoch from clock_timestamp() - paused_at) else 0 end,
             finished_at = null, paused_at = null, error = null, updated_at = clock_timestamp(),
             version = version + 1
         from at_rest where jobs.id = at_rest.id
         returning jobs.*",
        &runs.iter().map(|run| run.job_id).collect::<Vec<_>>(),
        &runs.iter().map(|run| run.run as i32).collect::<Vec<_>>(),
        shared_workflow_id
    )
    .fetch_all(&mut *tx)
    .await?;
    let jobs = progress::commit(tx, begun).await?;
    // A first run has no earlier result.
    if jobs.iter().any(|job| job.run > 1) {
        removals::sweep_soon(backend);
    }
    Ok(jobs)
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
    Ok(progress::commit(tx, stopped).await?.pop())
}
