//! Settings that the server and the worker share.

use clap::Args;

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
    /// [default: file://<working directory>/.local/uploads]
    #[arg(long, env = "STORAGE_URL", default_value_t = default_storage_url(), hide_default_value = true)]
    pub storage_url: String,

    /// Largest file that is accepted, in bytes [default: 10 GiB]
    #[arg(long, env = "MAX_UPLOAD_BYTES", default_value_t = 10 << 30, hide_default_value = true)]
    pub max_upload_bytes: u64,

    /// Hosts that are served besides localhost, 127.0.0.0/8, [::1] and the address that a connection came to: names,
    /// *.names or addresses with commas between them, or * for any
    #[arg(long, env = "ALLOWED_HOSTS", default_value = "")]
    pub allowed_hosts: AllowedHosts,

    /// How the log is written; RUST_LOG says what
    #[arg(long, env = "LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
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
