//! The directories of the project, and commands that find its tools.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{settings, tools};

/// Returns the project's root, which is the working directory of all tasks.
pub fn root() -> PathBuf {
    env::current_dir().expect("the working directory exists")
}

/// Returns cargo's target directory.
pub fn target() -> PathBuf {
    let set = env::var_os("CARGO_TARGET_DIR").filter(|directory| !directory.is_empty());
    root().join(set.unwrap_or_else(|| "target".into()))
}

/// Returns the directory with the tools. There is one per user: clones share it, and versions in the names let old clones
/// keep theirs.
pub fn cache() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(cache) = set("BATCHLINE_CACHE") {
        return cache.into();
    }
    let caches = set("XDG_CACHE_HOME").map_or_else(
        || Path::new(&set("HOME").unwrap_or_default()).join(".cache"),
        PathBuf::from,
    );
    caches.join("batchline")
}

/// A command that finds the tools which `script/setup` installs.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    let path = env::var_os("PATH").unwrap_or_default();
    let paths = tools::search_path()
        .into_iter()
        .chain(env::split_paths(&path));
    if settings::are_ignored() {
        settings::clear(&mut command);
    }
    // A directory with a colon in its name can't be searched.
    if let Ok(paths) = env::join_paths(paths) {
        command.env("PATH", paths);
    }
    command
}

pub fn cargo() -> Command {
    command("cargo")
}

/// A program of the project's JavaScript packages, in `end2end`.
pub fn npx() -> Command {
    let mut command = command("npx");
    command.current_dir("end2end");
    command
}

pub fn say(text: impl AsRef<str>) {
    println!("{}", text.as_ref());
}
