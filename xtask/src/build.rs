//! The builds of Batchline that are run outside of tests: the programs, and the directory from which the server serves
//! files to browsers.

use std::path::{Path, PathBuf};

use crate::{
    process::run,
    project::{cargo, say, target},
    site::{self, Profile},
};

/// Builds the release. Its programs are in `target/release`.
pub fn release(site: &Path) -> anyhow::Result<()> {
    release_with(site, &[])
}

/// Builds the release with further targets, as in `--bins --example noop`. In a build of their own, they would compile
/// most crates again, with other features.
pub fn release_with(site: &Path, targets: &[&str]) -> anyhow::Result<()> {
    say("Building server and worker");
    let build = [
        "build",
        "--release",
        "--locked",
        "-p",
        "server",
        "-p",
        "worker",
    ];
    run(cargo().args(build).args(targets))?;
    say("Building the WebAssembly, the style sheet and the static files");
    site::build(&site::Options {
        directory: site.to_owned(),
        profile: Profile::Release,
    })
}

/// Builds the site for running on this machine, and returns its directory. `script/lib/xtask` has built the programs,
/// together with this one, in `target/quick`.
pub fn quick_site() -> anyhow::Result<PathBuf> {
    let directory = target().join("site-quick");
    site::build(&site::Options {
        directory: directory.clone(),
        profile: Profile::Quick,
    })?;
    Ok(directory)
}
