//! Prints and replays the histories of workflows, to test whether they continue in another version of this worker: one
//! version prints a history, and another one replays it.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use temporalio_client::{Client, UntypedWorkflow, WorkflowFetchHistoryOptions, WorkflowHistory};
use temporalio_sdk::workflow_replayer::{
    WorkflowReplayError, WorkflowReplayer, WorkflowReplayerOptions,
};

use crate::{
    retention::ApplyRetention, small_jobs::ProcessSmallJobs, traces::pass_traces_on,
    workflow::ProcessJob,
};

/// Prints the history of the latest execution of a workflow to the standard output as JSON.
pub async fn print(client: &Client, workflow_id: &str) -> anyhow::Result<()> {
    let history = client
        .get_workflow_handle::<UntypedWorkflow>(workflow_id)
        .fetch_history(WorkflowFetchHistoryOptions::default());
    let json = history.to_json().await?;
    Ok(std::io::stdout().write_all(&json)?)
}

/// Replays histories. Fails with the first one whose workflow takes different steps in this version.
pub async fn replay(files: &[PathBuf]) -> anyhow::Result<()> {
    let options = WorkflowReplayerOptions::new()
        .register_workflow::<ProcessJob>()?
        .register_workflow::<ProcessSmallJobs>()?
        .register_workflow::<ApplyRetention>()?
        .register_workflow_interceptors(pass_traces_on())
        .build();
    let replayer = WorkflowReplayer::new(options)?;
    for file in files {
        let name = file.display();
        let history = read(file).with_context(|| format!("{name} isn't a history"))?;
        match replayer.replay_workflow(history).await {
            Ok(()) => println!("{name}: continues"),
            Err(WorkflowReplayError::Replay(failure)) => bail!("{name}: {failure}"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<WorkflowHistory> {
    Ok(WorkflowHistory::from_json(&std::fs::read(file)?)?)
}
