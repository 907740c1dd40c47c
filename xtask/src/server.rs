//! Runs all of Batchline on this machine. What it writes is under `.local`.

use std::{
    env,
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{fs::Mode, process::umask};

use crate::{
    build,
    process::pause,
    project::{root, say, target},
    services::{
        Batchline, Database, Passwords, Port, Postgres, Services, Temporal, has_client_programs,
        is_ok, reachable, require_free,
    },
    setup,
};

const DATABASE: &str = "fullstack_db";

/// The settings of the programs that this starts. All others reach them through the environment.
struct Settings {
    web: String,
    api: String,
    worker_metrics: String,
    server_metrics: String,
    /// `None` if the database is another one.
    postgres_port: Option<String>,
    /// The ports of Temporal and its pages. `None` if Temporal is another one.
    temporal_ports: Option<(String, String)>,
    /// `None` for the site that is built.
    site: Option<PathBuf>,
}

impl Settings {
    /// Reads the environment.
    fn read() -> Self {
        let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let or = |name: &str, default: &str| set(name).unwrap_or_else(|| default.to_owned());
        let own_temporal = set("TEMPORAL_ADDRESS")
            .or_else(|| set("TEMPORAL_HOST"))
            .is_none();
        Self {
            web: or("WEB_ADDR", "127.0.0.1:3000"),
            api: or("API_ADDR", "127.0.0.1:8000"),
            worker_metrics: or("METRICS_ADDR", "127.0.0.1:9464"),
            server_metrics: or("SERVER_METRICS_ADDR", "127.0.0.1:9465"),
            postgres_port: set("DATABASE_URL")
                .is_none()
                .then(|| or("POSTGRES_PORT", "54329")),
            temporal_ports: own_temporal
                .then(|| (or("TEMPORAL_PORT", "7233"), or("TEMPORAL_UI_PORT", "8233"))),
            site: set("SITE_ROOT").map(PathBuf::from),
        }
    }

    fn require_free_ports(&self) -> anyhow::Result<()> {
        let port = |address: &str, what: &str, instead: &str| {
            require_free(&Port {
                address,
                what,
                instead,
            })
        };
        port(&self.web, "the web pages", "WEB_ADDR=127.0.0.1:3001")?;
        port(&self.api, "the API", "API_ADDR=127.0.0.1:8001")?;
        port(
            &self.worker_metrics,
            "the worker's metrics",
            "METRICS_ADDR=127.0.0.1:9466",
        )?;
        port(
            &self.server_metrics,
            "the server's metrics",
            "SERVER_METRICS_ADDR=127.0.0.1:9467",
        )?;
        if let Some(postgres) = &self.postgres_port {
            port(postgres, "PostgreSQL", "POSTGRES_PORT=54330")?;
        }
        if let Some((temporal, pages)) = &self.temporal_ports {
            port(temporal, "Temporal", "TEMPORAL_PORT=7234")?;
            port(pages, "Temporal's pages", "TEMPORAL_UI_PORT=8234")?;
        }
        Ok(())
    }
}

pub fn run() -> anyhow::Result<()> {
    // As the programs do: variables in the environment take precedence.
    let _ = dotenvy::dotenv();
    let settings = Settings::read();
    // Before the build of what browsers load, so that the error comes early.
    settings.require_free_ports()?;
    setup::run(setup::Options::RUN)?;
    let site = build::quick_site()?;

    let local = root().join(".local");
    let logs = local.join("logs");
    fs::create_dir_all(&logs)?;
    keep_last_logs(&logs)?;
    let mut services = Services::default();
    let mut batchline = Batchline {
        programs: target().join("quick"),
        logs: logs.clone(),
        settings: vec![
            ("WEB_ADDR", settings.web.clone()),
            ("API_ADDR", settings.api.clone()),
            ("METRICS_ADDR", settings.worker_metrics.clone()),
            ("SERVER_METRICS_ADDR", settings.server_metrics.clone()),
            (
                "SITE_ROOT",
                settings.site.clone().unwrap_or(site).display().to_string(),
            ),
        ],
    };
    let mut shown_database = None;
    let database = match &settings.postgres_port {
        Some(port) => {
            say("Starting PostgreSQL");
            let (database, shown) = start_database(&mut services, port.parse()?, &local, &logs)?;
            shown_database = Some(shown);
            database
        }
        None => Database {
            owner_url: env::var("DATABASE_OWNER_URL")
                .ok()
                .filter(|url| !url.is_empty()),
            url: env::var("DATABASE_URL")?,
        },
    };
    batchline
        .settings
        .push(("DATABASE_URL", database.url.clone()));
    // What Temporal stores and the uploaded files must not be readable by other users of this machine. PostgreSQL, which
    // may run as another user, has a directory that only it can read.
    umask(Mode::RWXG | Mode::RWXO);
    if let Some((port, pages)) = &settings.temporal_ports {
        say("Starting Temporal");
        let file = local.join("temporal.db").display().to_string();
        let arguments = ["--ui-port", pages, "--db-filename", &file];
        let temporal = Temporal::new(port.parse()?, &arguments);
        temporal.start(&mut services, &logs.join("temporal.log"))?;
        batchline
            .settings
            .push(("TEMPORAL_ADDRESS", temporal.address()));
    }

    say("Starting worker and server");
    batchline.migrate(&database)?;
    batchline.begin_worker(&mut services, "worker")?;
    batchline.begin_server(&mut services, "server")?;
    services.wait_for_log("worker", "worker ready")?;
    let health = format!("http://{}/health", reachable(&settings.api, "127.0.0.1"));
    services.wait_until("server", || is_ok(&health))?;

    let (web, api) = (
        reachable(&settings.web, "localhost"),
        reachable(&settings.api, "localhost"),
    );
    say("\nBatchline is running.");
    say(format!("  Web          http://{web}"));
    say(format!(
        "  API          http://{api}   documentation: http://{api}/docs"
    ));
    if let Some((_, pages)) = &settings.temporal_ports {
        say(format!("  Temporal UI  http://localhost:{pages}"));
    }
    if let Some(database) = shown_database {
        say(format!("  PostgreSQL   {database}"));
    }
    say("  Logs         .local/logs");
    say("Ctrl-C stops everything.");
    let ended = loop {
        if let Err(reason) = services
            .check()
            .and_then(|()| pause(Duration::from_secs(1)))
        {
            break reason;
        }
    };
    services.stop();
    say("Stopped.");
    Err(ended)
}

/// The logs of the previous run end with `.old`.
fn keep_last_logs(logs: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(logs)? {
        let log = entry?.path();
        if log.extension().is_some_and(|extension| extension == "log") {
            fs::rename(&log, log.with_extension("log.old"))?;
        }
    }
    Ok(())
}

/// Starts PostgreSQL. Returns the database, and a line about it to print.
fn start_database(
    services: &mut Services,
    port: u16,
    local: &Path,
    logs: &Path,
) -> anyhow::Result<(Database, String)> {
    let superuser_secret = "postgres-password";
    let postgres = Postgres {
        data: local.join("postgres"),
        port,
        password: Some(secret(local, superuser_secret)?),
        settings: Vec::new(),
    };
    postgres.start(services, &logs.join("postgres.log"))?;
    let application_secret = "database-password";
    let passwords = Passwords {
        owner: secret(local, "database-owner-password")?,
        application: secret(local, application_secret)?,
    };
    let database = postgres.database_for_batchline(DATABASE, Some(&passwords))?;
    let (shown, secret) = match has_client_programs() {
        true => (
            postgres.url("batchline", None, DATABASE),
            application_secret,
        ),
        false => (postgres.url("postgres", None, "postgres"), superuser_secret),
    };
    Ok((database, format!("{shown}   password: .local/{secret}")))
}

/// Returns the password that is stored under this name. There is a new one the first time.
fn secret(local: &Path, name: &str) -> anyhow::Result<String> {
    let file = local.join(name);
    if let Ok(secret) = fs::read_to_string(&file)
        && !secret.trim().is_empty()
    {
        return Ok(secret.trim().to_owned());
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    let secret: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    writeln!(options.open(&file)?, "{secret}")?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn secrets_are_kept_and_private() {
        let local = tempfile::tempdir().unwrap();
        let first = secret(local.path(), "password").unwrap();
        assert_eq!(first.len(), 32);
        assert_eq!(secret(local.path(), "password").unwrap(), first);
        assert_ne!(secret(local.path(), "other").unwrap(), first);
        let file = fs::metadata(local.path().join("password")).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_last_logs_are_kept() {
        let logs = tempfile::tempdir().unwrap();
        fs::write(logs.path().join("server.log"), "new").unwrap();
        fs::write(logs.path().join("server.log.old"), "old").unwrap();
        keep_last_logs(logs.path()).unwrap();
        let kept = fs::read_to_string(logs.path().join("server.log.old")).unwrap();
        assert_eq!(kept, "new");
        assert!(!logs.path().join("server.log").exists());
    }
}
