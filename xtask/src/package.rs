//! Assembles a release: a directory that runs without the repository and without a compiler, and its archive.
//!
//! ```text
//! README.md, LICENSE, CHANGELOG.md, .env.example
//! LICENSES-OF-CRATES.txt
//! batchline   starts the worker and the server
//! bin/        the worker and the server, without symbols
//! docs/       OPERATIONS.md, SECURITY-CONTROLS.md, and monitoring/ for Prometheus and Grafana
//! site/       what browsers load (`site.rs`); the server finds it beside bin/
//! ```

use std::{
    env,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, ensure};
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tar::{Builder, Header, HeaderMode};

use crate::{
    build, licenses,
    process::{self, output},
    project::{self, say},
    setup,
    site::{self, Profile},
};

#[derive(Debug, clap::Args)]
pub struct Options {
    /// The directory to write to, by default target/package. It gets the directory batchline-VERSION-TARGET, its archive,
    /// and the SHA-256 of that
    directory: Option<PathBuf>,
}

const PROGRAMS: [&str; 2] = ["server", "worker"];

/// The files of the repository that are part of a release, and their names there.
const FILES: [(&str, &str); 7] = [
    ("xtask/release/README.md", "README.md"),
    ("xtask/release/batchline", "batchline"),
    ("LICENSE", "LICENSE"),
    ("CHANGELOG.md", "CHANGELOG.md"),
    (".env.example", ".env.example"),
    ("docs/OPERATIONS.md", "docs/OPERATIONS.md"),
    ("docs/SECURITY-CONTROLS.md", "docs/SECURITY-CONTROLS.md"),
];

const MONITORING: &str = "docs/monitoring";

/// Builds a release from the sources.
pub fn run(options: &Options) -> anyhow::Result<()> {
    setup::run(setup::Options::BUILD)?;
    let site = project::target().join("site");
    build::release(&site)?;
    say("Packaging");
    let default = project::target().join("package");
    let directory = options.directory.as_ref().unwrap_or(&default);
    let archive = assemble(directory, Profile::Release, &site)?;
    say(archive.display().to_string());
    Ok(())
}

/// Assembles a release from what is built with this profile and a built site. Replaces the directory and the archive of
/// this version. Returns the path of the archive.
pub fn assemble(directory: &Path, profile: Profile, site: &Path) -> anyhow::Result<PathBuf> {
    let target = target()?;
    let name = format!("batchline-{}-{target}", env!("CARGO_PKG_VERSION"));
    let release = directory.join(&name);
    if release.exists() {
        fs::remove_dir_all(&release)?;
    }
    fs::create_dir_all(release.join("bin"))?;
    for program in PROGRAMS {
        let built = project::target()
            .join(profile.program_directory())
            .join(program);
        ensure!(
            built.is_file(),
            "there is no {}: script/package builds it",
            built.display()
        );
        let mut strip = project::command("strip");
        strip.arg("-o").arg(release.join("bin").join(program));
        process::run(strip.arg(built))?;
    }
    site::copy_built(site, &release.join("site"))?;
    site::copy(Path::new(MONITORING), &release.join(MONITORING))?;
    for (from, to) in FILES {
        fs::copy(from, release.join(to)).context(from)?;
    }
    let licenses = licenses::collect(&target)?;
    fs::write(release.join("LICENSES-OF-CRATES.txt"), licenses)?;

    let archive = directory.join(format!("{name}.tar.gz"));
    write_archive(&release, &name, &archive, profile)?;
    let checksum = hex(&Sha256::digest(fs::read(&archive)?)[..]);
    fs::write(
        directory.join(format!("{name}.tar.gz.sha256")),
        format!("{checksum}  {name}.tar.gz\n"),
    )?;
    Ok(archive)
}

/// Returns the platform for which this compiler builds, such as `x86_64-unknown-linux-gnu`.
fn target() -> anyhow::Result<String> {
    output(project::command("rustc").args(["--print", "host-tuple"]))
}

