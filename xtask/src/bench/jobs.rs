//! Compares jobs of a million rows with other programs, and measures small jobs: at once, alone and in a stream.

use std::{
    fs::{self, File},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::ensure;
use testkit::{Expected, Transactions, process::cpu_seconds};

use super::{
    baselines::{duckdb_load, psql_copy},
    report::{costs, figure, heading, median, median_ratio, ratio, thousands},
    system::{Job, PROCESSES, System, expect, wait_until},
};
use crate::{
    api::Api,
    clients::{self, CLIENTS},
    process::{check_interruption, output},
    project::command,
};

const STREAM: Duration = Duration::from_secs(10);
const STREAM_ROWS: u64 = 100;
const SAMPLES: usize = 30;
/// How long the server may take to respond.
const RESPONSE: Duration = Duration::from_secs(600);

/// Writes a file and returns the result that its job must have.
pub fn write(path: &Path, content: &Transactions) -> anyhow::Result<Expected> {
    content.write(&mut File::create(path)?)?;
    Ok(content.expected())
}

pub fn megabytes(path: &Path) -> anyhow::Result<f64> {
    Ok(fs::metadata(path)?.len() as f64 / 1e6)
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Compares jobs with psql and DuckDB, in turn, and returns the jobs.
pub fn beside_others(
    system: &System,
    python: &Path,
    name: &str,
    content: &Transactions,
    rounds: usize,
) -> anyhow::Result<Vec<Job>> {
    let (upload, table) = (system.path("upload.csv"), system.path("table.csv"));
    let expected = write(&upload, content)?;
    content.write_table(&mut File::create(&table)?)?;
    let (mut copies, mut loads, mut jobs) = (Vec::new(), Vec::new(), Vec::new());
    // Warms up.
    system.run_and_delete(&upload, &expected)?;
    for _ in 0..rounds {
        copies.push(psql_copy(system, &table)?);
        loads.push(duckdb_load(system, python, &upload, &expected)?);
        jobs.push(system.run_and_delete(&upload, &expected)?);
    }
    let seconds: Vec<f64> = jobs.iter().map(|job| job.seconds).collect();
    let middle = median(seconds.iter().copied());
    heading(format!(
        "{} rows, {name}, {:.0} MB: {middle:.2} s, {} rows/s",
        thousands(expected.rows),
        megabytes(&upload)?,
        thousands((expected.rows as f64 / middle) as u64)
    ));
    ratio(
        median_ratio(&seconds, &copies),
        format!(
            "of psql \\copy of the rows into a table with a primary key ({:.2} s)",
            median(copies)
        ),
    );
    ratio(
        median_ratio(&seconds, &loads),
        format!("of DuckDB on {} threads ({:.2} s)", cores(), median(loads)),
    );
    costs(&jobs);
    fs::remove_file(upload)?;
    fs::remove_file(table)?;
    Ok(jobs)
}

/// Compares 100 jobs that are started at once with one job of the same number of rows, in turn.
pub fn many_at_once(system: &mut System, rows: u64, rounds: usize) -> anyhow::Result<()> {
    let (one, hundredth) = (system.path("one.csv"), system.path("hundredth.csv"));
    let expected = write(&one, &Transactions::new(rows))?;
    let each = write(&hundredth, &Transactions::new(rows / 100))?;
    let (mut singles, mut crowds, mut slowest) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        singles.push(system.run_and_delete(&one, &expected)?.seconds);
        let jobs: Vec<i64> = (0..100)
            .map(|_| system.api.upload(system.user_id, &hundredth))
            .collect::<anyhow::Result<_>>()?;
        system.sql(&["checkpoint"])?;
        let started = Instant::now();
        clients::for_each(&jobs, |job_id| system.api.command(job_id, "start"))?;
        let (mut last, mut longest) = (0.0, 0.0);
        for job_id in jobs {
            let (job, seconds) = system.finished(job_id, started, Duration::from_millis(10))?;
            expect(&job, &each)?;
            let rate = job["rows_per_second"].as_f64().unwrap_or(f64::NAN);
            last = f64::max(last, seconds);
            longest = f64::max(longest, each.rows as f64 / rate);
        }
        crowds.push(last);
        slowest.push(longest);
        system.delete_all()?;
    }
    heading(format!(
        "100 jobs of {} rows at once: {:.2} s",
        thousands(each.rows),
        median(crowds.iter().copied())
    ));
    ratio(
        median_ratio(&crowds, &singles),
        format!("of one job with all of the rows ({:.2} s)", median(singles)),
    );
    figure(
        format!("{:.2} s", median(slowest)),
        "from start to end of the slowest of them",
    );
    Ok(())
}

/// Compares the smallest job with a workflow that does nothing, in turn.
pub fn four_rows(
    system: &mut System,
    noop: &Path,
    temporal_address: &str,
    rounds: usize,
) -> anyhow::Result<()> {
    let upload = system.path("four.csv");
    write(&upload, &Transactions::new(4))?;
    let (mut samples, mut noops) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let mut times = Vec::new();
        for _ in 0..SAMPLES {
            let job_id = system.api.upload(system.user_id, &upload)?;
            let started = Instant::now();
            system.api.command(job_id, "start")?;
            times.push(
                system
                    .finished(job_id, started, Duration::from_millis(2))?
                    .1,
            );
        }
        samples.push(1000.0 * median(times));
        let mut nothing = command(noop);
        noops.push(output(nothing.env("TEMPORAL_ADDRESS", temporal_address))?.parse()?);
    }
    system.delete_all()?;
    heading(format!(
        "4 rows: {:.0} ms from the request to start until the job is completed",
        median(samples.iter().copied())
    ));
    ratio(
        median_ratio(&samples, &noops),
        format!(
            "of a workflow with one local activity that does nothing ({:.0} ms)",
            median(noops)
        ),
    );
    Ok(())
}

