//! A Temporal server on this machine.

use std::path::Path;

use rustix::process::Signal;

use super::Services;
use crate::{process::succeeds, project::command, tools::TEMPORAL};

/// A Temporal server on this machine.
#[derive(Debug, Clone)]
pub struct Temporal {
    pub port: u16,
    /// Further arguments. Without `--db-filename` it keeps everything in memory, and without `--ui-port` it has no pages.
    pub arguments: Vec<String>,
}

impl Temporal {
    pub fn new(port: u16, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned());
        Self {
            port,
            arguments: arguments.collect(),
        }
    }

    pub fn start(&self, services: &mut Services, log: &Path) -> anyhow::Result<()> {
        let program = TEMPORAL.home().join("temporal");
        let mut server = command(&program);
        server.args(["server", "start-dev", "--ip", "127.0.0.1"]);
        server.args(["--port", &self.port.to_string(), "--log-level", "error"]);
        server.args(&self.arguments);
        if !self
            .arguments
            .iter()
            .any(|argument| argument == "--ui-port")
        {
            server.arg("--headless");
        }
        services.start("Temporal", log, &server, Signal::TERM)?;
        let address = format!("127.0.0.1:{}", self.port);
        services.wait_until("Temporal", || {
            let mut describe = command(&program);
            describe.args([
                "operator",
                "namespace",
                "describe",
                "--namespace",
                "default",
            ]);
            succeeds(describe.args(["--address", &address]))
        })
    }

    /// Returns the value of `TEMPORAL_ADDRESS`.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
