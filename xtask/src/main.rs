//! Build tasks for which cargo has no command: `cargo run -p xtask -- --help`.

mod site;
mod wasm;

use clap::Parser;

#[derive(Debug, Parser)]
enum Task {
    /// Builds what browsers load: WebAssembly, style sheet and static files.
    Site(site::Options),
}

fn main() -> anyhow::Result<()> {
    match Task::parse() {
        Task::Site(options) => site::build(&options),
    }
}
