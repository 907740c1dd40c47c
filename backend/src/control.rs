//! Starts, pauses, resumes, cancels and retries jobs.
//!
//! The job's row decides. Each command that changes something assigns a new attempt number, and only work of the
//! current attempt can commit. This fences off the work of earlier attempts at once, whatever Temporal does with it and
//! however late it wakes up. Ending the workflow only frees the workers sooner.

use std::collections::HashMap;

use domain::{AuditKind, Command, Effect, GivenFormat, Job, JobId, JobStatus, SavedFormatId};
use futures::{StreamExt, stream};

use crate::{
    Backend, Error, Result,
    access::{Act, Viewer, check_job},
    audit::{self, Event},
    database,
    jobs::{list, query, transition, usage},
    maintenance, own_task, processing, saved_formats,
    starter::{self, Order},
    temporal::{Assignment, Attempt},
    traces,
};

/// The number of jobs that a bulk command handles at the same time. Small files among them share a workflow.
const COMMANDED_AT_ONCE: usize = 16;

/// The result of a command.
pub struct CommandResult {
    pub job: Job,
    /// Whether this command has changed the job. If not, an earlier command had the same effect.
    pub has_changed: bool,
}

impl CommandResult {
    fn changed(job: Job) -> Self {
        Self {
            job,
            has_changed: true,
        }
    }
}

/// Carries out a command and returns the job afterwards. The command takes effect once, however often and from however
/// many clients it arrives. `given` says how to read the file of a job that is started or retried, and adds to what was
/// given before.
///
/// # Errors
///
/// Returns [`Error::Conflict`] if the job's state forbids the command or `given` comes too late, [`Error::Invalid`] if
/// the user has no saved format with the given name, [`Error::QuotaExceeded`] if the user already has the maximum
/// number of jobs in progress, and [`Error::Unavailable`] if Temporal doesn't accept a job that has to run. After an
/// error nothing has changed.
pub async fn command(
    backend: &Backend,
    viewer: &Viewer,
    job_id: JobId,
    command: Command,
    given: &GivenFormat,
) -> Result<CommandResult> {
    let (backend, viewer, given) = (backend.clone(), viewer.clone(), given.clone());
    // Runs in a separate task. If the client disconnected halfway, the change would be made but missing from the audit.
    let executed = async move { execute(&backend, &viewer, job_id, command, &given).await };
    own_task::complete(executed).await
}

async fn execute(
    backend: &Backend,
    viewer: &Viewer,
    job_id: JobId,
    command: Command,
    given: &GivenFormat,
) -> Result<CommandResult> {
    check_job(&backend.pool, viewer, job_id, Act::Change).await?;
    loop {
        let job = query::get(&backend.pool, job_id).await?;
        let current = Attempt::of(&job);
        let status = match command.effect_on(job.state.status) {
            Ok(Effect::Change(status)) => status,
            Ok(Effect::Nothing) if is_given(backend, &job, given).await? => {
                return Ok(CommandResult {
                    job,
                    has_changed: false,
                });
            }
            Ok(Effect::Nothing) => {
                return Err(Error::Conflict(format!(
                    "The format can't be changed: the job is {}.",
                    job.state.status
                )));
            }
            Err(forbidden) => return Err(Error::Conflict(forbidden.to_string())),
        };
        let event = Event::done(kind_of(command)).of_job(job.state.user_id, job_id);
        let result = match status {
            JobStatus::Processing => {
                if job.state.status != JobStatus::Paused
                    && !given.is_empty()
                    && !give(backend, &job, given).await?
                {
                    continue;
                }
                let attempt = current.next();
                let order = Order {
                    attempt,
                    actor: viewer.into(),
                    event: event.of_attempt(attempt.number),
                };
                run(backend, &job, order).await?
            }
            status => {
                let stop = async {
                    let mut tx = database::begin(&backend.pool).await?;
                    let stopped = transition::stop(&mut tx, current, status).await?;
                    if stopped.is_some() {
                        audit::record(&mut *tx, viewer, event).await?;
                    }
                    tx.commit().await?;
                    Ok::<_, Error>(stopped)
                };
                let stopped = traces::statement("update", "jobs", stop).await?;
                if stopped.is_some() {
                    backend.temporal.terminate_soon(current, status);
                }
                stopped.map(CommandResult::changed)
            }
        };
        // Without a change, somebody else was faster. Check again what the command means now.
        if let Some(result) = result {
            return Ok(result);
        }
    }
}

/// The result of a bulk command for one job.
pub struct Outcome {
    pub job_id: JobId,
    /// The name of the file, or `None` if there is no such job.
    pub filename: Option<String>,
    /// Whether the command has changed the job.
    pub has_changed: Result<bool>,
}