/// Measures the throughput of small files: each client uploads and starts one after the other.
pub fn stream(system: &mut System) -> anyhow::Result<()> {
    let upload = system.path("stream.csv");
    let expected = write(&upload, &Transactions::new(STREAM_ROWS))?;
    let (before, own_before) = (system.cpu()?, cpu_seconds(std::process::id())?);
    let others_before: f64 = before.iter().sum();
    let started = Instant::now();
    let client = || {
        // A separate connection.
        let api = Api::new(system.api.address(), RESPONSE);
        let mut times = Vec::new();
        while started.elapsed() < STREAM {
            check_interruption()?;
            let began = Instant::now();
            let job_id = api.upload(system.user_id, &upload)?;
            let uploaded = began.elapsed();
            api.command(job_id, "start")?;
            times.push((uploaded, began.elapsed() - uploaded));
        }
        anyhow::Ok(times)
    };
    let times = clients::run_all(client)?.concat();
    let count = times.len() as f64;
    let jobs = |condition: &str| -> anyhow::Result<u64> {
        let user_id = system.user_id;
        let counted = system.sql(&[&format!(
            "select count(*) from jobs where user_id = {user_id} and {condition}"
        )])?;
        Ok(counted.parse()?)
    };
    let are_running = "status in ('pending', 'processing')";
    let left = jobs(are_running)?;
    wait_until("all jobs are over", || Ok(jobs(are_running)? == 0))?;
    let seconds = started.elapsed().as_secs_f64();
    let after = system.cpu()?;
    // The services are children of this process.
    let own =
        cpu_seconds(std::process::id())? - own_before - (after.iter().sum::<f64>() - others_before);
    let right = format!("status = 'completed' and valid_records = {}", expected.rows);
    ensure!(
        jobs(&right)? == times.len() as u64,
        "not every job of the stream is completed with every row valid"
    );
    system.delete_all()?;
    heading(format!(
        "{CLIENTS} clients that upload and start files of {STREAM_ROWS} rows, for {} s",
        STREAM.as_secs()
    ));
    figure(
        format!("{:.0} jobs/s", count / seconds),
        format!("completed; {left} of {count} were left when the clients ended"),
    );
    let milliseconds = |times: Vec<Duration>| {
        format!(
            "{:.0} ms",
            1000.0 * median(times.iter().map(Duration::as_secs_f64))
        )
    };
    let (uploads, starts) = times.into_iter().unzip();
    figure(milliseconds(uploads), "until an upload is answered");
    figure(milliseconds(starts), "until a start is answered");
    let mut used: Vec<(&str, f64)> = PROCESSES
        .into_iter()
        .zip(
            after
                .iter()
                .zip(before)
                .map(|(after, before)| after - before),
        )
        .chain([("the clients", own)])
        .collect();
    let all: f64 = used.iter().map(|(_, seconds)| seconds).sum();
    ratio(
        all / seconds,
        format!(
            "of {} cores in use; where cores are idle, the limit is waiting",
            cores()
        ),
    );
    used.sort_by(|one, other| other.1.total_cmp(&one.1));
    for (name, seconds) in used {
        figure(
            format!("{:.2} ms", 1000.0 * seconds / count),
            format!("of CPU per job in {name}"),
        );
    }
    Ok(())
}

/// Measures a file whose ids are a worst case for finding repeated ones.
pub fn unusual_ids(
    system: &System,
    name: &str,
    write: impl FnOnce(&mut File) -> std::io::Result<Expected>,
) -> anyhow::Result<()> {
    let upload = system.path("ids.csv");
    let expected = write(&mut File::create(&upload)?)?;
    let job = system.run_and_delete(&upload, &expected)?;
    heading(format!(
        "{name}: {} rows, {:.0} MB: {:.2} s",
        thousands(expected.rows),
        megabytes(&upload)?,
        job.seconds
    ));
    costs(&[job]);
    Ok(fs::remove_file(upload)?)
}
