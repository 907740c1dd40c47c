//! What the server and the worker have in common as programs: settings from `.env`, logging, addresses, shutdown.

use std::{
    env,
    io::{IsTerminal, stdout},
    net::SocketAddr,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::{Parser, ValueEnum};
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::Directive, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::traces::{TARGET, Traces};

/// How long a program waits at its end for blocking calls, such as reads from a hanging disk, and for the export of its
/// last spans.
const LAST_CALLS: Duration = Duration::from_secs(1);

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    Text,
    /// A JSON object on each line
    Json,
}

/// Loads `.env`, if there is one, into the environment, and parses the settings in the environment and the arguments. Ends
/// the program if either is invalid: without the rest of `.env`, for example, nobody would have to sign in. Call it before
/// anything else.
pub fn settings<T: Parser>() -> T {
    match dotenvy::dotenv() {
        Err(error) if !error.not_found() => {
            clap::Error::raw(clap::error::ErrorKind::Io, unreadable(&error)).exit()
        }
        _ => T::parse(),
    }
}

/// Returns why `.env` can't be used. What dotenvy says quotes the line, which may contain a secret.
fn unreadable(error: &dotenvy::Error) -> String {
    if let dotenvy::Error::Io(error) = error {
        return format!("The file .env can't be read: {error}\n");
    }
    let settings = dotenvy::dotenv_iter().into_iter().flatten();
    let last = settings.map_while(Result::ok).last();
    let place = last.map_or("The first setting".to_owned(), |(name, _)| {
        format!("The setting after {name}")
    });
    format!(
        "{place} in the file .env isn't valid. Each must be NAME=value, in quotes if the value contains spaces or special \
         characters.\n"
    )
}

/// Runs a program: starts logging as specified by `RUST_LOG`, runs `main`, and returns the exit code. If `main` fails, its
/// error is logged on one line.
///
/// `service` is the name under which a server or worker exports traces, if the environment says where to. Commands have
/// none.
pub fn run(
    log_format: LogFormat,
    service: Option<&'static str>,
    main: impl Future<Output = anyhow::Result<()>>,
) -> ExitCode {
    let traces = service.map_or(Ok(None), Traces::from_environment);
    let of_traces = traces.as_ref().ok().and_then(Option::as_ref);
    if let Err(error) = start_logging(log_format, of_traces) {
        // Nothing else can print it.
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    let ended = traces.and_then(|traces| {
        let runtime = Runtime::new().context("there is no room for threads")?;
        let ended = runtime.block_on(main);
        let began = Instant::now();
        match traces {
            // Dropping it would wait for all blocking calls.
            None => runtime.shutdown_timeout(LAST_CALLS),
            Some(traces) => {
                // Ends the spans of tasks that were still running.
                runtime.shutdown_timeout(LAST_CALLS / 2);
                traces.finish(LAST_CALLS.saturating_sub(began.elapsed()));
            }
        }
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

fn start_logging(format: LogFormat, traces: Option<&Traces>) -> anyhow::Result<()> {
    let spans_of_traces: Directive = format!("{TARGET}=off").parse().expect("it is a directive");
    let wanted = env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    let filter = match &*wanted {
        "" => EnvFilter::new("info,sqlx=warn"),
        wanted => EnvFilter::try_new(wanted).context("RUST_LOG isn't valid")?,
    };
    let filter = filter.add_directive(spans_of_traces);
    let lines = tracing_subscriber::fmt::layer();
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => lines.with_ansi(stdout().is_terminal()).boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            // The innermost span has the fields of all others.
            .with_span_list(false)
            .boxed(),
    };
    let registry = tracing_subscriber::registry();
    match traces {
        // As a global filter, which makes an event that isn't logged cost a single comparison.
        None => registry.with(lines).with(filter).init(),
        Some(traces) => registry
            .with(lines.with_filter(filter))
            .with(traces.layer())
            .init(),
    }
    Ok(())
}

/// Listens on an address. `variable` is the setting that an error names.
pub async fn bind(address: SocketAddr, variable: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{address} can't be used; set {variable} to a free address"))
}

/// Resolves when the program receives SIGTERM or Ctrl-C.
pub async fn asked_to_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}
