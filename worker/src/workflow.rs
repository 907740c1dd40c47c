//! The workflow of one job: plan → validate (chunks in parallel) → complete or fail.
//!
//! **Invariant.** Deterministic: no I/O, no clock, no tokio. The database is the truth. The workflow only ensures that
//! every chunk is requested until it is committed.

use std::{collections::VecDeque, ops::Range, time::Duration};

use backend::{Assignment, Attempt, processing::SMALL_BYTES};
use serde::{Deserialize, Serialize};
use temporalio_common::ActivityDefinition;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityExecutionError, ContinueAsNewOptions, WorkflowContext, WorkflowContextView,
    WorkflowResult, WorkflowTermination, workflows::join_all,
};

use crate::{
    activities::{Activities, Chunks, Failure},
    step::{SHORT, Urgency, local_step, reason, step},
};

/// The number of activities of one job that validate its chunks at the same time, across all workers.
const LANES: usize = 8;

/// The number of chunks that one activity validates. Smaller activities would cost more: Temporal needs 10 ms of CPU or
/// more for an activity, and the validator 2 ms for a chunk. Larger ones would delay the steps of other jobs and leave
/// other workers idle.
const CHUNKS_AT_A_TIME: usize = 16;

/// Up to this many remaining chunks form one activity, because splitting them would save less time than another
/// activity costs.
const LAST_CHUNKS: usize = 24;

/// The patch that introduced both constants. Workflows that started before it continue with up to four chunks at a
/// time.
const MANY_CHUNKS: &str = "many-chunks";

/// The chunks of a job that have priority over later chunks of other jobs, so that a file of some hundred thousand rows
/// doesn't wait for one of millions.
const FIRST_CHUNKS: u32 = 64;

/// The workflow's input: the job that it was started for, and what an earlier execution left for this one to continue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Input {
    #[serde(flatten)]
    assignment: Assignment,
    #[serde(default)]
    resume: Option<VecDeque<Range<u32>>>,
}

#[workflow]
pub struct ProcessJob {
    assignment: Assignment,
    /// The numbers of the chunks that weren't requested yet. `None` before the file is planned.
    remaining: Option<VecDeque<Range<u32>>>,
}

#[workflow_methods]
impl ProcessJob {
    #[init]
    pub fn new(_context: &WorkflowContextView, input: Input) -> Self {
        Self {
            assignment: input.assignment,
            remaining: input.resume,
        }
    }

    #[run(name = "ProcessJob")]
    pub async fn run(context: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        let attempt = context.state(|state| state.assignment.attempt);
        let error = match Self::process(context, attempt).await {
            Ok(()) => return Ok(()),
            Err(Stop::Workflow(termination)) => return Err(termination),
            Err(Stop::Step(error)) => *error,
        };
        if let Some(error) = reason(error)? {
            let failure = Failure { attempt, error };
            Self::step(context, Activities::fail, failure, SHORT, Urgency::Now).await?;
        }
        Ok(())
    }
}

/// The reason why processing stopped before its end.
enum Stop {
    Step(Box<ActivityExecutionError>),
    /// Eviction, continue-as-new or cancellation, to be passed on unchanged.
    Workflow(WorkflowTermination),
}

impl From<ActivityExecutionError> for Stop {
    fn from(error: ActivityExecutionError) -> Self {
        Self::Step(Box::new(error))
    }
}

impl ProcessJob {
    async fn process(context: &WorkflowContext<Self>, attempt: Attempt) -> Result<(), Stop> {
        if context.state(|state| state.remaining.is_none()) {
            // Reading the largest file takes minutes. An hour means that something is stuck.
            let chunks = Self::step(
                context,
                Activities::plan,
                attempt,
                Duration::from_secs(3600),
                Urgency::Now,
            )
            .await?;
            context.state_mut(|state| state.remaining = Some(chunks.into()));
        }
        let takes_many = context.patched(MANY_CHUNKS);
        let lane = || Self::validate_chunks(context.clone(), attempt, takes_many);
        let lanes = (0..LANES).map(|_| lane());
        for lane in join_all(lanes).await {
            lane?;
        }
        let (assignment, remaining) =
            context.state(|state| (state.assignment, state.remaining.clone()));
        if remaining.as_ref().is_some_and(|chunks| !chunks.is_empty()) {
            let input = Input {
                assignment,
                resume: remaining,
            };
            context
                .continue_as_new(input, ContinueAsNewOptions::default())
                .map_err(Stop::Workflow)?;
        }
        Self::step(context, Activities::complete, attempt, SHORT, Urgency::Now).await?;
        Ok(())
    }

    /// One of [`LANES`] loops. Validates the next chunks until none are left, or until the history is so long that a
    /// new execution has to continue.
    async fn validate_chunks(
        context: WorkflowContext<Self>,
        attempt: Attempt,
        takes_many: bool,
    ) -> Result<(), ActivityExecutionError> {
        while !context.continue_as_new_suggested() {
            let next = context.state_mut(|state| state.next_chunks(takes_many));
            let Some(numbers) = next else {
                break;
            };
            let urgency = match numbers.start < FIRST_CHUNKS {
                true => Urgency::Soon,
                false => Urgency::Later,
            };
            let chunks = Chunks { attempt, numbers };
            Self::step(
                &context,
                Activities::validate,
                chunks,
                Duration::from_secs(600),
                urgency,
            )
            .await?;
        }
        Ok(())
    }

    /// Removes and returns the chunks for one activity.
    fn next_chunks(&mut self, takes_many: bool) -> Option<Range<u32>> {
        let remaining = self.remaining.as_mut()?;
        let left: usize = remaining.iter().map(ExactSizeIterator::len).sum();
        let range = remaining.front_mut()?;
        let count = match takes_many {
            true if left <= LAST_CHUNKS => left,
            true => CHUNKS_AT_A_TIME,
            false => (left / 4).clamp(1, 4),
        };
        let count = count.min(range.len());
        let numbers = range.start..range.start + count as u32;
        range.start = numbers.end;
        if remaining.front().is_some_and(Range::is_empty) {
            remaining.pop_front();
        }
        Some(numbers)
    }

    /// Runs a step of this job. The steps of small files are local. Small files take this path if they were planned by
    /// a version that didn't process them in a single step; their workflows continue as they began.
    async fn step<A>(
        context: &WorkflowContext<Self>,
        activity: A,
        input: A::Input,
        limit: Duration,
        urgency: Urgency,
    ) -> Result<A::Output, ActivityExecutionError>
    where
        A: ActivityDefinition,
    {
        match context.state(|state| state.assignment.bytes <= SMALL_BYTES) {
            true => local_step(context, activity, input, limit).await,
            false => step(context, activity, input, limit, urgency).await,
        }
    }
}
