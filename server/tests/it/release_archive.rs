//! The release archive: unpacked outside the repository, and started with nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    time::Duration,
};

use reqwest::{
    Client, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE},
};
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{SAMPLE, TestApp};

/// Runs a program in this directory. Returns its output.
fn run(directory: &Path, command: &[&str]) -> String {
    let mut program = Command::new(command[0]);
    let output = program.args(&command[1..]).current_dir(directory).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the absolute paths of files that a page names, in attributes, scripts and properties of islands.
fn named_files(page: &str) -> BTreeSet<String> {
    let page = page.replace("&quot;", "\"");
    let texts = page.split('"').filter(|text| text.starts_with('/'));
    let files = texts.filter(|text| Path::new(text).extension().is_some());
    files.map(str::to_owned).collect()
}

/// Returns the names of modules that a script imports or fetches from its own folder.
fn loaded_modules(script: &str) -> Vec<&str> {
    let texts: Vec<&str> = script.split('"').collect();
    let loaded = texts.windows(2).filter_map(|pair| {
        let name = pair[1].strip_prefix("./")?;
        // Minified scripts have no space after the word.
        let before = pair[0].trim_end();
        let is_loaded = ["from", "import", "import(", "new URL("]
            .iter()
            .any(|end| before.ends_with(end));
        is_loaded.then_some(name)
    });
    loaded.collect()
}

#[tokio::test]
async fn an_unpacked_release_is_all_that_batchline_needs() {
    // script/test sets it, except that script/test rust builds nothing for browsers.
    let Ok(archive) = env::var("RELEASE_ARCHIVE") else {
        return;
    };
    let archive = Path::new(&archive);
    let name = archive.file_name().unwrap().to_str().unwrap();
    run(
        archive.parent().unwrap(),
        &["sha256sum", "--check", &format!("{name}.sha256")],
    );
    let unpacked = TempDir::new().unwrap();
    let directory = unpacked.path();
    run(
        directory,
        &["tar", "--extract", "--file", archive.to_str().unwrap()],
    );
    let release = directory.join(name.strip_suffix(".tar.gz").unwrap());
    for program in ["bin/server", "bin/worker"] {
        let program = release.join(program);
        let version = run(directory, &[program.to_str().unwrap(), "--version"]);
        assert!(name.contains(version.split_once(' ').unwrap().1.trim()));
    }
    let operations = fs::read_to_string(release.join("docs/OPERATIONS.md")).unwrap();
    assert!(operations.contains("](../.env.example)") && release.join(".env.example").exists());

    let app = TestApp::start_release(&release, directory).await;
    let job = app.process(SAMPLE).await;
    assert_eq!(job["status"], "completed");
    assert_eq!(job["valid_records"], json!(4));
    for file in app.stored_files() {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "others can read {}", file.display());
    }

    let mut files = BTreeSet::new();
    for path in ["/".to_owned(), format!("/users/{}", job["user_id"])] {
        files.append(&mut named_files(&app.page(&path).await));
    }
    let http = Client::builder().no_proxy().build().unwrap();
    let mut kinds = BTreeMap::<_, usize>::new();
    while let Some(path) = files.pop_first() {
        let url = format!("{}{path}", app.web);
        let file = http.get(&url).send().await.unwrap();
        assert_eq!(file.status(), StatusCode::OK, "{path}");
        let kind = Path::new(&path).extension().unwrap().to_str().unwrap();
        let expected = match kind {
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "wasm" => "application/wasm",
            "svg" => "image/svg+xml; charset=utf-8",
            "csv" => "text/csv; charset=utf-8",
            "tsv" => "text/tab-separated-values; charset=utf-8",
            _ => panic!("{path}"),
        };
        assert_eq!(file.headers()[CONTENT_TYPE], expected, "{path}");
        *kinds.entry(kind.to_owned()).or_default() += 1;
        let content = file.bytes().await.unwrap();
        assert!(!content.is_empty(), "{path}");
        if !path.starts_with("/pkg/") {
            continue;
        }
        let compressed = http.get(&url).header(ACCEPT_ENCODING, "br");
        let compressed = compressed.send().await.unwrap();
        assert_eq!(compressed.headers()[CONTENT_ENCODING], "br", "{path}");
        if kind == "js" {
            let (folder, _) = path.rsplit_once('/').unwrap();
            let script = std::str::from_utf8(&content).unwrap();
            // batchline.js and split.js import each other, and the latter imports nothing else.
            let loaded = loaded_modules(script).into_iter();
            let further = loaded.filter(|name| *name != "batchline.js");
            files.extend(further.map(|name| format!("{folder}/{name}")));
        }
    }
    let found = ["css", "js", "svg", "wasm"].map(|kind| kinds[kind]);
    // js: batchline, split, check. wasm: batchline, the upload form, check.
    assert_eq!(found, [1, 3, 1, 3], "{kinds:?}");

    let (code, took) = app.end_server().await.unwrap();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
    let entries = fs::read_dir(directory).unwrap().count();
    assert_eq!(entries, 1, "it wrote beside itself");

    // A server that ends ends the worker, too, which would otherwise wait for PostgreSQL and keep the output open.
    let nowhere = "postgres://127.0.0.1:1/nowhere";
    let refused = Command::new(release.join("batchline"))
        .env_clear()
        .envs([("PATH", "/usr/bin:/bin"), ("AUTH", "nonsense")])
        .env("DATABASE_URL", nowhere)
        .current_dir(directory)
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
}
