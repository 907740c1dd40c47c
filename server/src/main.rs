//! The server process: pages, REST API, WebSocket and health checks.
//!
//! **Invariant.** The server and the worker don't know each other. They meet in PostgreSQL, in the storage and in
//! Temporal. There is no SQL here, and no rule about rows.

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
mod peers;
mod problem;
mod proxies;
mod rate;
mod repeats;
mod requests;
mod response_time;
mod router;
mod serve;
mod shares;
mod state;
mod transport;
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
    maintenance::{self, Mismatch},
    monitoring,
    openid::Provider,
    program, queries,
};
use domain::{Email, NewPassword, NewUser, UserName, format};
use futures::FutureExt;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Cli, Command, ServerConfig},
    peers::Peers,
    state::{AppState, SignInWays},
};

/// How long requests in progress may take to finish during a shutdown. The process must end within ten seconds.
const GRACE: Duration = Duration::from_secs(8);

fn main() -> ExitCode {
    let Cli { config, command } = program::settings();
    let service = command.is_none().then_some("batchline-server");
    program::run(config.backend.log_format, service, async {
        match command {
            None => serve(config).await,
            Some(Command::Migrate { database_owner_url }) => {
                backend::migrate(&config.backend, &database_owner_url).await?;
                tracing::info!("the database is up to date");
                Ok(())
            }
            Some(Command::CreateAdmin { email, name }) => create_admin(config, &email, &name).await,
            Some(Command::CheckStorage {
                remove,
                min_age_hours,
            }) => check_storage(config, remove, min_age_hours).await,
            Some(Command::Healthcheck) => backend::health_check(config.api_addr, "/healthz").await,
        }
    })
}

async fn serve(mut config: ServerConfig) -> anyhow::Result<()> {
    let auth = config.auth()?;
    let openid = config.openid()?;
    let requires_second_factor = config.requires_second_factor()?;
    // Bind first, so that a port in use is reported before anything is waited for.
    let web = program::bind(config.web_addr, "WEB_ADDR").await?;
    let api = program::bind(config.api_addr, "API_ADDR").await?;
    let monitored = program::bind(config.server_metrics_addr, "SERVER_METRICS_ADDR").await?;
    let (web_addr, api_addr) = (web.local_addr()?, api.local_addr()?);
    let metrics_addr = monitored.local_addr()?;
    // Replaces port 0 by the actual port.
    config.web_addr = web_addr;

    let limits = &config.limits;
    let backend = Backend::connect(&config.backend, limits.statement_timeout())
        .await?
        .with_breached_passwords(&config.breached_passwords_url)?;
    if let Auth::SignIn(_) = auth {
        accounts::prepare(&backend).await?;
    }
    let sign_in = SignInWays {
        has_passwords: config.has_passwords(),
        requires_second_factor,
        provider: openid.map(Provider::new).transpose()?.map(Arc::new),
    };
    let hub = queries::listen(&backend).await?;
    let shutdown = CancellationToken::new();
    let state = AppState::new(backend, hub, &config, auth, sign_in, shutdown.clone())?;
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
    let peers = Peers::new(&config, &state.metrics);
    let serve = |listener, router| {
        let connections = connections.clone();
        serve::serve(
            listener,
            router,
            &config.limits,
            connections,
            peers.clone(),
            shutdown.clone(),
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
        shutdown.cancel();
        tokio::time::sleep(GRACE).await;
        anyhow::Ok(())
    };
    tokio::select! {
        _ = servers => Ok(()),
        stopped = stopped => {
            tracing::warn!("some requests were still in progress");
            stopped
        }
    }
}

async fn create_admin(config: ServerConfig, email: &str, name: &str) -> anyhow::Result<()> {
    let (email, name) = (Email::parse(email)?, UserName::parse(name)?);
    let password = match config.has_passwords() {
        true => {
            let password = tokio::task::spawn_blocking(read_password).await??;
            Some(NewPassword::parse(&password)?)
        }
        false => None,
    };
    let backend = Backend::connect(&config.backend, config.limits.statement_timeout())
        .await?
        .with_breached_passwords(&config.breached_passwords_url)?;
    let new = NewUser { name, email };
    let is_new = accounts::create_admin(&backend, &new, password.as_ref()).await?;
    let email = new.email.as_str();
    let by = match password {
        Some(_) => "with this password",
        None => "with the OpenID Connect provider",
    };
    match is_new {
        true => println!("{email} is an admin and can sign in {by}."),
        false => println!(
            "The user {email} already existed. They are now an admin, can sign in {by}, and are signed out everywhere. Their API tokens \
             are revoked."
        ),
    }
    Ok(())
}

/// Prints a line for each file that belongs to nothing, and for each job with a missing file.
async fn check_storage(
    config: ServerConfig,
    remove: bool,
    min_age_hours: u32,
) -> anyhow::Result<()> {
    let backend = Backend::connect(&config.backend, None).await?;
    let min_age = Duration::from_secs(u64::from(min_age_hours) * 3600);
    let (mut orphans, mut orphan_bytes, mut missing) = (0, 0, 0);
    let found = |mismatch| match mismatch {
        Mismatch::Orphan { key, bytes } => {
            orphans += 1;
            orphan_bytes += bytes;
            println!("belongs to nothing: {key}, {}", format::bytes(bytes));
        }
        Mismatch::MissingFile { job_id, key } => {
            missing += 1;
            println!("missing: {key} of job {job_id}");
        }
    };
    maintenance::check_storage(&backend, min_age, remove, found).await?;
    let files = format::counted(orphans, "file");
    let bytes = format::bytes(orphan_bytes);
    match (orphans, remove) {
        (0, _) => println!("Every file belongs to something."),
        (_, true) => println!("{files} that belonged to nothing ({bytes}) removed."),
        (_, false) => println!("{files} that belong to nothing ({bytes}). --remove removes them."),
    }
    match missing {
        0 => println!("No file of a job is missing."),
        _ => println!(
            "{} of jobs missing: restore them, or delete these jobs.",
            format::counted(missing, "file")
        ),
    }
    Ok(())
}

/// Asks for a password twice on a terminal. Otherwise reads one line.
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
