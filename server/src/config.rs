//! The server's settings.

use std::{net::SocketAddr, path::PathBuf};

use backend::BackendConfig;
use clap::{Args, Parser, Subcommand};

use crate::limits::Limits;

/// Batchline's server: the pages, the REST API and the live updates.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(flatten)]
    pub config: ServerConfig,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask the server that runs with these settings whether it is well; exit with 0 or 1
    Healthcheck,
}

#[derive(Debug, Clone, Args)]
pub struct ServerConfig {
    #[command(flatten)]
    pub backend: BackendConfig,

    /// Where the pages are served, and the API under /api; port 0 picks a free port
    #[arg(long, env = "WEB_ADDR", default_value = "127.0.0.1:3000")]
    pub web_addr: SocketAddr,

    /// Where the API is served at the root; port 0 picks a free port
    #[arg(long, env = "API_ADDR", default_value = "127.0.0.1:8000")]
    pub api_addr: SocketAddr,

    /// Directory with the built style sheet, script and WebAssembly
    #[arg(long, env = "SITE_ROOT", default_value = "target/site")]
    pub site_root: PathBuf,

    #[command(flatten)]
    pub limits: Limits,
}
