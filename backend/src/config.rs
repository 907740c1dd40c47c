//! Settings that the server and the worker share.

use clap::Args;
use domain::{Quota, Retention};

use crate::{hosts::AllowedHosts, program::LogFormat};

/// Where Postgres, Temporal and the files are. Each setting is an option and an environment variable.
#[derive(Debug, Clone, Args)]
pub struct BackendConfig {
    /// PostgreSQL to use; the migrations run at start
    #[arg(
        long,
        env = "DATABASE_URL",
        default_value = "postgres://postgres:postgres@127.0.0.1:5432/fullstack_db",
        hide_env_values = true
    )]
    pub database_url: String,

    /// Most connections to Postgres that this process holds
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", default_value_t = 16)]
    pub database_max_connections: u32,

    /// Temporal's address, as host:port or URL; TLS, API key and more by Temporal's own variables
    /// (TEMPORAL_TLS…, TEMPORAL_API_KEY, TEMPORAL_PROFILE). TEMPORAL_HOST is an alias
    #[arg(long, env = "TEMPORAL_ADDRESS")]
    pub temporal_address: Option<String>,

    #[arg(env = "TEMPORAL_HOST", hide = true, long)]
    pub temporal_host: Option<String>,

    /// Temporal's namespace; workflow ids are `job-{id}`, so each deployment needs its own
    #[arg(long, env = "TEMPORAL_NAMESPACE")]
    pub temporal_namespace: Option<String>,

    /// Task queue that connects the server to its workers
    #[arg(long, env = "TEMPORAL_TASK_QUEUE", default_value = "batchline")]
    pub temporal_task_queue: String,

    /// Where uploaded files are kept: file:///…, s3://…, gs://… or az://…
    /// [default: .local/uploads in the working directory]
    #[arg(long, env = "STORAGE_URL", default_value_t = default_storage_url(), hide_default_value = true)]
    pub storage_url: String,

    /// Largest file that is accepted, in bytes [default: 10 GiB]
    #[arg(long, env = "MAX_UPLOAD_BYTES", default_value_t = 10 << 30, hide_default_value = true)]
    pub max_upload_bytes: u64,

    #[command(flatten)]
    pub quotas: QuotaDefaults,

    /// Days after which events of the audit are deleted, 30 or more. 0: they are kept
    #[arg(long, env = "AUDIT_RETENTION_DAYS", default_value_t = 0, value_parser = parse_audit_days)]
    pub audit_retention_days: u64,

    /// Hosts that are served besides localhost, loopback addresses and the address that a connection came to: names,
    /// *.names or addresses with commas between them, or * for any
    #[arg(long, env = "ALLOWED_HOSTS", default_value = "")]
    pub allowed_hosts: AllowedHosts,

    /// How the log is written; RUST_LOG says what
    #[arg(long, env = "LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// What holds for every user whom an admin has set nothing else for. 0 is without limit. Server and worker need the same.
#[derive(Debug, Clone, Copy, Args)]
pub struct QuotaDefaults {
    /// Jobs that a user may have. 0: any number
    #[arg(long, env = "MAX_JOBS_PER_USER", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=Quota::MAX))]
    pub max_jobs_per_user: u64,

    /// Bytes that the files of a user's jobs may have. 0: any number
    #[arg(long, env = "MAX_STORED_BYTES_PER_USER", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=Quota::MAX))]
    pub max_stored_bytes_per_user: u64,

    /// Jobs of a user that are processed at the same time. 0: any number
    #[arg(long, env = "MAX_ACTIVE_JOBS_PER_USER", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=Quota::MAX))]
    pub max_active_jobs_per_user: u64,

    /// Days after which jobs that have ended are deleted. 0: they are kept
    #[arg(long, env = "RETENTION_DAYS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=Retention::MAX_DAYS))]
    pub retention_days: u64,
}

/// PostgreSQL refuses to delete events of the last 30 days.
fn parse_audit_days(text: &str) -> Result<u64, String> {
    let days = text.parse().ok();
    days.filter(|days| *days == 0 || (30..=Retention::MAX_DAYS).contains(days))
        .ok_or_else(|| {
            format!(
                "it is 0, or a number of days from 30 to {}",
                Retention::MAX_DAYS
            )
        })
}

fn default_storage_url() -> String {
    let directory = std::env::current_dir()
        .unwrap_or_else(|_| "/".into())
        .join(".local/uploads");
    url::Url::from_directory_path(&directory).map_or_else(
        |()| format!("file://{}", directory.display()),
        |url| url.to_string(),
    )
}
