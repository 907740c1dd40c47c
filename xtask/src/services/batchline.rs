//! Servers and workers of Batchline.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::ensure;
use rustix::process::Signal;

use super::{Database, Services, Temporal};
use crate::{process::output, project::command, work_directory::WorkDirectory};

/// Server and worker of a build, with their settings.
#[derive(Debug, Clone)]
pub struct Batchline {
    /// The directory of the two programs.
    pub programs: PathBuf,
    /// The directory with the logs.
    pub logs: PathBuf,
    pub settings: Vec<(&'static str, String)>,
}

impl Batchline {
    /// Returns a separate installation, with files below `directory` and these ports for pages and API.
    pub fn isolated(
        programs: PathBuf,
        directory: &WorkDirectory,
        database: &Database,
        temporal: &Temporal,
        [web, api]: [u16; 2],
    ) -> Self {
        let uploads = directory.file("uploads");
        Self {
            programs,
            logs: directory.path().to_owned(),
            settings: vec![
                ("DATABASE_URL", database.url.clone()),
                ("TEMPORAL_ADDRESS", temporal.address()),
                ("STORAGE_URL", format!("file://{}", uploads.display())),
                ("WEB_ADDR", local(web)),
                ("API_ADDR", local(api)),
                ("METRICS_ADDR", local(0)),
                ("SERVER_METRICS_ADDR", local(0)),
            ],
        }
    }

    /// Returns another server with the same data, which requires signing in.
    pub fn with_accounts(&self, [web, api]: [u16; 2]) -> Self {
        self.with([
            ("AUTH", "password"),
            ("WEB_ADDR", &*local(web)),
            ("API_ADDR", &local(api)),
        ])
    }

    /// Adds settings. Later ones override earlier ones.
    pub fn with<'a>(&self, settings: impl IntoIterator<Item = (&'static str, &'a str)>) -> Self {
        let mut same = self.clone();
        for (name, value) in settings {
            same.settings.push((name, value.to_owned()));
        }
        same
    }

    pub fn setting(&self, name: &str) -> &str {
        let mut settings = self.settings.iter().rev();
        settings
            .find(|setting| setting.0 == name)
            .map_or("", |setting| &setting.1)
    }

    /// One of the programs with the settings.
    pub fn command(&self, program: &str) -> Command {
        let mut command = command(self.programs.join(program));
        command.env_remove("DATABASE_OWNER_URL");
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Creates or updates the tables as the owner of the database.
    pub fn migrate(&self, database: &Database) -> anyhow::Result<()> {
        let Some(owner_url) = &database.owner_url else {
            return Ok(());
        };
        let mut migrate = self.command("server");
        migrate.env("DATABASE_OWNER_URL", owner_url).arg("migrate");
        output(&mut migrate)?;
        Ok(())
    }

    /// Starts a worker without waiting until it is ready.
    pub fn begin_worker(&self, services: &mut Services, name: &str) -> anyhow::Result<()> {
        let worker = self.command("worker");
        services.start(name, &self.log(name), &worker, Signal::TERM)
    }

    pub fn start_worker(&self, services: &mut Services, name: &str) -> anyhow::Result<()> {
        self.begin_worker(services, name)?;
        services.wait_for_log(name, "worker ready")
    }

    /// Starts a server without waiting until it is ready.
    pub fn begin_server(&self, services: &mut Services, name: &str) -> anyhow::Result<()> {
        let server = self.command("server");
        services.start(name, &self.log(name), &server, Signal::TERM)
    }

    pub fn start_server(&self, services: &mut Services, name: &str) -> anyhow::Result<()> {
        self.begin_server(services, name)?;
        let ready = format!("http://{}/readyz", self.setting("API_ADDR"));
        services.wait_until(name, || is_ok(&ready))
    }

    /// Creates an admin for a server with accounts.
    pub fn create_admin(&self, email: &str, password: &str) -> anyhow::Result<()> {
        use std::io::Write;

        let mut create = self.command("server");
        create.args(["create-admin", "--email", email, "--name", "Root"]);
        let mut child = create.stdin(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            writeln!(stdin, "{password}")?;
        }
        let status = child.wait()?;
        ensure!(status.success(), "server create-admin failed: {status}");
        Ok(())
    }

    fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{}.log", name.replace(' ', "-")))
    }
}

/// Returns the address of a port of this machine.
pub fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// Returns the body of a successful response.
pub fn get(url: &str) -> anyhow::Result<String> {
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(5)))
        .proxy(None)
        .build()
        .new_agent();
    Ok(agent.get(url).call()?.body_mut().read_to_string()?)
}

pub fn is_ok(url: &str) -> bool {
    get(url).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_settings_replace_earlier_ones() {
        let batchline = Batchline {
            programs: PathBuf::from("target/debug"),
            logs: PathBuf::from("logs"),
            settings: vec![("API_ADDR", "127.0.0.1:1".to_owned())],
        };
        let other = batchline.with([("API_ADDR", "127.0.0.1:2")]);
        assert_eq!(other.setting("API_ADDR"), "127.0.0.1:2");
        assert_eq!(other.setting("WEB_ADDR"), "");
    }
}
