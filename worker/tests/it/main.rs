//! Tests the worker as a process. What it does with jobs is tested through the server's API.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
};

fn worker(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_worker"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .envs(environment.iter().copied())
        // There is no .env in this directory, unlike in the checkout.
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap();
    let said = [stdout, stderr].concat();
    (status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn a_wrong_setting_stops_the_start_with_a_sentence() {
    for (variable, value) in [
        ("WORKER_CONCURRENCY", "0"),
        ("METRICS_ADDR", "nowhere"),
        ("AUDIT_RETENTION_DAYS", "29"),
        ("LOG_FORMAT", "xml"),
        ("STORAGE_URL", "not a url"),
        ("DATABASE_URL", "mysql://localhost/x"),
    ] {
        // Settings are checked in this order. A wrong one is reported without a database.
        let (code, said) = worker(
            &[],
            &[
                ("DATABASE_URL", "postgres://127.0.0.1:9/x"),
                (variable, value),
            ],
        );
        assert_ne!(code, Some(0), "{variable}");
        assert!(
            said.contains(variable) || said.contains(&variable.to_lowercase().replace('_', "-")),
            "{variable}: {said}"
        );
    }
}

#[test]
fn invalid_trace_settings_are_refused_with_a_sentence() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    for (variable, value) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere at all"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
    ] {
        let (code, said) = worker(&[], &[endpoint, (variable, value)]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(variable), "{said}");
    }
}

#[test]
fn the_health_check_succeeds_if_the_response_is_200() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // It reaches a worker that listens on all addresses.
    let address = format!("0.0.0.0:{}", listener.local_addr().unwrap().port());
    for (status, code) in [("200 OK", 0), ("503 Service Unavailable", 1)] {
        let listener = listener.try_clone().unwrap();
        let answered = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 12];
            stream.read_exact(&mut request).unwrap();
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            // The client closes the connection, so that its request isn't cut off.
            stream.read_to_end(&mut Vec::new()).unwrap();
            request
        });
        let proxy = ("http_proxy", "http://127.0.0.1:9");
        let (ended, said) = worker(&["healthcheck"], &[("METRICS_ADDR", &address), proxy]);
        assert_eq!(ended, Some(code), "{said}");
        assert_eq!(&answered.join().unwrap(), b"GET /healthz");
    }
}

#[test]
fn the_health_check_fails_without_a_worker() {
    // Nothing listens on the discard port.
    let (code, said) = worker(&["healthcheck"], &[("METRICS_ADDR", "127.0.0.1:9")]);
    assert_eq!(code, Some(1));
    assert!(said.contains("http://127.0.0.1:9/healthz"), "{said}");
}

#[test]
fn help_names_every_variable() {
    let (code, said) = worker(&["--help"], &[]);
    assert_eq!(code, Some(0));
    for variable in [
        "DATABASE_URL",
        "TEMPORAL_ADDRESS",
        "STORAGE_URL",
        "WORKER_CONCURRENCY",
        "METRICS_ADDR",
        "MAX_ACTIVE_JOBS_PER_USER",
        "RETENTION_DAYS",
        "LOG_FORMAT",
    ] {
        assert!(said.contains(variable), "{variable}: {said}");
    }
}

/// Jobs that are running when their worker is replaced by a newer one must continue. If a workflow has to change its
/// steps, executions that have begun keep the old ones (`patched` of Temporal's SDK), and their history is added here.
#[test]
fn workflows_of_earlier_versions_continue() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories");
    let histories: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(histories.len() >= 5, "{histories:?}");
    let mut arguments = vec!["replay"];
    arguments.extend(histories.iter().map(|history| history.to_str().unwrap()));
    let (code, said) = worker(&arguments, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        said.matches(": continues").count(),
        histories.len(),
        "{said}"
    );
}

#[test]
fn a_workflow_with_other_steps_is_reported() {
    let history = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories/large_file.json");
    let history = fs::read_to_string(history).unwrap();
    let other = history.replacen("Activities::plan", "Activities::other", 1);
    assert_ne!(history, other);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("other.json");
    fs::write(&file, other).unwrap();
    let (code, said) = worker(&["replay", file.to_str().unwrap()], &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("nondeterministic"), "{said}");
}
