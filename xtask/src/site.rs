//! Builds the directory from which the server serves files to browsers:
//!
//! ```text
//! pkg/HASH/   modules, scripts and the style sheet, each also compressed; HASH is that of their content, so a browser
//!             never asks again for what it has
//! folder.txt  HASH
//! …           the files of `public`
//! ```

use std::{
    ffi::OsStr,
    fs,
    io::Write,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, ensure};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use brotli::enc::BrotliEncoderParams;
use clap::ValueEnum;
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

use crate::{process::run, project::command, wasm};

#[derive(Debug, clap::Args)]
pub struct Options {
    /// The directory to write to.
    pub directory: PathBuf,
    #[arg(long, value_enum, default_value_t = Profile::Dev)]
    pub profile: Profile,
}

/// How much time the build spends on the files for browsers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// For trying out a change.
    Dev,
    /// For running on this machine.
    Quick,
    /// For use over the network.
    Release,
}

impl Profile {
    /// Returns the name of the profile in `Cargo.toml`.
    pub fn cargo_profile(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Quick => "quick",
            Self::Release => "wasm-release",
        }
    }

    /// Returns the name of cargo's output directory for WebAssembly.
    pub fn cargo_directory(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            profile => profile.cargo_profile(),
        }
    }

    /// Returns the name of cargo's output directory for programs.
    pub fn program_directory(self) -> &'static str {
        match self {
            Self::Release => "release",
            profile => profile.cargo_directory(),
        }
    }

    /// Returns how much gzip compresses.
    pub fn gzip_level(self) -> Compression {
        match self {
            Self::Release => Compression::best(),
            Self::Dev | Self::Quick => Compression::fast(),
        }
    }
}

/// The file with a hash of everything from which the site was built.
const BUILT_FROM: &str = ".built-from";

/// The directory with the folder of modules, scripts and the style sheet.
const MODULES: &str = "pkg";

/// The file with the name of that folder.
const FOLDER: &str = "folder.txt";

/// The repository's directory of static files.
const PUBLIC: &str = "public";

/// Builds the site unless it is up to date.
pub fn build(options: &Options) -> anyhow::Result<()> {
    let Options { directory, profile } = options;
    let app = wasm::compile("app", "split", *profile)?;
    let check = wasm::compile("check", "web_worker", *profile)?;
    let inputs = inputs(&app, &check, *profile)?;
    let marker = directory.join(BUILT_FROM);
    if fs::read_to_string(&marker).is_ok_and(|built| built == inputs) {
        return Ok(());
    }
    let _ = fs::remove_file(&marker);
    fs::create_dir_all(directory.join(MODULES))?;
    // On the same file system, so that it can be moved into place at once.
    let scratch = tempfile::tempdir_in(directory)?;
    let folder = scratch.path().join(MODULES);
    fs::create_dir(&folder)?;
    wasm::split_app(&fs::read(&app)?, &folder).context("the app's WebAssembly")?;
    wasm::bind_check(&check, &folder).context("the check's WebAssembly")?;
    let is_release = *profile == Profile::Release;
    if is_release {
        for_each(&folder, &["wasm"], wasm::optimize)?;
        for_each(&folder, &["js"], minify)?;
    }
    bundle_styles(&folder, is_release)?;
    for_each(&folder, &["css", "js", "wasm"], |file| {
        compress(file, *profile)
    })?;

    copy(Path::new(PUBLIC), directory)?;
    put_in_place(&folder, directory)?;
    Ok(fs::write(marker, inputs)?)
}

/// Moves a folder of modules to the place that is named after its content, and removes those of earlier builds.
fn put_in_place(folder: &Path, directory: &Path) -> anyhow::Result<()> {
    let mut content = Sha256::new();
    add(&mut content, folder)?;
    let name = text(content);
    let place = directory.join(MODULES).join(&name);
    if !place.exists() {
        fs::rename(folder, &place)?;
    }
    fs::write(directory.join(FOLDER), &name)?;
    for other in entries(&directory.join(MODULES))? {
        if other != place {
            remove(&other)?;
        }
    }
    Ok(())
}

/// Copies a site that is completely built, without what earlier builds have left beside it.
pub fn copy_built(site: &Path, to: &Path) -> anyhow::Result<()> {
    ensure!(
        site.join(BUILT_FROM).exists(),
        "there is no built site in {}: script/package builds it",
        site.display()
    );
    copy(Path::new(PUBLIC), to)?;
    copy(&site.join(MODULES), &to.join(MODULES))?;
    fs::copy(site.join(FOLDER), to.join(FOLDER))?;
    Ok(())
}

/// Writes a single style sheet for the browsers of recent years.
fn bundle_styles(folder: &Path, minify: bool) -> anyhow::Result<()> {
    let mut esbuild = command("esbuild");
    esbuild
        .args(["style/main.css", "--bundle", "--log-level=warning"])
        .arg("--target=chrome111,edge111,firefox114,safari16.4")
        .arg(format!(
            "--outfile={}",
            folder.join("batchline.css").display()
        ));
    if minify {
        esbuild.arg("--minify");
    }
    run(&mut esbuild)
}

fn minify(script: &Path) -> anyhow::Result<()> {
    let mut esbuild = command("esbuild");
    esbuild
        .arg(script)
        .args([
            "--minify",
            "--format=esm",
            "--log-level=warning",
            "--allow-overwrite",
        ])
        .arg(format!("--outfile={}", script.display()));
    run(&mut esbuild)
}

