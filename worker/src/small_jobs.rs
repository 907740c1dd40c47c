//! The workflow of jobs with small files that were started at the same moment: each is processed as a whole, or
//! fails, by itself.
//!
//! **Invariant.** As that of [`crate::workflow`].

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
    /// Asks for all of them at once: one that is tried again and again keeps none of the others waiting. The
    /// worker takes as many at a time as it has room for.
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
