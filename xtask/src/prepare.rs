//! Writes `.sqlx`, which describes the parameters and results of all queries, so that a build needs no database.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use crate::{
    process::run,
    project::{cargo, command, say, target},
    services::{Postgres, Services, free_ports, require_client_programs},
    work_directory::WorkDirectory,
};

const DESCRIPTIONS: &str = ".sqlx";

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Fails if .sqlx isn't what this would write, instead of writing it
    #[arg(long)]
    check: bool,
    /// The command that compiles the whole workspace. By default `cargo check`
    #[arg(last = true)]
    compile: Vec<String>,
}

pub fn run_with(options: &Options) -> anyhow::Result<()> {
    let compile = match options.compile.split_first() {
        Some((program, arguments)) => {
            let mut compile = command(program);
            compile.args(arguments);
            compile
        }
        None => {
            let mut check = cargo();
            check.args(["check", "--workspace", "--all-targets"]);
            check
        }
    };
    prepare(options.check, compile)
}

/// Compiles all queries against a database with all migrations, by a command that compiles the whole workspace.
pub fn prepare(only_check: bool, mut compile: Command) -> anyhow::Result<()> {
    let checked = target().join("queries-checked");
    if only_check && fs::read_to_string(&checked).is_ok_and(|state| state == current_state()) {
        compile.env("SQLX_OFFLINE", "true");
        return run(&mut compile);
    }
    require_client_programs()?;
    let directory = WorkDirectory::new("prepare")?;
    let mut services = Services::default();
    let [port] = free_ports()?;
    let postgres = Postgres {
        settings: vec!["fsync=off".to_owned()],
        ..Postgres::temporary(&directory, port)
    };
    postgres.start(&mut services, &directory.log("postgres"))?;
    for migration in files(Path::new("backend/migrations"))? {
        let mut psql = postgres.psql("postgres");
        psql.arg("--single-transaction").arg("--file");
        crate::process::output(psql.arg(migration))?;
    }

    let described = directory.path().join("queries");
    fs::create_dir(&described)?;
    // The macros write a query's description when they are expanded against a database. cargo doesn't know about this
    // dependency on the environment, so the crate with the queries is touched.
    let source = fs::File::options()
        .append(true)
        .open("backend/src/lib.rs")?;
    source.set_modified(std::time::SystemTime::now())?;
    compile.env("SQLX_OFFLINE", "false");
    compile.env("SQLX_OFFLINE_DIR", &described);
    compile.env("DATABASE_URL", postgres.url("postgres", None, "postgres"));
    run(&mut compile)?;

    let described = descriptions(&described)?;
    if only_check {
        let differing = differences(&descriptions(Path::new(DESCRIPTIONS))?, &described);
        if !differing.is_empty() {
            for name in differing.iter().take(20) {
                eprintln!("    {name}");
            }
            bail!(
                ".sqlx is not up to date with the queries and migrations: run script/prepare and commit .sqlx"
            );
        }
    } else {
        let _ = fs::remove_dir_all(DESCRIPTIONS);
        fs::create_dir(DESCRIPTIONS)?;
        for (name, content) in &described {
            fs::write(Path::new(DESCRIPTIONS).join(name), content)?;
        }
        say(format!(
            "prepare: .sqlx describes {} queries",
            described.len()
        ));
    }
    fs::create_dir_all(target())?;
    Ok(fs::write(checked, current_state())?)
}

/// Returns the hash of what determines `.sqlx`, and of `.sqlx` itself.
fn current_state() -> String {
    let mut state = Sha256::new();
    for directory in ["backend/src", "backend/migrations", DESCRIPTIONS] {
        for file in files(Path::new(directory)).unwrap_or_default() {
            state.update(file.as_os_str().as_encoded_bytes());
            state.update(Sha256::digest(fs::read(&file).unwrap_or_default()));
        }
    }
    let bytes = state.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns all files below a directory, sorted.
fn files(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(directory)
        .with_context(|| format!("{} can't be read", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        match path.is_dir() {
            true => found.extend(files(&path)?),
            false => found.push(path),
        }
    }
    found.sort();
    Ok(found)
}

/// Returns the descriptions in a directory by their file names.
fn descriptions(directory: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let files = files(directory)?.into_iter();
    let described = files.filter(|file| {
        file.extension()
            .is_some_and(|extension| extension == "json")
    });
    described
        .map(|file| {
            let name = file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            Ok((name, fs::read(&file)?))
        })
        .collect()
}

/// Returns what is wrong with the committed descriptions.
fn differences(
    committed: &BTreeMap<String, Vec<u8>>,
    expected: &BTreeMap<String, Vec<u8>>,
) -> Vec<String> {
    let missing = expected
        .iter()
        .filter_map(|(name, content)| match committed.get(name) {
            None => Some(format!("missing: {name}")),
            Some(found) if found != content => Some(format!("outdated: {name}")),
            Some(_) => None,
        });
    let unused = committed
        .keys()
        .filter(|name| !expected.contains_key(*name));
    missing
        .chain(unused.map(|name| format!("unused: {name}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named() {
        let described = |queries: &[(&str, &str)]| {
            let queries = queries.iter();
            queries
                .map(|(name, content)| (name.to_string(), content.as_bytes().to_vec()))
                .collect()
        };
        let committed = described(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let expected = described(&[("a", "1"), ("b", "2"), ("d", "1")]);
        assert_eq!(
            differences(&committed, &expected),
            ["outdated: b", "missing: d", "unused: c"]
        );
        assert!(differences(&expected, &expected).is_empty());
    }
}
