//! Assembles a release: a directory that runs without the repository and without a compiler, and its archive.
//!
//! ```text
//! README.md, LICENSE, CHANGELOG.md, .env.example
//! LICENSES-OF-CRATES.txt
//! batchline   starts the worker and the server
//! bin/        the worker and the server, without symbols
//! docs/       OPERATIONS.md, and monitoring/ for Prometheus and Grafana
//! site/       what browsers load (`site.rs`); the server finds it beside bin/
//! ```

use std::{
    env,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, ensure};
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tar::{Builder, Header, HeaderMode};

use crate::{
    licenses,
    site::{self, Profile},
    wasm,
};

#[derive(Debug, clap::Args)]
pub struct Options {
    /// The directory to write to. It gets the directory batchline-VERSION-TARGET, its archive, and the SHA-256 of that.
    directory: PathBuf,
    /// The profile with which server and worker were built.
    #[arg(long, value_enum, default_value_t = Profile::Dev)]
    profile: Profile,
    /// The directory with the built site.
    #[arg(long)]
    site: PathBuf,
}

const PROGRAMS: [&str; 2] = ["server", "worker"];

/// The files of the repository that are part of a release, and their names there.
const FILES: [(&str, &str); 6] = [
    ("xtask/release/README.md", "README.md"),
    ("xtask/release/batchline", "batchline"),
    ("LICENSE", "LICENSE"),
    ("CHANGELOG.md", "CHANGELOG.md"),
    (".env.example", ".env.example"),
    ("docs/OPERATIONS.md", "docs/OPERATIONS.md"),
];

const MONITORING: &str = "docs/monitoring";

/// Replaces the directory and the archive of this version. Prints the path of the archive.
pub fn assemble(options: &Options) -> anyhow::Result<()> {
    let Options {
        directory,
        profile,
        site,
    } = options;
    let target = target()?;
    let name = format!("batchline-{}-{target}", env!("CARGO_PKG_VERSION"));
    let release = directory.join(&name);
    if release.exists() {
        fs::remove_dir_all(&release)?;
    }
    fs::create_dir_all(release.join("bin"))?;
    for program in PROGRAMS {
        let built = wasm::target_directory()
            .join(profile.program_directory())
            .join(program);
        ensure!(
            built.is_file(),
            "there is no {}: script/package builds it",
            built.display()
        );
        let mut strip = Command::new("strip");
        strip.arg("-o").arg(release.join("bin").join(program));
        wasm::run(strip.arg(built))?;
    }
    site::copy_built(site, &release.join("site"))?;
    site::copy(Path::new(MONITORING), &release.join(MONITORING))?;
    for (from, to) in FILES {
        fs::copy(from, release.join(to)).context(from)?;
    }
    let licenses = licenses::collect(&target)?;
    fs::write(release.join("LICENSES-OF-CRATES.txt"), licenses)?;

    let archive = directory.join(format!("{name}.tar.gz"));
    write_archive(&release, &name, &archive, *profile)?;
    let checksum = hex(&Sha256::digest(fs::read(&archive)?)[..]);
    fs::write(
        directory.join(format!("{name}.tar.gz.sha256")),
        format!("{checksum}  {name}.tar.gz\n"),
    )?;
    println!("{}", archive.display());
    Ok(())
}

/// Returns the platform for which this compiler builds, such as `x86_64-unknown-linux-gnu`.
fn target() -> anyhow::Result<String> {
    let printed = Command::new("rustc")
        .args(["--print", "host-tuple"])
        .output()
        .context("rustc can't be run")?;
    ensure!(printed.status.success(), "rustc failed: {printed:?}");
    Ok(String::from_utf8(printed.stdout)?.trim().to_owned())
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

/// Returns the modification time of all files, in seconds since 1970. Servers send it as `Last-Modified`, so two
/// releases must not share it. <https://reproducible-builds.org/specs/source-date-epoch/>
fn release_time() -> anyhow::Result<u64> {
    match env::var("SOURCE_DATE_EPOCH") {
        Ok(seconds) => seconds.parse().context("SOURCE_DATE_EPOCH"),
        Err(_) => Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
