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
    say("Building server and worker");
    run(cargo().args([
        "build",
        "--release",
        "--locked",
        "-p",
        "server",
        "-p",
        "worker",
    ]))?;
    say("Building the WebAssembly, the style sheet and the static files");
    site::build(&site::Options {
        directory: site.to_owned(),
        profile: Profile::Release,
    })
}

/// Builds for running on this machine, which compiles faster. Returns the directories of the programs and of the site.
pub fn quick() -> anyhow::Result<(PathBuf, PathBuf)> {
    // `script/lib/xtask` has compiled them together with this program, which is faster than one after the other.
    run(cargo().args([
        "build",
        "--quiet",
        "--profile",
        "quick",
        "--locked",
        "-p",
        "server",
        "-p",
        "worker",
        "-p",
        "xtask",
    ]))?;
    let site = target().join("site-quick");
    site::build(&site::Options {
        directory: site.clone(),
        profile: Profile::Quick,
    })?;
    Ok((target().join("quick"), site))
}
