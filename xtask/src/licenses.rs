//! Collects the licenses of the crates in a release. Most of them require that copies of the programs come with their
//! text.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{project::cargo, site, wasm::TARGET};

/// The first words of the names of files with licenses, in capitals.
const NAMES: [&str; 6] = [
    "LICENSE",
    "LICENCE",
    "UNLICENSE",
    "COPYING",
    "COPYRIGHT",
    "NOTICE",
];

/// Returns each license once, after the names of the crates that have it. Includes crates that only the build and the
/// tests use.
pub fn collect(target: &str) -> anyhow::Result<String> {
    let mut by_text = BTreeMap::<String, Vec<String>>::new();
    for package in packages(target)? {
        let field = |name: &str| package[name].as_str().unwrap_or_default();
        // Crates of this workspace have no source.
        if field("source").is_empty() {
            continue;
        }
        let name = format!("{} {}", field("name"), field("version"));
        let directory = Path::new(field("manifest_path")).parent();
        let files = license_files(directory.context("a crate without a directory")?)?;
        for file in &files {
            let text = String::from_utf8_lossy(&fs::read(file)?).into_owned();
            by_text.entry(text).or_default().push(name.clone());
        }
        if files.is_empty() {
            let text = format!(
                "{}; the crate has no text of its license: {}",
                field("license"),
                field("repository")
            );
            by_text.entry(text).or_default().push(name);
        }
    }
    let mut collected = "The licenses of the crates with which Batchline is built.\n".to_owned();
    for (text, names) in by_text {
        let line = "-".repeat(80);
        let text = text.trim_end();
        write!(
            collected,
            "\n{line}\n{}\n{line}\n\n{text}\n",
            names.join(", ")
        )?;
    }
    Ok(collected)
}

/// Returns what cargo knows about all crates that are compiled for this target and for browsers.
fn packages(target: &str) -> anyhow::Result<Vec<Value>> {
    let output = cargo()
        .args(["metadata", "--format-version=1", "--locked"])
        .args(["--filter-platform", target, "--filter-platform", TARGET])
        .output()
        .context("cargo can't be run")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo metadata failed: {errors}");
    let mut metadata: Value = serde_json::from_slice(&output.stdout)?;
    Ok(serde_json::from_value(metadata["packages"].take())?)
}

fn license_files(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let is_license = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_ascii_uppercase();
        path.is_file() && NAMES.iter().any(|start| name.starts_with(start))
    };
    Ok(site::entries(directory)?
        .into_iter()
        .filter(is_license)
        .collect())
}
