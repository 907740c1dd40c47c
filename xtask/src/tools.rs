//! The tools that `script/setup` installs: their versions, and where they are.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::{
    process::{output, succeeds},
    project::{cache, command, npx},
};

/// A tool in a separate directory, whose name contains the version.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    pub name: &'static str,
    pub version: &'static str,
}

const fn tool(name: &'static str, version: &'static str) -> Tool {
    Tool { name, version }
}

pub const BINARYEN: Tool = tool("binaryen", "132.0.0");
pub const ESBUILD: Tool = tool("esbuild", "0.28.2");
pub const TEMPORAL: Tool = tool("temporal", "1.9.1");
/// The S3 server of the tests.
pub const MOTO: Tool = tool("moto", "5.2.5");
/// Tests the API against its description.
pub const SCHEMATHESIS: Tool = tool("schemathesis", "4.32.5");
pub const SHELLCHECK: Tool = tool("shellcheck", "0.11.0");
/// Checks requirements for dependencies.
pub const CARGO_DENY: Tool = tool("cargo-deny", "0.20.2");
/// Finds dependencies that nothing uses.
pub const CARGO_SHEAR: Tool = tool("cargo-shear", "1.14.0");
/// What `script/bench` compares with.
pub const DUCKDB: Tool = tool("duckdb", "2.0.1");
pub const POSTGRES: PostgresTool = PostgresTool("18.6");

impl Tool {
    pub fn home(self) -> PathBuf {
        cache().join(format!("{}-{}", self.name, self.version))
    }
}

/// PostgreSQL: a directory, or a link to the machine's own.
#[derive(Debug, Clone, Copy)]
pub struct PostgresTool(pub &'static str);

impl PostgresTool {
    pub fn home(self) -> PathBuf {
        let major = self.0.split('.').next().unwrap_or_default();
        cache().join(format!("postgresql-{major}"))
    }

    pub fn program(self, name: &str) -> PathBuf {
        self.home().join("bin").join(name)
    }

    /// Returns the major version of what is installed.
    pub fn major_version(self) -> anyhow::Result<String> {
        postgres_major_version(&self.home())
    }
}

pub fn postgres_major_version(home: &Path) -> anyhow::Result<String> {
    let said = output(command(home.join("bin/postgres")).arg("--version"))?;
    parse_major_version(&said).with_context(|| format!("{said:?} names no version"))
}

fn parse_major_version(said: &str) -> Option<String> {
    let digits = said.trim_start_matches(|char: char| !char.is_ascii_digit());
    let end = digits.find(|char: char| !char.is_ascii_digit());
    let major = &digits[..end.unwrap_or(digits.len())];
    (!major.is_empty()).then(|| major.to_owned())
}

/// Returns the directory of Prometheus's tool for alert rules, of the version that the machine's packages have.
pub fn promtool() -> PathBuf {
    cache().join("promtool")
}

/// Returns the directories with programs that are called by name.
pub fn search_path() -> [PathBuf; 5] {
    [
        promtool(),
        BINARYEN.home().join("node_modules/.bin"),
        ESBUILD.home().join("node_modules/.bin"),
        CARGO_DENY.home().join("bin"),
        CARGO_SHEAR.home().join("bin"),
    ]
}

/// A browser for tests.
#[derive(Debug, Clone)]
pub enum Chromium {
    /// One of this machine, for `CHROMIUM_PATH`.
    Installed(PathBuf),
    /// The one that Playwright has downloaded, and finds itself.
    Playwrights,
}

impl Chromium {
    pub fn find() -> Option<Self> {
        let chosen = std::env::var_os("CHROMIUM_PATH").map(PathBuf::from);
        let usual = [
            "/usr/bin/chromium",
            "/usr/bin/chromium-browser",
            "/usr/bin/google-chrome",
            "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        ];
        let mut candidates = chosen.into_iter().chain(usual.map(PathBuf::from));
        if let Some(installed) = candidates.find(|path| path.is_file()) {
            return Some(Self::Installed(installed));
        }
        let path = "require('playwright').chromium.executablePath()";
        let path = output(command("node").current_dir("end2end").args(["-p", path])).ok()?;
        succeeds(command(path).arg("--version")).then_some(Self::Playwrights)
    }

    /// `npx` for Playwright with this browser.
    pub fn npx(&self) -> std::process::Command {
        let mut npx = npx();
        self.choose(&mut npx);
        npx
    }

    pub fn choose(&self, command: &mut std::process::Command) {
        match self {
            Self::Installed(path) => command.env("CHROMIUM_PATH", path),
            Self::Playwrights => command.env_remove("CHROMIUM_PATH"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_postgres() {
        let major = |said| parse_major_version(said).unwrap();
        assert_eq!(major("postgres (PostgreSQL) 18.6 (Debian 18.6-1)"), "18");
        assert_eq!(major("postgres (PostgreSQL) 19beta1"), "19");
        assert_eq!(parse_major_version("not found"), None);
    }
}
