//! What the workflows' steps have in common: each is tried again until it succeeds or fails for good.

use std::time::Duration;

use temporalio_common::{
    ActivityDefinition, Priority, RetryPolicy,
    protos::temporal::api::failure::v1::failure::FailureInfo,
};
use temporalio_sdk::{
    ActivityExecutionError, ActivityOptions, LocalActivityOptions, WorkflowContext, WorkflowResult,
};

use crate::activities::{DEFECT, HEARTBEAT_TIMEOUT, OUTDATED, UNREADABLE};

/// For one attempt of a step that is a single transaction.
pub const SHORT: Duration = Duration::from_secs(60);

/// As good as for ever.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Which of the steps that wait for a worker are taken first.
#[derive(Debug, Clone, Copy)]
pub enum Urgency {
    /// A job begins or ends with it.
    Now,
    /// For a job that hasn't had much.
    Soon,
    /// For a job that has: it makes room for the others, which have less to do or are behind.
    Later,
}

impl Urgency {
    fn priority(self) -> Priority {
        // Of 1 to 5, which every Temporal server knows. Where steps have none they count as 3.
        let key = match self {
            Self::Now => 1,
            Self::Soon => 2,
            Self::Later => 3,
        };
        Priority::builder().priority_key(key).build()
    }
}

/// How often a step that met trouble with the infrastructure is tried again: for ever, and at least
/// every few seconds.
fn for_ever() -> RetryPolicy {
    RetryPolicy::builder()
        .initial_interval(Duration::from_millis(200))
        .backoff_coefficient(2.0)
        .maximum_interval(Duration::from_secs(5))
        // 0 is without limit.
        .maximum_attempts(0)
        .build()
}

/// A step that any worker may take. `limit` is for one attempt.
pub async fn step<W, A: ActivityDefinition>(
    context: &WorkflowContext<W>,
    activity: A,
    input: A::Input,
    limit: Duration,
    urgency: Urgency,
) -> Result<A::Output, ActivityExecutionError> {
    let options = ActivityOptions::with_start_to_close_timeout(limit)
        .heartbeat_timeout(HEARTBEAT_TIMEOUT)
        .retry_policy(for_ever())
        .priority(urgency.priority())
        .build();
    context.execute_activity(activity, input, options).await
}

/// A step within the worker that has the workflow: for work that takes less time than its way through Temporal
/// and its queue would. So it doesn't wait behind the steps of a large file either.
pub async fn local_step<W, A: ActivityDefinition>(
    context: &WorkflowContext<W>,
    activity: A,
    input: A::Input,
    limit: Duration,
) -> Result<A::Output, ActivityExecutionError> {
    let options = LocalActivityOptions::builder()
        .start_to_close_timeout(limit)
        // The SDK's default is 100 s, in which a step may not even get its turn.
        .schedule_to_close_timeout(YEAR)
        .retry_policy(for_ever())
        .build();
    context
        .execute_local_activity(activity, input, options)
        .await
}

/// Why a job has failed one of whose steps has: a sentence for the person who uploaded the file. `None` when the
/// job was deleted or a later run took over; otherwise it is the workflow that has failed.
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

/// The type of a step's own failure, one of the names in `activities`, and what it says.
fn own_failure(error: &ActivityExecutionError) -> Option<(&str, &str)> {
    // That of a local activity comes as it is, any other as the cause of one that speaks of the activity.
    std::iter::successors(error.failure(), |failure| failure.cause.as_deref()).find_map(|failure| {
        match &failure.failure_info {
            Some(FailureInfo::ApplicationFailureInfo(info)) => {
                Some((info.r#type.as_str(), failure.message.as_str()))
            }
            _ => None,
        }
    })
}