/// Sends the same command to each of these jobs. They succeed or fail independently.
pub async fn command_each(
    backend: &Backend,
    viewer: &Viewer,
    jobs: &[JobId],
    order: Command,
) -> Result<Vec<Outcome>> {
    let (backend, viewer, jobs) = (backend.clone(), viewer.clone(), jobs.to_vec());
    // Runs in a separate task. If the client disconnected halfway, the other jobs would never get the command.
    let executed = async move { execute_each(&backend, &viewer, jobs, order).await };
    own_task::complete(executed).await
}

async fn execute_each(
    backend: &Backend,
    viewer: &Viewer,
    jobs: Vec<JobId>,
    order: Command,
) -> Result<Vec<Outcome>> {
    let names: HashMap<JobId, String> = list::chosen(&backend.pool, viewer.owner(), &jobs)
        .await?
        .into_iter()
        .map(|job| (job.id, job.filename))
        .collect();
    let names = &names;
    let outcomes = stream::iter(jobs).map(|job_id| async move {
        if !names.contains_key(&job_id) {
            return (job_id, Err(Error::NotFound("Job")));
        }
        let commanded = command(backend, viewer, job_id, order, &GivenFormat::default()).await;
        (job_id, commanded.map(|commanded| commanded.has_changed))
    });
    let outcomes = outcomes
        .buffered(COMMANDED_AT_ONCE)
        .map(|(job_id, has_changed)| Outcome {
            job_id,
            filename: names.get(&job_id).cloned(),
            has_changed,
        });
    Ok(outcomes.collect().await)
}

fn kind_of(command: Command) -> AuditKind {
    match command {
        Command::Start => AuditKind::Start,
        Command::Pause => AuditKind::Pause,
        Command::Resume => AuditKind::Resume,
        Command::Cancel => AuditKind::Cancel,
        Command::Retry => AuditKind::Retry,
    }
}

/// Returns whether everything in `given` was given before.
async fn is_given(backend: &Backend, job: &Job, given: &GivenFormat) -> Result<bool> {
    if given.is_empty() {
        return Ok(true);
    }
    let saved = chosen(backend, job, given).await?;
    let before = query::file_format(&backend.pool, job.id).await?;
    let is_chosen = saved.is_none_or(|id| before.saved_format_id == Some(id.get()));
    Ok(is_chosen && given.format.apply(&before.format.0) == before.format.0)
}

/// Returns the saved format that `given` names.
async fn chosen(
    backend: &Backend,
    job: &Job,
    given: &GivenFormat,
) -> Result<Option<SavedFormatId>> {
    match &given.saved {
        Some(name) => {
            let user_id = job.state.user_id;
            let id = saved_formats::find_by_name(&backend.pool, user_id, name).await?;
            Ok(Some(id))
        }
        None => Ok(None),
    }
}

/// Stores what is given about the job's file. Returns whether the job is still in this attempt.
async fn give(backend: &Backend, job: &Job, given: &GivenFormat) -> Result<bool> {
    let saved = chosen(backend, job, given).await?;
    let before = query::file_format(&backend.pool, job.id).await?.format.0;
    let format = given.format.apply(&before);
    transition::give_format(&backend.pool, Attempt::of(job), &format, saved).await
}

/// Starts the job's next attempt. Temporal accepts the workflow first, and only then does the job appear as started. If
/// this process dies in between, the first step of the workflow does the rest.
async fn run(backend: &Backend, job: &Job, order: Order) -> Result<Option<CommandResult>> {
    // The transition checks this too. Checking early avoids a workflow that can do nothing.
    usage::check_start(&backend.pool, job.state.user_id, &backend.quotas).await?;
    let is_small =
        processing::is_small(job.bytes) && query::fits_one_step(&backend.pool, job.id).await?;
    let begun = if is_small {
        backend.starter.start(order.clone()).await?
    } else {
        let assignment = Assignment {
            attempt: order.attempt,
            bytes: job.bytes,
        };
        backend.temporal.start(assignment).await?;
        let orders = std::slice::from_ref(&order);
        starter::begin(&backend.pool, &backend.quotas, orders, None)
            .await?
            .pop()
    };
    if job.state.run > 0 {
        // Remove the results of an earlier attempt.
        maintenance::sweep_soon(&backend.pool, &backend.storage);
    }
    match begun {
        Some(job) => Ok(Some(CommandResult::changed(job))),
        None => begun_by_its_workflow(backend, order).await,
    }
}

/// Returns the job if its workflow was faster and has already begun, or even finished, this attempt. Of all who asked for
/// the attempt, the one whose event is in the audit has changed the job.
async fn begun_by_its_workflow(backend: &Backend, order: Order) -> Result<Option<CommandResult>> {
    let job = query::get(&backend.pool, order.attempt.job_id).await?;
    let stopped = matches!(job.state.status, JobStatus::Paused | JobStatus::Cancelled);
    if Attempt::of(&job) != order.attempt || stopped {
        return Ok(None);
    }
    let has_changed = audit::note(&backend.pool, order.actor, order.event).await;
    Ok(Some(CommandResult { job, has_changed }))
}
