//! The workflow of jobs with small files that were started at the same time. Each job is processed in a single step,
//! and fails by itself.
//!
//! **Invariant.** The same as that of [`crate::workflow`].

use std::time::Duration;

use backend::Attempt;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{WorkflowContext, WorkflowResult, workflows::join_all};

use crate::{
    activities::{Activities, Failure},
    step::{SHORT, local_step, reason},
};

#[workflow]
#[derive(Default)]
pub struct ProcessSmallJobs;

#[workflow_methods]
impl ProcessSmallJobs {
    /// Starts all steps at once, so that a step that keeps being retried doesn't delay the others. The worker runs as
    /// many at a time as it has room for.
    #[run(name = "ProcessSmallJobs")]
    pub async fn run(
        context: &mut WorkflowContext<Self>,
        attempts: Vec<Attempt>,
    ) -> WorkflowResult<()> {
        let jobs = attempts
            .into_iter()
            .map(|attempt| Self::process(context.clone(), attempt));
        join_all(jobs).await.into_iter().collect()
    }
}

impl ProcessSmallJobs {
    async fn process(context: WorkflowContext<Self>, attempt: Attempt) -> WorkflowResult<()> {
        let limit = Duration::from_secs(600);
        if let Err(error) = local_step(&context, Activities::process, attempt, limit).await
            && let Some(error) = reason(error)?
        {
            local_step(
                &context,
                Activities::fail,
                Failure { attempt, error },
                SHORT,
            )
            .await?;
        }
        Ok(())
    }
}
