//! Prometheus's tool that checks alert rules. Neither PyPI nor npm has it.

use std::fs;

use anyhow::{Context, bail};

use super::{Setup, has};
use crate::{
    process::{output, run_quietly, succeeds},
    project::command,
    tools::promtool,
};

/// Installs it on Debian, from the package `prometheus`. Other systems may have it in the `PATH`; `script/test` says so
/// if it doesn't find any.
pub fn need(setup: &mut Setup) -> anyhow::Result<()> {
    let home = promtool();
    let program = home.join("promtool");
    if has("promtool") || !has("apt-get") || succeeds(command(&program).arg("--version")) {
        return Ok(());
    }
    setup.doing("downloading promtool (Debian: the package prometheus, 19 MB)");
    let scratch = setup.scratch.path().join("promtool");
    let bin = scratch.join("bin");
    fs::create_dir_all(&bin)?;
    // Installing the package would start a server.
    let download = || {
        let mut download = command("apt-get");
        download.current_dir(&scratch);
        run_quietly(download.args(["download", "prometheus"]))
    };
    let update = || run_quietly(command("apt-get").arg("update"));
    if download()
        .or_else(|_| update().and_then(|()| download()))
        .is_err()
    {
        bail!("promtool could not be downloaded: install the package prometheus and start again");
    }
    let files = fs::read_dir(&scratch)?.filter_map(|entry| Some(entry.ok()?.path()));
    let package = files
        .into_iter()
        .find(|file| file.extension().is_some_and(|end| end == "deb"));
    let package = package.context("apt-get downloaded nothing")?;
    output(command("dpkg").arg("--extract").arg(package).arg(&scratch))?;
    fs::rename(scratch.join("usr/bin/promtool"), bin.join("promtool"))?;
    setup.place(&bin, &home)
}
