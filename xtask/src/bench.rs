//! Measures how fast jobs are, as ratios to psql's `\copy` and to DuckDB, which load the same rows on the same machine in
//! turn; what jobs cost PostgreSQL and the worker; and how fast the validator is compared with the csv crate, which only
//! reads.

use std::{fs, process::Stdio};

use anyhow::{Context, ensure};
use rustix::process::Signal;

use crate::{
    build,
    process::{output, run},
    project::{cargo, command, say, target},
    services::{
        Batchline, Postgres, Services, Temporal, free_ports, has_client_programs, is_taken,
        start_object_store,
    },
    setup::{self, need_duckdb},
    tools::{Chromium, POSTGRES},
    work_directory::WorkDirectory,
};

/// The time that the remote object store takes for a response, in milliseconds.
const STORE_LATENCY: u32 = 20;

#[derive(Debug, clap::Args)]
pub struct Options {
    /// For the measurements: --rows N, --rounds N, --long (also ten times the rows, and an upload of a gigabyte) or --huge
    /// (--long and a hundred times the rows, which needs some 20 GB below TMPDIR)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    measurements: Vec<String>,
}

pub fn run_with(options: &Options) -> anyhow::Result<()> {
    setup::run(setup::Options::TEST)?;
    ensure!(
        has_client_programs(),
        "psql is missing: install PostgreSQL with its client programs (Debian: the package postgresql)"
    );
    let python = need_duckdb()?;
    let chromium = Chromium::find().context("there is no Chromium: run script/setup --test")?;
    let site = target().join("site");
    build::release_with_site(&site)?;
    let build = [
        "build",
        "--release",
        "--locked",
        "-p",
        "server",
        "-p",
        "worker",
    ];
    run(cargo().args(build).args(["--example", "noop"]))?;

    let directory = WorkDirectory::new("bench")?;
    let mut services = Services::default();
    let [
        postgres_port,
        temporal_port,
        web,
        api,
        metrics,
        store,
        slow_store,
        store_web,
        store_api,
        store_metrics,
    ] = free_ports()?;
    let postgres = Postgres {
        data: directory.file("postgres"),
        port: postgres_port,
        password: None,
        settings: Vec::new(),
    };
    postgres.start(&mut services, &directory.log("postgres"))?;
    postgres.create_database("bench")?;
    postgres.create_database("store")?;
    let database = directory.file("temporal.db").display().to_string();
    let temporal = Temporal {
        port: temporal_port,
        arguments: ["--db-filename", &database, "--namespace", "store"]
            .map(str::to_owned)
            .into(),
    };
    temporal.start(&mut services, &directory.log("temporal"))?;
    let local = |port: u16| format!("127.0.0.1:{port}");
    let batchline = Batchline {
        programs: target().join("release"),
        logs: directory.path().to_owned(),
        settings: vec![
            ("DATABASE_URL", postgres.url("postgres", "bench")),
            ("TEMPORAL_ADDRESS", temporal.address()),
            (
                "STORAGE_URL",
                format!("file://{}", directory.file("uploads").display()),
            ),
            ("SITE_ROOT", site.display().to_string()),
            ("WEB_ADDR", local(web)),
            ("API_ADDR", local(api)),
            ("METRICS_ADDR", local(metrics)),
            ("SERVER_METRICS_ADDR", local(0)),
        ],
    };
    batchline.start_worker(&mut services, "worker")?;
    batchline.start_server(&mut services, "server")?;

    // The same with files in a remote object store.
    start_object_store(&mut services, store, &directory.log("object-store"))?;
    let mut slow = command("python3");
    slow.arg("script/lib/bench/slow_store.py");
    slow.args(["--port", &slow_store.to_string()]);
    slow.args(["--store", &store.to_string()]);
    slow.args(["--milliseconds", &STORE_LATENCY.to_string()]);
    let name = "slow object store";
    services.start(name, &directory.log("slow-store"), &slow, Signal::TERM)?;
    services.wait_until(name, || is_taken(slow_store))?;
    create_bucket(store, "bench")?;
    let in_store = batchline.with([
        ("DATABASE_URL", &*postgres.url("postgres", "store")),
        ("TEMPORAL_NAMESPACE", "store"),
        ("STORAGE_URL", "s3://bench/uploads"),
        ("AWS_ENDPOINT", &format!("http://{}", local(slow_store))),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "false"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("WEB_ADDR", &local(store_web)),
        ("API_ADDR", &local(store_api)),
        ("METRICS_ADDR", &local(store_metrics)),
    ]);
    in_store.start_worker(&mut services, "worker with store")?;
    in_store.start_server(&mut services, "server with store")?;

    say("");
    measure_validator(&directory, &chromium, &site)?;
    say("");
    let mut bench = command(python);
    bench.env("PYTHONPATH", "script/lib");
    bench.args(["-B", "-m", "bench"]);
    bench.arg("--psql").arg(POSTGRES.program("psql"));
    bench.args(["--database", batchline.setting("DATABASE_URL")]);
    bench.args(["--api", batchline.setting("API_ADDR")]);
    bench.arg("--directory").arg(directory.path());
    bench
        .arg("--noop")
        .arg(batchline.programs.join("examples/noop"));
    bench.env("TEMPORAL_ADDRESS", temporal.address());
    for (option, service) in [
        ("--server", "server"),
        ("--worker", "worker"),
        ("--postgres", "PostgreSQL"),
        ("--temporal", "Temporal"),
        ("--store-server", "server with store"),
        ("--store-worker", "worker with store"),
    ] {
        bench.args([option, &services.process_id(service)?.to_string()]);
    }
    bench.args(["--store-database", in_store.setting("DATABASE_URL")]);
    bench.args(["--store-api", in_store.setting("API_ADDR")]);
    bench.args(["--store-latency", &STORE_LATENCY.to_string()]);
    run(bench.args(&options.measurements))
}

/// The validator, natively and in a browser.
fn measure_validator(
    directory: &WorkDirectory,
    chromium: &Chromium,
    site: &std::path::Path,
) -> anyhow::Result<()> {
    let mut bench = cargo();
    bench.args(["bench", "--quiet", "--locked", "-p", "validator"]);
    let measured = output(bench.stdin(Stdio::null()))?;
    say(&measured);
    fs::write(directory.file("validator.txt"), &measured)?;
    let mut check = command("node");
    check.current_dir("end2end");
    chromium.choose(&mut check);
    run(check
        .arg("bench/check.mjs")
        .arg(site)
        .arg(native_rate(&measured).context("cargo bench printed no rate of the check")?))
}

/// Finds the MB/s of the check as the browser runs it.
fn native_rate(measured: &str) -> Option<&str> {
    measured.lines().find_map(|line| {
        let rate = line.trim_start().strip_prefix("check (browser)")?;
        rate.trim_start().split(' ').next()
    })
}

fn create_bucket(port: u16, name: &str) -> anyhow::Result<()> {
    let agent = ureq::Agent::config_builder()
        .proxy(None)
        .build()
        .new_agent();
    agent
        .put(format!("http://127.0.0.1:{port}/{name}"))
        .send_empty()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_native_rate_is_found() {
        let measured = "csv crate 400 MB/s\n  check (browser)   412.5 MB/s, 1.1\n";
        assert_eq!(native_rate(measured), Some("412.5"));
        assert_eq!(native_rate("nothing"), None);
    }
}
