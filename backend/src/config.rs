//! Settings shared by the server and the worker.

use clap::Args;
use domain::{Quota, Retention};

use crate::{hosts::AllowedHosts, program::LogFormat};

/// The addresses of PostgreSQL, Temporal and the storage. Each setting is an option and an environment variable.
#[derive(Debug, Clone, Args)]
pub struct BackendConfig {
    /// PostgreSQL database. If its role owns the database, migrations run at startup. Otherwise, run `server migrate` first
    #[arg(
        long,
        env = "DATABASE_URL",
        default_value = "postgres://postgres:postgres@127.0.0.1:5432/fullstack_db",
        hide_env_values = true
    )]
    pub database_url: String,

    /// Maximum number of PostgreSQL connections of this process
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", default_value_t = 16)]
    pub database_max_connections: u32,

    /// Temporal's address, as host:port or URL. TLS, the API key and more come from Temporal's own variables
    /// (TEMPORAL_TLS…, TEMPORAL_API_KEY, TEMPORAL_PROFILE). TEMPORAL_HOST is an alias
    #[arg(long, env = "TEMPORAL_ADDRESS")]
    pub temporal_address: Option<String>,

    #[arg(env = "TEMPORAL_HOST", hide = true, long)]
    pub temporal_host: Option<String>,

    /// Temporal's namespace. Workflow ids are `job-{id}-run-{attempt}`, so each deployment needs its own namespace
    #[arg(long, env = "TEMPORAL_NAMESPACE")]
    pub temporal_namespace: Option<String>,

    /// Task queue through which the server reaches its workers
    #[arg(long, env = "TEMPORAL_TASK_QUEUE", default_value = "batchline")]
    pub temporal_task_queue: String,

    /// Where uploaded files are kept: file:///…, s3://…, gs://… or az://…
    /// [default: .local/uploads in the working directory]
    #[arg(long, env = "STORAGE_URL", default_value_t = default_storage_url(), hide_default_value = true)]
    pub storage_url: String,

    /// Maximum size of an uploaded file, in bytes [default: 10 GiB]
    #[arg(long, env = "MAX_UPLOAD_BYTES", default_value_t = 10 << 30, hide_default_value = true)]
    pub max_upload_bytes: u64,

    /// Bytes that uploads, and the texts of archives and workbooks, leave free on the disk of a file:// storage
    /// [default: 256 MiB]
    #[arg(long, env = "STORAGE_RESERVE_BYTES", default_value_t = 256 << 20, hide_default_value = true)]
    pub storage_reserve_bytes: u64,

    #[command(flatten)]
    pub quotas: QuotaDefaults,

    /// Days after which the worker deletes audit events, 30 or more. 0 keeps them [default: 0]. `server migrate` has the
    /// database refuse to delete younger ones, or any with 0; without it, that stays as it is
    #[arg(long, env = "AUDIT_RETENTION_DAYS", value_parser = parse_audit_days)]
    pub audit_retention_days: Option<u64>,

    /// Hosts to serve besides localhost, loopback addresses and the address that a connection arrived at. A
    /// comma-separated list of names, *.names or addresses, or * for any host
    #[arg(long, env = "ALLOWED_HOSTS", default_value = "")]
    pub allowed_hosts: AllowedHosts,

    /// Format of the log. RUST_LOG selects its content
    #[arg(long, env = "LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// The quotas of users for whom an admin has set no others. 0 means unlimited. The server and the worker need the same
/// values.
#[derive(Debug, Clone, Copy, Args)]
pub struct QuotaDefaults {
    /// Maximum number of jobs per user. 0: unlimited
    #[arg(long, env = "MAX_JOBS_PER_USER", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=Quota::MAX))]
    pub max_jobs_per_user: u64,

    /// Maximum total size of the files of a user's jobs, with the texts of archives and workbooks, in bytes. 0: unlimited
    #[arg(long, env = "MAX_STORED_BYTES_PER_USER", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=Quota::MAX))]
    pub max_stored_bytes_per_user: u64,

    /// Maximum number of a user's jobs that are processed at the same time. 0: unlimited
    #[arg(long, env = "MAX_ACTIVE_JOBS_PER_USER", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=Quota::MAX))]
    pub max_active_jobs_per_user: u64,

    /// Days after which ended jobs are deleted. 0 keeps them
    #[arg(long, env = "RETENTION_DAYS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=Retention::MAX_DAYS))]
    pub retention_days: u64,
}

/// Parses a retention in days. PostgreSQL refuses to delete events of the last 30 days.
fn parse_audit_days(text: &str) -> Result<u64, String> {
    let days = text.parse().ok();
    days.filter(|days| *days == 0 || (30..=Retention::MAX_DAYS).contains(days))
        .ok_or_else(|| {
            format!(
                "use 0, or a number of days from 30 to {}",
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
