//! The server process: pages, REST API, WebSocket, health.
//!
//! **Invariant.** It knows nothing of the worker, and the worker nothing of it: they meet in
//! Postgres, in the storage and in Temporal. There is no SQL here, and no rule about rows.

// The types of Leptos views nest deeply.
#![recursion_limit = "512"]

mod api;
mod auth;
mod bodies;
mod busy;
mod config;
mod connection;
mod docs;
mod guard;
mod headers;
mod health;
mod input;
mod limits;
mod metrics;
mod openapi;
mod pages;
mod problem;
mod rate;
mod requests;
mod router;
mod serve;
mod state;
mod websocket;

use std::{
    io::{IsTerminal, stdin},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use backend::{
    Backend,
    accounts::{self, Auth},
    monitoring, program, queries,
};
use domain::{Email, NewPassword, NewUser, UserName};
use futures::FutureExt;
use tokio::sync::{Semaphore, watch};

use crate::{
    config::{Cli, Command, ServerConfig},
    state::{AppState, Stopping},
};

/// How long requests under way may take to end when the server is told to stop.
/// The process ends within ten seconds.
const GRACE: Duration = Duration::from_secs(8);

fn main() -> ExitCode {
    let Cli { config, command } = program::settings();
    program::run(config.backend.log_format, async {
        match command {
            None => serve(config).await,
            Some(Command::CreateAdmin { email, name }) => create_admin(config, &email, &name).await,
            Some(Command::Healthcheck) => backend::probe(config.api_addr, "/healthz").await,
        }
    })
}

async fn serve(mut config: ServerConfig) -> anyhow::Result<()> {
    let auth = config.auth()?;
    // First the addresses: a port in use is said before anything is waited for.
    let web = program::bind(config.web_addr, "WEB_ADDR").await?;
    let api = program::bind(config.api_addr, "API_ADDR").await?;
    let monitored = program::bind(config.server_metrics_addr, "SERVER_METRICS_ADDR").await?;
    let (web_addr, api_addr) = (web.local_addr()?, api.local_addr()?);
    let metrics_addr = monitored.local_addr()?;
    // Port 0 was any.
    config.web_addr = web_addr;

    let backend = Backend::connect(&config.backend, config.limits.statement_timeout()).await?;
    if let Auth::Password(_) = auth {
        accounts::prepare(&backend).await?;
    }
    let hub = queries::listen(&backend).await?;
    let (stop, stopping) = watch::channel(false);
    let stopping = Stopping(stopping);
    let state = AppState::new(backend, hub, &config, auth, stopping.clone())?;
    let monitored_state = state.clone();
    monitoring::start(
        monitored,
        state.backend.clone(),
        state.allowed_hosts.clone(),
        Arc::new(move || {
            let state = monitored_state.clone();
            async move { state.metrics.text(&state).await }.boxed()
        }),
    )?;

    let connections = Arc::new(Semaphore::new(config.limits.max_connections as usize));
    let serve = |listener, router| {
        let connections = connections.clone();
        serve::serve(
            listener,
            router,
            &config.limits,
            connections,
            stopping.clone(),
        )
    };
    let servers = async {
        tokio::join!(
            serve(web, router::web(state.clone())),
            serve(api, router::api(state.clone())),
        )
    };
    tracing::info!(
        "server ready: web http://{web_addr}, api http://{api_addr}, metrics http://{metrics_addr}/metrics"
    );

    let stopped = async {
        program::asked_to_stop().await?;
        tracing::info!("server stops");
        // An error only says that everything has ended already.
        let _ = stop.send(true);
        tokio::time::sleep(GRACE).await;
        anyhow::Ok(())
    };
    tokio::select! {
        _ = servers => Ok(()),
        stopped = stopped => {
            tracing::warn!("some requests were still under way");
            stopped
        }
    }
}

async fn create_admin(config: ServerConfig, email: &str, name: &str) -> anyhow::Result<()> {
    let (email, name) = (Email::parse(email)?, UserName::parse(name)?);
    let password = tokio::task::spawn_blocking(read_password).await??;
    let password = NewPassword::parse(&password)?;
    let backend = Backend::connect(&config.backend, config.limits.statement_timeout()).await?;
    let new = NewUser { name, email };
    let is_new = accounts::create_admin(&backend, &new, &password).await?;
    let email = new.email.as_str();
    match is_new {
        true => println!("{email} is an admin and can sign in."),
        false => println!(
            "The user {email} was there already: an admin now, with this password, and signed out everywhere."
        ),
    }
    Ok(())
}

/// Asks for a password twice at a terminal, or reads one line.
fn read_password() -> anyhow::Result<String> {
    if !stdin().is_terminal() {
        let mut line = String::new();
        stdin().read_line(&mut line)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    let password = rpassword::prompt_password("Password (12 characters or more): ")?;
    anyhow::ensure!(
        password == rpassword::prompt_password("The same again: ")?,
        "the two passwords differ"
    );
    Ok(password)
}
