//! What the server and the worker do alike around their work: settings from `.env`, logging, addresses, the end.

use std::{io::IsTerminal, net::SocketAddr, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::{Parser, ValueEnum};
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::EnvFilter;

/// How long a program that has ended waits for calls that block, as for a disk that hangs.
const LAST_CALLS: Duration = Duration::from_secs(1);

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    Text,
    /// A JSON object on each line
    Json,
}

/// To be called first: reads `.env`, if there is one, into the environment, and the settings from there and from the
/// arguments.
pub fn settings<T: Parser>() -> T {
    // A missing .env is fine.
    let _ = dotenvy::dotenv();
    T::parse()
}

/// Runs a program: starts logging, as `RUST_LOG` says, and returns the exit code of `main`. Why that has failed is logged
/// in one line.
pub fn run(log_format: LogFormat, main: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    start_logging(log_format);
    let ended = Runtime::new()
        .context("there is no room for threads")
        .and_then(|runtime| {
            let ended = runtime.block_on(main);
            // Dropped, it would wait for all calls that block.
            runtime.shutdown_timeout(LAST_CALLS);
            ended
        });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start_logging(format: LogFormat) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    match format {
        LogFormat::Text => log.with_ansi(std::io::stdout().is_terminal()).init(),
        LogFormat::Json => log
            .json()
            .flatten_event(true)
            // The innermost span has what the others have, or more.
            .with_span_list(false)
            .init(),
    }
}

/// Listens at the address that this variable sets.
pub async fn bind(address: SocketAddr, variable: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{address} can't be used; set {variable} to a free address"))
}

/// Resolves when the program is asked to stop: by SIGTERM or by Ctrl-C.
pub async fn asked_to_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}
