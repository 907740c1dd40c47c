//! The workflow: plan → validate (chunks in parallel) → complete or fail.
//!
//! **Invariant.** Deterministic: no I/O, no clock, no tokio. The database is the truth; the workflow
//! only sees to it that every chunk is asked for until it is committed.

use std::time::Duration;

use backend::Run;
use serde::{Deserialize, Serialize};
use temporalio_common::{RetryPolicy, error::IncomingError};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityExecutionError, ActivityOptions, ContinueAsNewOptions, WorkflowContext,
    WorkflowContextView, WorkflowResult, WorkflowTermination, workflows::join_all,
};

use crate::activities::{
    Activities, Chunk, DEFECT, Failure, HEARTBEAT_TIMEOUT, OUTDATED, UNREADABLE,
};

/// Chunks of one job that are asked for at the same time, over all workers.
const LANES: usize = 8;

/// How often a step that met trouble with the infrastructure is tried again: for ever, and at least
/// every few seconds.
const FIRST_RETRY: Duration = Duration::from_millis(200);
const SLOWEST_RETRY: Duration = Duration::from_secs(5);

/// The workflow's input: a run, and how far an earlier execution got that continued as this one.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Input {
    #[serde(flatten)]
    run: Run,
    #[serde(default)]
    resume: Option<Position>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Position {
    chunks: u32,
    next_chunk: u32,
}

#[workflow]
pub struct ProcessJob {
    input: Input,
    position: Position,
}

#[workflow_methods]
impl ProcessJob {
    #[init]
    pub fn new(_context: &WorkflowContextView, input: Input) -> Self {
        let position = input.resume.unwrap_or(Position {
            chunks: 0,
            next_chunk: 0,
        });
        Self { input, position }
    }

    #[run(name = "ProcessJob")]
    pub async fn run(context: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        let run = context.state(|state| state.input.run);
        let error = match Self::process(context, run).await {
            Ok(()) => return Ok(()),
            Err(Stop::Workflow(termination)) => return Err(termination),
            Err(Stop::Step(error)) => *error,
        };
        let sentence = match kind(&error) {
            // The job was deleted, or a later run took over.
            Some(OUTDATED) => return Ok(()),
            Some(UNREADABLE) => message(&error),
            Some(DEFECT) => "Something went wrong inside Batchline while this file was processed. \
                             It was recorded; please tell your administrator."
                .to_owned(),
            _ => return Err(error.into()),
        };
        let failure = Failure {
            run,
            error: sentence,
        };
        match context
            .execute_activity(Activities::fail, failure, step(Duration::from_secs(60)))
            .await
        {
            Err(error) if kind(&error) == Some(OUTDATED) => Ok(()),
            result => Ok(result?),
        }
    }
}

/// Why the processing stopped before its end.
enum Stop {
    Step(Box<ActivityExecutionError>),
    /// Eviction, continue-as-new, cancellation: to be passed on as it is.
    Workflow(WorkflowTermination),
}

impl From<ActivityExecutionError> for Stop {
    fn from(error: ActivityExecutionError) -> Self {
        Self::Step(Box::new(error))
    }
}

impl ProcessJob {
    async fn process(context: &WorkflowContext<Self>, run: Run) -> Result<(), Stop> {
        if context.state(|state| state.input.resume.is_none()) {
            // Reading the largest file takes minutes; an hour says that something is stuck.
            let chunks = context
                .execute_activity(Activities::plan, run, step(Duration::from_secs(3600)))
                .await?;
            context.state_mut(|state| state.position.chunks = chunks);
        }
        let lanes = (0..LANES).map(|_| Self::validate_chunks(context.clone(), run));
        for lane in join_all(lanes).await {
            lane?;
        }
        let position = context.state(|state| state.position);
        if position.next_chunk < position.chunks {
            let input = Input {
                run,
                resume: Some(position),
            };
            context
                .continue_as_new(input, ContinueAsNewOptions::default())
                .map_err(Stop::Workflow)?;
        }
        context
            .execute_activity(Activities::complete, run, step(Duration::from_secs(60)))
            .await?;
        Ok(())
    }

    /// One of [`LANES`] loops: takes the next chunk until none is left, or until the history is long
    /// enough to go on in a new execution.
    async fn validate_chunks(
        context: WorkflowContext<Self>,
        run: Run,
    ) -> Result<(), ActivityExecutionError> {
        while !context.continue_as_new_suggested() {
            let next = context.state_mut(|state| {
                let number = state.position.next_chunk;
                (number < state.position.chunks).then(|| {
                    state.position.next_chunk += 1;
                    number
                })
            });
            let Some(number) = next else { break };
            context
                .execute_activity(
                    Activities::validate,
                    Chunk { run, number },
                    step(Duration::from_secs(600)),
                )
                .await?;
        }
        Ok(())
    }
}

/// The type of an activity's own failure, one of the names in `activities`.
fn kind(error: &ActivityExecutionError) -> Option<&str> {
    match error.reason()? {
        IncomingError::Application(failure) => failure.type_name(),
        _ => None,
    }
}

/// What an activity's own failure says.
fn message(error: &ActivityExecutionError) -> String {
    error
        .reason()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

/// A step that is tried again until it succeeds or fails for good. `limit` is for one attempt.
fn step(limit: Duration) -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(limit)
        .heartbeat_timeout(HEARTBEAT_TIMEOUT)
        .retry_policy(
            RetryPolicy::builder()
                .initial_interval(FIRST_RETRY)
                .backoff_coefficient(2.0)
                .maximum_interval(SLOWEST_RETRY)
                // 0 is without limit.
                .maximum_attempts(0)
                .build(),
        )
        .build()
}
