//! Packages from npm, and the browser.

use std::fs;

use anyhow::bail;

use super::Setup;
use crate::{
    process::run_quietly,
    project::{command, npx},
    tools::{BINARYEN, Chromium, ESBUILD, Tool},
};

impl Setup {
    /// Installs an npm package without its dependencies on scripts, into `directory`.
    pub fn npm_install(&self, directory: &std::path::Path, package: &str) -> anyhow::Result<()> {
        let mut install = command("npm");
        install.arg("install").arg("--prefix").arg(directory);
        install.args(["--no-save", "--no-audit", "--no-fund", package]);
        run_quietly(&mut install)
    }

    fn need_npm_program(&self, tool: Tool, program: &str) -> anyhow::Result<()> {
        let Tool { name, version } = tool;
        let home = tool.home();
        if home.join("node_modules/.bin").join(program).exists() {
            return Ok(());
        }
        self.doing(&format!("downloading {program} (npm {name} {version})"));
        let directory = self.scratch.path().join(name);
        if self
            .npm_install(&directory, &format!("{name}@{version}"))
            .is_err()
        {
            bail!("npm could not install {name} {version}: check the network and start again");
        }
        self.place(&directory, &home)
    }
}

pub fn need_binaryen(setup: &mut Setup) -> anyhow::Result<()> {
    setup.need_npm_program(BINARYEN, "wasm-opt")
}

pub fn need_esbuild(setup: &mut Setup) -> anyhow::Result<()> {
    setup.need_npm_program(ESBUILD, "esbuild")
}

pub fn need_packages(setup: &mut Setup) -> anyhow::Result<()> {
    let changed = |file: &str| fs::metadata(file).and_then(|file| file.modified()).ok();
    let installed = changed("end2end/node_modules/.package-lock.json");
    if installed.is_some() && installed > changed("end2end/package-lock.json") {
        return Ok(());
    }
    setup.doing("installing the packages of end2end");
    let mut install = command("npm");
    install.env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
    install.args(["ci", "--prefix", "end2end", "--ignore-scripts"]);
    install.args(["--no-audit", "--no-fund"]);
    if run_quietly(&mut install).is_err() {
        bail!(
            "npm could not install the packages of end2end/package-lock.json: check the network and start again"
        );
    }
    Ok(())
}

pub fn need_chromium(setup: &mut Setup) -> anyhow::Result<()> {
    if Chromium::find().is_some() {
        return Ok(());
    }
    setup.doing("downloading Chromium");
    let downloaded = run_quietly(npx().args(["playwright", "install", "chromium"]));
    if downloaded.is_ok() && Chromium::find().is_some() {
        return Ok(());
    }
    if setup.apt_install(&["chromium"]).is_ok() && Chromium::find().is_some() {
        return Ok(());
    }
    bail!(
        "no Chromium could be installed: install the package chromium, or set CHROMIUM_PATH to a Chromium or Chrome, and start again"
    )
}
