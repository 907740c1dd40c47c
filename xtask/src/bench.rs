//! Measures how fast jobs are, as ratios to psql's `\copy` and to DuckDB, which load the same rows on the same machine in
//! turn; what jobs cost PostgreSQL and the worker; and how fast the validator is compared with the csv crate, which only
//! reads.

mod baselines;
mod jobs;
mod large;
mod object_store;
mod report;
mod system;

use std::{
    fs::{self, File},
    net::TcpListener,
    path::Path,
    process::Stdio,
    thread,
    time::Duration,
};

use anyhow::Context;
use testkit::{Transactions, write_equal_ids, write_short_ids};

use self::system::System;
use crate::{
    api::Api,
    build,
    process::{output, run},
    project::{cargo, command, say, target},
    services::{
        Batchline, Postgres, Services, Temporal, free_ports, local, require_client_programs,
        start_object_store,
    },
    setup::{self, need_duckdb},
    tools::Chromium,
    work_directory::WorkDirectory,
};

/// The size of files whose ids are worst cases.
const WORST_CASE_BYTES: u64 = 100_000_000;

/// How long a server may take to respond.
const RESPONSE: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Options {
    /// Rows of the jobs that are compared with other programs
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// How often each comparison is repeated
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Also ten times the rows, and an upload of a gigabyte
    #[arg(long)]
    long: bool,
    /// --long and a hundred times the rows (6 GB): needs some 20 GB below TMPDIR
    #[arg(long)]
    huge: bool,
}

pub fn run_with(options: Options) -> anyhow::Result<()> {
    setup::run(setup::Options::TEST)?;
    require_client_programs()?;
    let python = need_duckdb()?;
    let chromium = Chromium::find().context("there is no Chromium: run script/setup --test")?;
    let site = target().join("site");
    build::release_with(&site, &["--bins", "--example", "noop"])?;

    let directory = WorkDirectory::new("bench")?;
    let mut services = Services::default();
    let [
        postgres_port,
        temporal_port,
        web,
        api,
        store,
        slow_store,
        store_web,
        store_api,
    ] = free_ports()?;
    let postgres = Postgres::temporary(&directory, postgres_port);
    postgres.start(&mut services, &directory.log("postgres"))?;
    let bench = postgres.database_for_batchline("bench", None)?;
    let database_with_store = postgres.database_for_batchline("store", None)?;
    let database = directory.file("temporal.db").display().to_string();
    let arguments = ["--db-filename", &database, "--namespace", "store"];
    let temporal = Temporal::new(temporal_port, &arguments);
    temporal.start(&mut services, &directory.log("temporal"))?;
    let batchline = Batchline::isolated(
        target().join("release"),
        &directory,
        &bench,
        &temporal,
        [web, api],
    );
    let batchline = batchline.with([("SITE_ROOT", &*site.display().to_string())]);
    batchline.migrate(&bench)?;
    batchline.start_worker(&mut services, "worker")?;
    batchline.start_server(&mut services, "server")?;

    // Another installation has its files in a remote object store.
    start_object_store(&mut services, store, &directory.log("object-store"))?;
    object_store::delay(TcpListener::bind(("127.0.0.1", slow_store))?, store);
    create_bucket(store, "bench")?;
    let in_store = batchline.with([
        ("DATABASE_URL", &*database_with_store.url),
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
    ]);
    in_store.migrate(&database_with_store)?;
    in_store.start_worker(&mut services, "worker with store")?;
    in_store.start_server(&mut services, "server with store")?;

    say("");
    measure_validator(&directory, &chromium, &site)?;
    say("");
    let installation = |batchline: &Batchline, database, [server, worker]: [&str; 2], uploads| {
        let api = Api::new(batchline.setting("API_ADDR"), RESPONSE);
        let mut pids = [0; 4];
        for (pid, service) in pids
            .iter_mut()
            .zip([server, worker, "PostgreSQL", "Temporal"])
        {
            *pid = services.process_id(service)?;
        }
        anyhow::Ok(System {
            directory: directory.path().to_owned(),
            postgres: postgres.clone(),
            database,
            uploads,
            user_id: api.create_user()?,
            api,
            pids,
        })
    };
    let uploads = Some(directory.file("uploads"));
    let on_disk = installation(&batchline, "bench", ["server", "worker"], uploads)?;
    let names = ["server with store", "worker with store"];
    let with_store = installation(&in_store, "store", names, None)?;
    let noop = batchline.programs.join("examples/noop");
    measure_jobs(
        on_disk,
        &with_store,
        options,
        &python,
        &noop,
        &temporal.address(),
    )
}

fn measure_jobs(
    mut system: System,
    with_store: &System,
    options: Options,
    python: &Path,
    noop: &Path,
    temporal_address: &str,
) -> anyhow::Result<()> {
    let Options {
        rows, rounds, huge, ..
    } = options;
    let is_long = options.long || huge;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    say(format!("{cores} cores; medians of {rounds} rounds"));
    let valid = Transactions::new(rows);
    jobs::beside_others(&system, python, "all valid", &valid, rounds)?;
    let with_errors = Transactions::new(rows).with_errors();
    let million = jobs::beside_others(&system, python, "5 % invalid", &with_errors, rounds)?;
    jobs::many_at_once(&mut system, rows, rounds)?;
    jobs::four_rows(&mut system, noop, temporal_address, rounds)?;
    jobs::stream(&mut system)?;
    jobs::unusual_ids(&system, "One id in all rows", |file: &mut File| {
        write_equal_ids(file, WORST_CASE_BYTES)
    })?;
    jobs::unusual_ids(&system, "A new id every seven bytes", |file: &mut File| {
        write_short_ids(file, WORST_CASE_BYTES)
    })?;
    let factor = if is_long { 10 } else { 1 };
    let (first, upload) = large::large_job(&system, factor, &million)?;
    if !huge {
        large::pages(&system, &first)?;
    }
    large::ageing(&system, &first, &upload, &million, rounds)?;
    if huge {
        let (huge, upload) = large::large_job(&system, 100, &million)?;
        fs::remove_file(upload)?;
        large::pages(&system, &huge)?;
        system.delete(&huge)?;
    }
    if is_long {
        large::upload_memory(&mut system)?;
    }
    // Not more rows: for each range, the store of the tests copies the whole file.
    object_store::beside_disk(&system, with_store, rows, rounds)
}

/// The validator, natively and in a browser.
fn measure_validator(
    directory: &WorkDirectory,
    chromium: &Chromium,
    site: &Path,
) -> anyhow::Result<()> {
    let mut bench = cargo();
    bench.args(["bench", "--quiet", "--locked", "-p", "validator"]);
    let measured = output(bench.stdin(Stdio::null()))?;
    say(&measured);
    let file = directory.file("million.csv");
    Transactions::new(1_000_000).write(&mut File::create(&file)?)?;
    let mut check = command("node");
    check.current_dir("end2end");
    chromium.choose(&mut check);
    run(check
        .arg("bench/check.mjs")
        .arg(site)
        .arg(native_rate(&measured).context("cargo bench printed no rate of the check")?)
        .arg(&file))?;
    Ok(fs::remove_file(file)?)
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
