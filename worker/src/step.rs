//! Shared by the steps of all workflows: a step is retried until it succeeds or fails for good.

use std::time::Duration;

use temporalio_common::{
    ActivityDefinition, Priority, RetryPolicy,
    protos::temporal::api::failure::v1::failure::FailureInfo,
};
use temporalio_sdk::{
    ActivityExecutionError, ActivityOptions, LocalActivityOptions, WorkflowContext, WorkflowResult,
};

use crate::activities::{DEFECT, HEARTBEAT_TIMEOUT, OUTDATED, UNREADABLE};

/// The limit for one attempt of a step that is a single transaction.
pub const SHORT: Duration = Duration::from_secs(60);

/// Practically for ever.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The priority of a step among those that wait for a worker.
#[derive(Debug, Clone, Copy)]
pub enum Urgency {
    /// A job starts or ends with it.
    Now,
    /// Belongs to a job that has had little processing.
    Soon,
    /// Belongs to a job that has had much, and yields to jobs that are shorter or behind.
    Later,
}

impl Urgency {
    fn priority(self) -> Priority {
        // From 1 to 5, which every Temporal server supports. Steps without a key count as 3.
        let key = match self {
            Self::Now => 1,
            Self::Soon => 2,
            Self::Later => 3,
        };
        Priority::builder().priority_key(key).build()
    }
}

/// The retries of a step after trouble with the infrastructure: without limit, and at most five seconds apart.
fn unlimited_retries() -> RetryPolicy {
    RetryPolicy::builder()
        .initial_interval(Duration::from_millis(200))
        .backoff_coefficient(2.0)
        .maximum_interval(Duration::from_secs(5))
        // 0 means no limit.
        .maximum_attempts(0)
        .build()
}

/// Runs a step on any worker. `limit` applies to each attempt.
pub async fn step<W, A: ActivityDefinition>(
    context: &WorkflowContext<W>,
    activity: A,
    input: A::Input,
    limit: Duration,
    urgency: Urgency,
) -> Result<A::Output, ActivityExecutionError> {
    let options = ActivityOptions::with_start_to_close_timeout(limit)
        .heartbeat_timeout(HEARTBEAT_TIMEOUT)
        .retry_policy(unlimited_retries())
        .priority(urgency.priority())
        .build();
    context.execute_activity(activity, input, options).await
}

/// Runs a step on the worker that runs the workflow, for work that takes less time than its way through Temporal and
/// its queue. So it doesn't wait behind the steps of a large file either.
pub async fn local_step<W, A: ActivityDefinition>(
    context: &WorkflowContext<W>,
    activity: A,
    input: A::Input,
    limit: Duration,
) -> Result<A::Output, ActivityExecutionError> {
    let options = LocalActivityOptions::builder()
        .start_to_close_timeout(limit)
        // The SDK's default is 100 s, in which a step may not even be started.
        .schedule_to_close_timeout(YEAR)
        .retry_policy(unlimited_retries())
        .build();
    context
        .execute_local_activity(activity, input, options)
        .await
}

/// Returns the reason why a job failed whose step failed with `error`: a sentence for the user who uploaded the file.
/// `None` if the job was deleted or a later attempt took over. Any other error makes the workflow fail.
pub fn reason(error: ActivityExecutionError) -> WorkflowResult<Option<String>> {
    match own_failure(&error) {
        Some((OUTDATED, _)) => Ok(None),
        Some((UNREADABLE, sentence)) => Ok(Some(sentence.to_owned())),
        Some((DEFECT, _)) => Ok(Some(
            "Something went wrong inside Batchline while this file was processed. It was recorded; please \
             tell your administrator."
                .to_owned(),
        )),
        _ => Err(error.into()),
    }
}

/// Returns the type of a step's own failure, which is one of the names in `activities`, and its message.
fn own_failure(error: &ActivityExecutionError) -> Option<(&str, &str)> {
    // The failure of a local activity is the error itself. Otherwise it is the cause of an error about the activity.
    std::iter::successors(error.failure(), |failure| failure.cause.as_deref()).find_map(|failure| {
        match &failure.failure_info {
            Some(FailureInfo::ApplicationFailureInfo(info)) => {
                Some((info.r#type.as_str(), failure.message.as_str()))
            }
            _ => None,
        }
    })
}
