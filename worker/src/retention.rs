//! The scheduled workflow that deletes what retention no longer keeps.
//!
//! **Invariant.** The same as that of [`crate::workflow`].

use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{ContinueAsNewOptions, WorkflowContext, WorkflowResult};

use crate::{
    activities::Activities,
    step::{SHORT, Urgency, step},
};

#[workflow]
#[derive(Default)]
pub struct ApplyRetention;

#[workflow_methods]
impl ApplyRetention {
    /// Deletes in bounded steps, one after the other, with a lower priority than the steps of jobs.
    #[run(name = "ApplyRetention")]
    pub async fn run(context: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        while step(
            context,
            Activities::apply_retention,
            (),
            SHORT,
            Urgency::Later,
        )
        .await?
        {
            if context.continue_as_new_suggested() {
                context.continue_as_new((), ContinueAsNewOptions::default())?;
            }
        }
        Ok(())
    }
}
