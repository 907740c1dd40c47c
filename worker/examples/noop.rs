//! A workflow that does nothing, with the structure of a small job: one local activity. Prints the median of the
//! milliseconds from the start to the result, which is the part of a small job's time that Temporal itself takes.
//! `script/bench` compares it with the job.

use std::{
    process,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use backend::BackendConfig;
use clap::Parser;
use temporalio_client::{Client, WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    LocalActivityOptions, Runtime, Worker, WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};

const WORKFLOWS: usize = 30;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    backend: BackendConfig,
}

pub struct Steps;

#[activities]
impl Steps {
    #[activity]
    pub async fn nothing(_context: ActivityContext) -> Result<(), ActivityError> {
        Ok(())
    }
}

#[workflow]
#[derive(Default)]
pub struct Noop;

#[workflow_methods]
impl Noop {
    #[run]
    pub async fn run(context: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        let options = LocalActivityOptions::builder()
            .start_to_close_timeout(Duration::from_secs(60))
            .build();
        context
            .execute_local_activity(Steps::nothing, (), options)
            .await?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let client = backend::connect_to_temporal(&Cli::parse().backend).await?;
    let runtime = Runtime::from_current_tokio(Default::default())?;
    let task_queue = format!("noop-{}", process::id());
    let options = WorkerOptions::new(task_queue.as_str())
        .register_workflow::<Noop>()?
        .register_activities(Steps)
        .build();
    let mut worker = Worker::new(&runtime, client.clone(), options)?;
    let shutdown = worker.shutdown_handle();
    let measured = async {
        let measured = measure(&client, &task_queue).await;
        shutdown();
        measured
    };
    let (ran, measured) = tokio::join!(worker.run(), measured);
    ran?;
    println!("{:.1}", 1000.0 * measured?.as_secs_f64());
    Ok(())
}

/// Returns the median time from start to result.
async fn measure(client: &Client, task_queue: &str) -> anyhow::Result<Duration> {
    let mut took = Vec::with_capacity(WORKFLOWS);
    for number in 0..WORKFLOWS {
        let options =
            WorkflowStartOptions::new(task_queue, format!("{task_queue}-{number}")).build();
        let began = Instant::now();
        let workflow = client.start_workflow(Noop::run, (), options).await?;
        workflow
            .get_result(WorkflowGetResultOptions::default())
            .await
            .map_err(|error| anyhow!("the workflow failed: {error}"))?;
        took.push(began.elapsed());
    }
    took.sort();
    Ok(took[WORKFLOWS / 2])
}
