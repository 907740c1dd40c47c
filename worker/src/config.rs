//! The worker's settings.

use std::{net::SocketAddr, path::PathBuf, thread};

use backend::BackendConfig;
use clap::{Args, Parser, Subcommand};

/// Batchline's worker: validates the rows of started jobs. Start as many as you like.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(flatten)]
    pub config: WorkerConfig,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check whether the worker with these settings is healthy; exit with 0 or 1
    Healthcheck,
    /// Print the history of a workflow as JSON, for `replay`
    History { workflow_id: String },
    /// Check whether workflows with these histories of another version continue in this one; exit with 0 or 1
    Replay {
        #[arg(required = true)]
        histories: Vec<PathBuf>,
    },
}

#[derive(Debug, Clone, Args)]
pub struct WorkerConfig {
    #[command(flatten)]
    pub backend: BackendConfig,

    /// Number of steps that this worker runs at the same time
    #[arg(long, env = "WORKER_CONCURRENCY", default_value_t = default_concurrency(),
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub worker_concurrency: u16,

    /// Address of Prometheus metrics under /metrics and health checks under /healthz and /readyz; port 0 picks a free
    /// port
    #[arg(long, env = "METRICS_ADDR", default_value = "127.0.0.1:9464")]
    pub metrics_addr: SocketAddr,
}

/// One step computes while another waits for the database.
fn default_concurrency() -> u16 {
    let cores = thread::available_parallelism().map_or(2, usize::from);
    u16::try_from(2 * cores).unwrap_or(u16::MAX).clamp(2, 64)
}
