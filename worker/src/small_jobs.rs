//! The workflow of jobs with small files that were started at the same moment: each is processed as a whole, or
//! fails, by itself.
//!
//! **Invariant.** As that of [`crate::workflow`].

use std::time::Duration;

use backend::Run;
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
    pub async fn run(context: &mut WorkflowContext<Self>, runs: Vec<Run>) -> WorkflowResult<()> {
        let jobs = runs
            .into_iter()
            .map(|run| Self::process(context.clone(), run));
        join_all(jobs).await.into_iter().collect()
    }
}

impl ProcessSmallJobs {
    async fn process(context: WorkflowContext<Self>, run: Run) -> WorkflowResult<()> {
        let limit = Duration::from_secs(600);
        if let Err(error) = local_step(&context, Activities::process, run, limit).await
            && let Some(error) = reason(error)?
        {
            local_step(&context, Activities::fail, Failure { run, error }, SHORT).await?;
        }
        Ok(())
    }
}
