//! The worker process: Temporal's workflows and activities for Batchline's jobs.
//!
//! **Invariant.** The worker and the server know nothing of each other. They meet in PostgreSQL, in the storage and in
//! Temporal.

mod activities;
mod config;
mod history;
mod job_metrics;
mod metrics;
mod retention;
mod small_jobs;
mod step;
mod traces;
mod workflow;

use std::{env, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use backend::{Backend, maintenance::Maintenance, monitoring, processing, program};
use futures::FutureExt;
use temporalio_client::Client;
use temporalio_common::telemetry::{
    HistogramBucketOverrides, PrometheusExporterOptions, TelemetryOptions, metrics::CoreMeter,
    start_prometheus_metric_exporter,
};
use temporalio_sdk::{
    Runtime, Worker, WorkerOptions,
    runtime::{
        PollerBehavior, RuntimeOptions,
        worker_tuner::{FixedSizeSlotSupplier, TunerHolder},
    },
};

use tokio::time::{MissedTickBehavior, timeout};

use crate::{
    activities::{Activities, HEARTBEAT_INTERVAL},
    config::{Cli, Command, WorkerConfig},
    job_metrics::{JobMetrics, STEP_BUCKETS, STEP_SECONDS},
    retention::ApplyRetention,
    small_jobs::ProcessSmallJobs,
    traces::pass_traces_on,
    workflow::ProcessJob,
};

/// The time that running steps have to end after a shutdown signal.
const GRACE: Duration = Duration::from_secs(5);

/// The maximum duration of the shutdown, whatever Temporal does. The process ends within ten seconds.
const PATIENCE: Duration = Duration::from_secs(8);

/// How long a workflow waits for the worker that has it in its cache, and may be dead, before another worker takes
/// over.
const STICKY_TIMEOUT: Duration = Duration::from_secs(2);

/// The interval of maintenance.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(3);

/// How long a round may take. If a firewall forgets its connection in the middle of a statement, it would never end.
const MAINTENANCE_LIMIT: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    // The child process of a step that converts a file. Must come first, because its memory is limited.
    if arguments.next().is_some_and(|command| command == "convert") {
        return container::run_child(arguments);
    }
    let Cli { config, command } = program::settings();
    let service = command.is_none().then_some("batchline-worker");
    program::run(config.backend.log_format, service, async {
        match command {
            None => work(config).await,
            Some(Command::Healthcheck) => {
                backend::health_check(config.metrics_addr, "/healthz").await
            }
            Some(Command::History { workflow_id }) => print_history(&config, &workflow_id).await,
            Some(Command::Replay { histories }) => history::replay(&histories).await,
        }
    })
}

async fn print_history(config: &WorkerConfig, workflow_id: &str) -> anyhow::Result<()> {
    let client = backend::connect_to_temporal(&config.backend).await?;
    history::print(&client, workflow_id).await
}

