//! Build tasks for which cargo has no command: `cargo run -p xtask -- --help`.

mod licenses;
mod package;
mod site;
mod wasm;

use clap::Parser;

#[derive(Debug, Parser)]
enum Task {
    /// Builds what browsers load: WebAssembly, style sheet and static files.
    Site(site::Options),
    /// Assembles a release from what is built: a directory that runs by itself, and its archive.
    Package(package::Options),
}

fn main() -> anyhow::Result<()> {
    match Task::parse() {
        Task::Site(options) => site::build(&options),
        Task::Package(options) => package::assemble(&options),
    }
}
