//! The tasks of `script/`, which calls this program: installing tools, building, running and testing Batchline.

mod api;
mod bench;
mod build;
mod chaos;
mod clients;
mod licenses;
mod package;
mod pages;
mod prepare;
mod process;
mod project;
mod server;
mod services;
mod settings;
mod setup;
mod site;
mod test;
mod tools;
mod wasm;
mod work_directory;

use std::{path::Path, process::ExitCode};

use anyhow::ensure;
use clap::Parser;

use crate::process::Interrupted;

#[derive(Debug, Parser)]
enum Task {
    /// Installs what is missing to build and run Batchline
    Setup(setup::Options),
    /// Builds Batchline and runs all of it: PostgreSQL, Temporal, worker and server. Ctrl-C stops everything
    Server,
    /// Runs everything that must pass before a change is done
    Test(test::Options),
    /// Writes .sqlx, which describes all queries. Run it after changing a query or a migration
    Prepare(prepare::Options),
    /// Measures how fast jobs are, compared with other programs
    Bench(bench::Options),
    /// Kills, freezes and replaces every part in the middle of jobs, then checks their results
    Chaos(chaos::Options),
    /// Measures how the pages feel
    Pages(pages::Options),
    /// Builds what browsers load: WebAssembly, style sheet and static files
    Site(site::Options),
    /// Builds a release: a directory that runs by itself, and its archive
    Package(package::Options),
}

impl Task {
    fn name(&self) -> &'static str {
        match self {
            Self::Setup(_) => "setup",
            Self::Server => "server",
            Self::Test(_) => "test",
            Self::Prepare(_) => "prepare",
            Self::Bench(_) => "bench",
            Self::Chaos(_) => "chaos",
            Self::Pages(_) => "pages",
            Self::Package(_) => "package",
            Self::Site(_) => "site",
        }
    }

    fn run(&self) -> anyhow::Result<()> {
        ensure!(
            Path::new("xtask/Cargo.toml").exists(),
            "the working directory must be the project's root"
        );
        process::handle_signals()?;
        match self {
            Self::Setup(_) | Self::Server | Self::Package(_) | Self::Site(_) => {}
            // The tests have their own services. Settings for script/server must not affect them.
            _ => settings::ignore(),
        }
        match self {
            Self::Setup(options) => setup::run(*options),
            Self::Server => server::run(),
            Self::Test(options) => test::run_with(options),
            Self::Prepare(options) => prepare::run_with(options),
            Self::Bench(options) => bench::run_with(*options),
            Self::Chaos(options) => chaos::run_with(options),
            Self::Pages(options) => pages::run_with(options),
            Self::Package(options) => package::run(options),
            Self::Site(options) => site::build(options),
        }
    }
}

fn main() -> ExitCode {
    let task = Task::parse();
    let Err(error) = task.run() else {
        return ExitCode::SUCCESS;
    };
    if let Some(Interrupted(signal)) = error.downcast_ref() {
        return ExitCode::from(128 + signal);
    }
    // One sentence that says what is wrong and what to do.
    eprintln!("script/{}: {error:#}", task.name());
    ExitCode::FAILURE
}