async fn work(config: WorkerConfig) -> anyhow::Result<()> {
    let backend = Backend::connect(&config.backend, None).await?;
    if let Err(error) = processing::remove_abandoned() {
        tracing::warn!(%error, "TMPDIR can't be tidied up");
    }
    let client = connect(&config).await?;
    let monitored = program::bind(config.metrics_addr, "METRICS_ADDR").await?;
    let metrics_addr = monitored.local_addr()?;
    let exporter = start_prometheus_metric_exporter(
        PrometheusExporterOptions::builder()
            .socket_addr(metrics::inner_address())
            .histogram_bucket_overrides(HistogramBucketOverrides {
                overrides: [(STEP_SECONDS.to_owned(), STEP_BUCKETS.to_vec())].into(),
            })
            .build(),
    )
    .context("the metrics can't be served")?;
    let inner = exporter.bound_addr;
    monitoring::start(
        monitored,
        backend.clone(),
        config.backend.allowed_hosts.clone(),
        Arc::new(move || metrics::read(inner).boxed()),
    )?;
    let meter: Arc<dyn CoreMeter> = exporter.meter;
    let telemetry = TelemetryOptions::builder().metrics(meter.clone()).build();
    let runtime = Runtime::from_current_tokio(
        RuntimeOptions::builder()
            .telemetry_options(telemetry)
            .build()
            .map_err(anyhow::Error::msg)?,
    )?;
    let slots = usize::from(config.worker_concurrency);
    let options = WorkerOptions::new(config.backend.temporal_task_queue.as_str())
        .register_workflow::<ProcessJob>()?
        .register_workflow::<ProcessSmallJobs>()?
        .register_workflow::<ApplyRetention>()?
        .register_workflow_interceptors(pass_traces_on())
        .register_activities(Activities::new(
            backend.clone(),
            JobMetrics::new(meter),
            slots,
        ))
        .tuner(
            TunerHolder::builder()
                .workflow_task_slot_supplier(FixedSizeSlotSupplier::new(20))
                .activity_task_slot_supplier(FixedSizeSlotSupplier::new(slots))
                .local_activity_task_slot_supplier(FixedSizeSlotSupplier::new(slots))
                .nexus_task_slot_supplier(FixedSizeSlotSupplier::new(1))
                .build(),
        )
        .workflow_task_poller_behavior(PollerBehavior::SimpleMaximum(4))
        .activity_task_poller_behavior(PollerBehavior::SimpleMaximum(slots.min(8)))
        .max_heartbeat_throttle_interval(HEARTBEAT_INTERVAL)
        .sticky_queue_schedule_to_start_timeout(STICKY_TIMEOUT)
        .graceful_shutdown_period(GRACE)
        .build();
    let schedules = Schedules {
        client: client.clone(),
        task_queue: config.backend.temporal_task_queue.clone(),
        are_there: false,
    };
    let mut worker = Worker::new(&runtime, client, options)?;
    let shutdown = worker.shutdown_handle();
    let stopped = async move {
        program::asked_to_stop().await?;
        tracing::info!("worker stops");
        shutdown();
        tokio::time::sleep(PATIENCE).await;
        tracing::warn!("some steps were still under way");
        anyhow::Ok(())
    };
    tracing::info!(
        task_queue = config.backend.temporal_task_queue,
        concurrency = config.worker_concurrency,
        metrics = %format_args!("http://{metrics_addr}/metrics"),
        "worker ready"
    );
    let maintenance = tokio::spawn(maintain(backend, schedules));
    let ended = tokio::select! {
        ended = worker.run() => ended.map_err(anyhow::Error::from),
        stopped = stopped => stopped,
    };
    maintenance.abort();
    ended
}

/// Every worker runs maintenance, so it happens as long as there is one.
async fn maintain(backend: Backend, mut schedules: Schedules) {
    let mut maintenance = Maintenance::new(backend);
    let mut due = tokio::time::interval(MAINTENANCE_INTERVAL);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        schedules.create().await;
        match timeout(MAINTENANCE_LIMIT, maintenance.round()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = %anyhow::Error::new(error), "maintenance is postponed")
            }
            Err(_) => tracing::warn!("maintenance took too long and starts again"),
        }
    }
}

/// The schedules that Temporal runs.
struct Schedules {
    client: Client,
    task_queue: String,
    are_there: bool,
}

impl Schedules {
    /// Creates or updates the schedules once. If Temporal is unavailable, the next call tries again.
    async fn create(&mut self) {
        if self.are_there {
            return;
        }
        match backend::schedule_retention(&self.client, &self.task_queue).await {
            Ok(()) => self.are_there = true,
            Err(error) => tracing::warn!(
                error = format!("{error:#}"),
                "the retention schedule can't be created yet"
            ),
        }
    }
}

/// Waits for Temporal, which may still be starting.
async fn connect(config: &WorkerConfig) -> anyhow::Result<Client> {
    const ATTEMPTS: u32 = 30;
    let mut attempt = 1;
    loop {
        match backend::connect_to_temporal(&config.backend).await {
            Ok(client) => return Ok(client),
            Err(error) if attempt == ATTEMPTS => return Err(error),
            Err(error) => tracing::info!("waiting for Temporal: {error:#}"),
        }
        attempt += 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
