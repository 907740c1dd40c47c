//! Turns compiler output into modules that browsers load.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use anyhow::anyhow;
use wasm_bindgen_cli_support::Bindgen;

use crate::{
    process::run,
    project::{cargo, command, target},
    site::Profile,
};

pub const TARGET: &str = "wasm32-unknown-unknown";

/// Compiles a package's library and returns the path of its WebAssembly.
pub fn compile(package: &str, features: &str, profile: Profile) -> anyhow::Result<PathBuf> {
    let mut cargo = cargo();
    cargo
        .args(["build", "--locked", "--lib", "--no-default-features"])
        .args(["--package", package, "--features", features])
        .args(["--target", TARGET, "--profile", profile.cargo_profile()]);
    run(&mut cargo)?;
    let built = target().join(TARGET).join(profile.cargo_directory());
    Ok(built.join(package).with_extension("wasm"))
}

/// Splits the lazy islands from the app into separate modules, and writes all modules with their scripts to `out`.
pub fn split_app(wasm: &[u8], out: &Path) -> anyhow::Result<()> {
    let whole = tempfile::tempdir()?;
    let main = whole.path().join("main.wasm");
    let mut options = wasm_split_cli_support::Options::new(wasm);
    options.output_dir = out;
    options.main_out_path = &main;
    options.main_module = "./batchline.js";
    options.link_name = "./split.js";
    wasm_split_cli_support::transform(options).map_err(|error| anyhow!("{error:?}"))?;
    // The other modules import what wasm-bindgen would consider unused.
    bind(
        Bindgen::new()
            .input_path(&main)
            .keep_lld_exports(true)
            .demangle(false),
        "batchline",
        out,
    )
}

/// Writes the module that checks files, and its script, to `out`.
pub fn bind_check(wasm: &Path, out: &Path) -> anyhow::Result<()> {
    bind(Bindgen::new().input_path(wasm), "check", out)
}

/// Writes `NAME.js` and `NAME.wasm`.
fn bind(bindgen: &mut Bindgen, name: &str, out: &Path) -> anyhow::Result<()> {
    bindgen
        .web(true)?
        .typescript(false)
        .out_name(name)
        .generate(out)?;
    fs::rename(
        out.join(format!("{name}_bg.wasm")),
        out.join(format!("{name}.wasm")),
    )?;
    Ok(())
}

/// Optimizes a module in place, for size or for speed.
pub fn optimize(module: &Path) -> anyhow::Result<()> {
    let is_check = module.file_stem() == Some(OsStr::new("check"));
    let mut optimizer = command("wasm-opt");
    optimizer
        .arg(if is_check { "-O3" } else { "-Oz" })
        .args(["--enable-bulk-memory", "--enable-nontrapping-float-to-int"])
        .arg(module)
        .arg("-o")
        .arg(module);
    run(&mut optimizer)
}