/// Writes `FILE.br` and `FILE.gz`, so that the server need not compress for each request.
fn compress(file: &Path, profile: Profile) -> anyhow::Result<()> {
    let content = fs::read(file)?;
    let quality = match profile {
        Profile::Release => 11,
        Profile::Dev | Profile::Quick => 2,
    };
    let beside = |kind: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(kind);
        fs::File::create(name)
    };
    let parameters = BrotliEncoderParams {
        quality,
        lgwin: 24,
        size_hint: content.len(),
        ..BrotliEncoderParams::default()
    };
    brotli::BrotliCompress(&mut content.as_slice(), &mut beside(".br")?, &parameters)?;
    let mut gzip = GzEncoder::new(beside(".gz")?, profile.gzip_level());
    gzip.write_all(&content)?;
    gzip.finish()?;
    Ok(())
}

/// Applies a function to all files of these kinds, several at a time.
fn for_each(
    folder: &Path,
    kinds: &[&str],
    change: impl Fn(&Path) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<()> {
    let files: Vec<PathBuf> = entries(folder)?
        .into_iter()
        .filter(|file| {
            let kind = file.extension().and_then(OsStr::to_str);
            kind.is_some_and(|kind| kinds.contains(&kind))
        })
        .collect();
    let change = &change;
    thread::scope(|scope| {
        let threads: Vec<_> = files
            .iter()
            .map(|file| {
                scope.spawn(move || change(file).with_context(|| file.display().to_string()))
            })
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })
}

/// Returns a hash of everything that the site is built from.
fn inputs(app: &Path, check: &Path, profile: Profile) -> anyhow::Result<String> {
    let mut hasher = Sha256::new();
    hasher.update(profile.cargo_profile());
    // Another version of this program, or of its libraries, may build something else from the same files.
    for source in [
        &include_bytes!("site.rs")[..],
        include_bytes!("wasm.rs"),
        include_bytes!("../../Cargo.lock"),
    ] {
        hasher.update(Sha256::digest(source));
    }
    for path in [app, check, Path::new("style"), Path::new(PUBLIC)] {
        add(&mut hasher, path)?;
    }
    Ok(text(hasher))
}

/// Adds the name and the content of a file, or of all files in a directory.
fn add(hasher: &mut Sha256, path: &Path) -> anyhow::Result<()> {
    hasher.update(path.file_name().unwrap_or_default().as_encoded_bytes());
    if path.is_dir() {
        return entries(path)?.iter().try_for_each(|path| add(hasher, path));
    }
    let content = fs::read(path).with_context(|| path.display().to_string())?;
    hasher.update((content.len() as u64).to_le_bytes());
    hasher.update(content);
    Ok(())
}

/// Returns half of a hash as 22 characters of base64url.
fn text(hasher: Sha256) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(&hasher.finalize()[..16])
}

/// Returns the entries of a directory, sorted by name.
pub fn entries(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// Copies everything in a directory.
pub fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for path in entries(from)? {
        let there = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &there)?;
        } else {
            fs::copy(&path, &there)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> std::io::Result<()> {
    match path.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn modules_are_in_a_single_folder_named_after_their_content() {
        let site = tempfile::tempdir().unwrap();
        let site = site.path();
        fs::create_dir(site.join(MODULES)).unwrap();
        let built = |file: &str, content: &str| {
            let folder = site.join("new").join(MODULES);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(file), content).unwrap();
            put_in_place(&folder, site).unwrap();
            let _ = fs::remove_dir_all(site.join("new"));
            let name = fs::read_to_string(site.join(FOLDER)).unwrap();
            assert_eq!(
                name.len(),
                22,
                "browsers keep only folders with such names forever"
            );
            let modules = site.join(MODULES);
            assert_eq!(entries(&modules).unwrap(), [modules.join(&name)]);
            assert_eq!(
                fs::read_to_string(modules.join(&name).join(file)).unwrap(),
                content
            );
            name
        };
        let first = built("batchline.js", "1");
        assert_eq!(built("batchline.js", "1"), first);
        assert_ne!(built("batchline.js", "2"), first);
        assert_ne!(built("check.js", "1"), first);
        assert_eq!(built("batchline.js", "1"), first);
    }

    #[test]
    fn files_have_compressed_copies_with_the_same_content() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("batchline.js");
        let content = "export const value = 1;\n".repeat(1000);
        fs::write(&script, &content).unwrap();
        fs::write(directory.path().join("logo.svg"), "<svg/>").unwrap();
        for_each(directory.path(), &["js"], |file| {
            compress(file, Profile::Quick)
        })
        .unwrap();
        let names: Vec<_> = entries(directory.path()).unwrap();
        let names: Vec<_> = names
            .iter()
            .filter_map(|path| path.file_name()?.to_str())
            .collect();
        assert_eq!(
            names,
            [
                "batchline.js",
                "batchline.js.br",
                "batchline.js.gz",
                "logo.svg"
            ]
        );

        let (brotli, gzip) = (
            script.with_extension("js.br"),
            script.with_extension("js.gz"),
        );
        let (brotli, gzip) = (fs::read(brotli).unwrap(), fs::read(gzip).unwrap());
        assert!(brotli.len() < content.len() / 10 && gzip.len() < content.len() / 10);
        let mut read = Vec::new();
        brotli::BrotliDecompress(&mut &brotli[..], &mut read).unwrap();
        assert_eq!(read, content.as_bytes());
        read.clear();
        GzDecoder::new(&gzip[..]).read_to_end(&mut read).unwrap();
        assert_eq!(read, content.as_bytes());
    }

    #[test]
    fn only_a_completely_built_site_is_copied() {
        let (site, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(site.path().join(MODULES)).unwrap();
        let error = copy_built(site.path(), copied.path()).unwrap_err();
        assert!(
            error.to_string().contains("script/package builds it"),
            "{error}"
        );
        assert!(entries(copied.path()).unwrap().is_empty());
    }
}