/// Archives a directory under this name. Equal content results in equal archives if `SOURCE_DATE_EPOCH` is set.
fn write_archive(
    directory: &Path,
    name: &str,
    archive: &Path,
    profile: Profile,
) -> anyhow::Result<()> {
    let file = BufWriter::new(File::create(archive)?);
    let mut tar = Builder::new(GzEncoder::new(file, profile.gzip_level()));
    append(&mut tar, directory, Path::new(name), release_time()?)?;
    tar.into_inner()?.finish()?.flush()?;
    Ok(())
}

/// Appends a file, or a directory with everything in it, sorted by name.
fn append(
    tar: &mut Builder<impl Write>,
    path: &Path,
    name: &Path,
    seconds: u64,
) -> anyhow::Result<()> {
    let metadata = fs::metadata(path)?;
    let mut header = Header::new_gnu();
    // Without the user, the group and the permissions of this machine.
    header.set_metadata_in_mode(&metadata, HeaderMode::Deterministic);
    header.set_mtime(seconds);
    if metadata.is_file() {
        return Ok(tar.append_data(&mut header, name, File::open(path)?)?);
    }
    tar.append_data(&mut header, name, io::empty())?;
    for entry in site::entries(path)? {
        let name = name.join(entry.file_name().unwrap_or_default());
        append(tar, &entry, &name, seconds)?;
    }
    Ok(())
}

/// Returns the modification time of all files, in seconds since 1970: that of the commit, so that archives of the same
/// commit are equal. Docker's build has no repository and is given the time. Servers send it as `Last-Modified`, so two
/// releases must not share it. <https://reproducible-builds.org/specs/source-date-epoch/>
fn release_time() -> anyhow::Result<u64> {
    if let Ok(seconds) = env::var("SOURCE_DATE_EPOCH")
        && !seconds.is_empty()
    {
        return seconds.parse().context("SOURCE_DATE_EPOCH");
    }
    let mut commit = project::command("git");
    if let Ok(seconds) = output(commit.args(["log", "-1", "--format=%ct"])) {
        return Ok(seconds.parse()?);
    }
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tar::Archive;

    use super::*;

    /// Archives these files, which are created in this order. The last part of a path is also the content.
    fn archived(files: &[&str]) -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, path.file_name().unwrap().as_encoded_bytes()).unwrap();
            let mode = if file.starts_with("bin/") {
                0o700
            } else {
                0o600
            };
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        }
        let mut tar = Builder::new(Vec::new());
        append(&mut tar, directory.path(), Path::new("batchline-1"), 7).unwrap();
        tar.into_inner().unwrap()
    }

    #[test]
    fn the_build_in_docker_gets_every_file_of_a_release() {
        let ignored = include_str!("../../.dockerignore").lines();
        let kept: Vec<_> = ignored.filter_map(|line| line.strip_prefix('!')).collect();
        for path in FILES.map(|(path, _)| path).into_iter().chain([MONITORING]) {
            let is_kept = kept.iter().any(|kept| Path::new(path).starts_with(kept));
            assert!(is_kept, "{path}");
        }
    }

    #[test]
    fn equal_releases_have_equal_archives() {
        let archive = archived(&["README.md", "bin/worker", "bin/server", ".env.example"]);
        let same = archived(&["bin/server", ".env.example", "bin/worker", "README.md"]);
        assert!(archive == same);

        let mut archive = Archive::new(&archive[..]);
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let header = entry.header();
            let owner = (header.uid().unwrap(), header.gid().unwrap());
            assert_eq!((owner, header.mtime().unwrap()), ((0, 0), 7));
            let path = entry.path().unwrap().display().to_string();
            (path, header.mode().unwrap() & 0o777)
        });
        let expected = [
            ("batchline-1", 0o755),
            ("batchline-1/.env.example", 0o644),
            ("batchline-1/README.md", 0o644),
            ("batchline-1/bin", 0o755),
            ("batchline-1/bin/server", 0o755),
            ("batchline-1/bin/worker", 0o755),
        ];
        assert_eq!(
            entries.collect::<Vec<_>>(),
            expected.map(|(path, mode)| (path.to_owned(), mode))
        );
    }
}
