//! Checks of sources, each without a service.

use std::{fs, path::PathBuf};

use anyhow::Context;

use crate::{
    prepare::prepare,
    process::{run, succeeds},
    project::{cargo, command, npx, say},
    tools::SHELLCHECK,
};

/// Everything except Rust.
pub fn scripts() -> anyhow::Result<()> {
    let formatted = ["prettier", "--check", "--log-level", "warn"];
    run(npx()
        .args(formatted)
        .args([".", "../style", "../docs/monitoring"]))?;
    run(npx().args(["tsc", "--project", "."]))?;
    let mut scripts: Vec<PathBuf> = Vec::new();
    for directory in ["script", "script/lib", ".ci", "xtask/release"] {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let text = fs::read(&path).unwrap_or_default();
            if text.starts_with(b"#!")
                && text
                    .split(|byte| *byte == b'\n')
                    .next()
                    .is_some_and(|line| line.ends_with(b"sh"))
            {
                scripts.push(path);
            }
        }
    }
    let mut check = command(SHELLCHECK.home().join("shellcheck"));
    run(check.arg("--external-sources").args(scripts))
}

/// The alert rules for Prometheus, and cases for them.
pub fn alerts() -> anyhow::Result<()> {
    if !succeeds(command("promtool").arg("--version")) {
        say("ALERT RULES NOT CHECKED: install Prometheus, which has promtool.");
        return Ok(());
    }
    run(command("promtool").args(["check", "rules", "docs/monitoring/alerts.yml"]))?;
    run(command("promtool").args(["test", "rules", "docs/monitoring/alerts.test.yml"]))
}

/// The fuzz targets. They need a nightly compiler only to be run.
pub fn fuzz_targets() -> anyhow::Result<()> {
    run(cargo().args(["check", "--locked", "--manifest-path", "fuzz/Cargo.toml"]))
}

/// `deny.toml` has the requirements for dependencies. Entries that match nothing are warnings and fail. Temporal's crates
/// contain the text of their license but not its name. cargo-deny recognises the text.
pub fn dependencies() -> anyhow::Result<()> {
    let deny = || {
        let mut deny = cargo();
        deny.args(["deny", "--locked", "check", "--hide-inclusion-graph"]);
        deny
    };
    let strict = ["--deny", "warnings", "--allow", "no-license-field"];
    run(deny().args(strict).args(["bans", "licenses", "sources"]))?;
    let database = "https://github.com/RustSec/advisory-db";
    let mut reach = command("git");
    reach.args(["-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=10"]);
    match succeeds(reach.args(["ls-remote", "--quiet", database, "HEAD"])) {
        true => run(deny().arg("advisories"))?,
        false => say(format!(
            "ADVISORIES NOT CHECKED: {database} can't be reached."
        )),
    }
    run(cargo().args(["shear", "--locked", "--deny-warnings"]))
}

/// One compilation for both: clippy for the server, and the check of query descriptions against the migrations.
pub fn workspace() -> anyhow::Result<()> {
    let mut clippy = cargo();
    clippy.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]);
    prepare(true, clippy)
}

pub fn for_browser() -> anyhow::Result<()> {
    for package in [
        &["-p", "app", "--no-default-features", "--features", "split"][..],
        &["-p", "check", "--features", "web_worker"],
    ] {
        let mut clippy = cargo();
        clippy.args(["clippy", "--locked", "--target", "wasm32-unknown-unknown"]);
        run(clippy.args(package).args(["--", "-D", "warnings"]))
            .with_context(|| format!("{} for the browser", package[1]))?;
    }
    Ok(())
}

/// Includes private items, for the developers who read it. Links to them are fine then.
pub fn documentation() -> anyhow::Result<()> {
    let mut doc = cargo();
    doc.env(
        "RUSTDOCFLAGS",
        "-D warnings -A rustdoc::private-intra-doc-links",
    );
    run(doc.args([
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
        "--locked",
    ]))
}
