//! Measures large jobs: their time, pages of their rows, and later jobs once they are deleted.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::ensure;
use testkit::{
    Transactions,
    process::{peak_memory, reset_peak_memory},
};

use super::{
    jobs::{megabytes, write},
    report::{costs, figure, heading, median, ratio, thousands},
    system::{Job, System, last_page},
};

/// Rows of a page.
const PAGE: u64 = 50;

fn seconds(jobs: &[Job]) -> f64 {
    median(jobs.iter().map(|job| job.seconds))
}

/// Runs a job of `factor` times the rows of the small ones; returns it and its file.
pub fn large_job(system: &System, factor: u64, small: &[Job]) -> anyhow::Result<(Job, PathBuf)> {
    let upload = system.path(&format!("large-{factor}.csv"));
    let rows = factor * small[0].expected.rows;
    let expected = write(&upload, &Transactions::new(rows).with_errors())?;
    let job = system.run(&upload, &expected)?;
    heading(format!(
        "{} rows, 5 % invalid, {} MB: {:.2} s",
        thousands(rows),
        thousands(megabytes(&upload)? as u64),
        job.seconds
    ));
    ratio(
        job.seconds / (factor as f64 * seconds(small)),
        format!(
            "of {factor} times the job of {} rows",
            thousands(small[0].expected.rows)
        ),
    );
    costs(std::slice::from_ref(&job));
    Ok((job, upload))
}

/// Deletes a large job, vacuums and loads it again, `rounds` times. PostgreSQL must not have become slower.
pub fn ageing(
    system: &System,
    first: &Job,
    upload: &Path,
    small: &[Job],
    rounds: usize,
) -> anyhow::Result<()> {
    system.delete(first)?;
    let mut later = Vec::new();
    for _ in 0..rounds {
        system.sql(&["vacuum"])?;
        later.push(system.run_and_delete(upload, &first.expected)?.seconds);
    }
    system.sql(&["vacuum"])?;
    fs::remove_file(upload)?;
    let file = system.path("small.csv");
    let rows = small[0].expected.rows;
    let expected = write(&file, &Transactions::new(rows).with_errors())?;
    let mut after = Vec::new();
    for _ in 0..rounds {
        after.push(system.run_and_delete(&file, &expected)?);
    }
    heading(format!(
        "After load, delete and vacuum of {} rows",
        thousands(first.expected.rows)
    ));
    let loads: Vec<String> = later
        .iter()
        .map(|seconds| format!("{seconds:.2}"))
        .collect();
    ratio(
        median(later.iter().copied()) / first.seconds,
        format!(
            "next loads, median / first ({} s, {:.2} s)",
            loads.join(", "),
            first.seconds
        ),
    );
    ratio(
        seconds(&after) / seconds(small),
        format!(
            "a job of {} rows / one before all this ({:.2} s, {:.2} s)",
            thousands(rows),
            seconds(&after),
            seconds(small)
        ),
    );
    Ok(())
}

/// Times pages of a job's rows by the API.
pub fn pages(system: &System, job: &Job) -> anyhow::Result<()> {
    let expected = &job.expected;
    heading(format!(
        "{PAGE} rows of {}, by the API",
        thousands(expected.rows)
    ));
    let time = |queries: &[String], size: Option<u64>, what: &str| -> anyhow::Result<()> {
        let took = milliseconds(system, job, queries, size)?;
        figure(format!("{took:.1} ms"), what);
        Ok(())
    };
    for (filter, count) in [
        ("all", expected.rows),
        ("valid", expected.valid),
        ("invalid", expected.invalid),
        ("suspicious", expected.suspicious),
    ] {
        let (page, size) = last_page(count, PAGE);
        let query = format!("filter={filter}&size={PAGE}&page={page}");
        let what = format!("the last page of {filter} rows");
        time(&vec![query; 5], Some(size), &what)?;
    }
    // A valid row, like every 100th row before it.
    let last = expected.rows / 100 * 100 - 11;
    let transactions = Transactions::new(expected.rows).with_errors();
    let chosen: Vec<_> = (0..5)
        .map(|turn| transactions.row(last - 100 * turn))
        .collect();
    let ids = chosen
        .iter()
        .map(|row| format!("size={PAGE}&q={}", row.transaction_id));
    time(&ids.collect::<Vec<_>>(), Some(1), "one transaction id")?;
    // A new text each time, because searches are cached.
    let few = chosen
        .iter()
        .map(|row| row.description.to_lowercase().replace(' ', "%20"));
    let digits = (expected.rows / 100_000).clamp(1, 5);
    let fiftieth: Vec<String> = (0..digits).map(|digit| format!("fee%20{digit}")).collect();
    let fifth = [
        "subscription",
        "Subscription",
        "monthly",
        "Monthly",
        "MONTHLY",
    ];
    for (what, texts, page) in [
        ("a text in one row of a million", few.collect(), 1),
        ("a text in every fiftieth row", fiftieth.clone(), 1),
        ("its next page", fiftieth, 2),
        (
            "a text in every fifth row",
            fifth.map(str::to_owned).to_vec(),
            1,
        ),
    ] {
        let queries = texts
            .iter()
            .map(|text| format!("size={PAGE}&q={text}&page={page}"));
        time(&queries.collect::<Vec<_>>(), None, what)?;
    }
    Ok(())
}

/// Returns the median time of the pages. Each must have rows, and exactly `size` of them if given.
fn milliseconds(
    system: &System,
    job: &Job,
    queries: &[String],
    size: Option<u64>,
) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for query in queries {
        let started = Instant::now();
        let found = system.api.rows(job.id, query)?.len() as u64;
        times.push(1000.0 * started.elapsed().as_secs_f64());
        ensure!(
            found > 0 && size.is_none_or(|size| found == size),
            "{query} found {found} rows, expected {size:?}"
        );
    }
    Ok(median(times))
}

/// Measures how much an upload of a gigabyte adds to the server's memory.
pub fn upload_memory(system: &mut System) -> anyhow::Result<()> {
    let upload = system.path("gigabyte.csv");
    let block = vec![b'x'; 1 << 20];
    let mut file = File::create(&upload)?;
    for _ in 0..1000 {
        file.write_all(&block)?;
    }
    let [server, ..] = system.pids;
    reset_peak_memory(server)?;
    let before = peak_memory(server)?;
    let started = Instant::now();
    system.api.upload(system.user_id, &upload)?;
    heading(format!(
        "An upload of 1 GB: {:.1} s",
        started.elapsed().as_secs_f64()
    ));
    figure(
        format!(
            "{:.0} MB",
            peak_memory(server)?.saturating_sub(before) as f64 / 1e6
        ),
        format!("more memory in the server than the {before:.0} MB before"),
    );
    fs::remove_file(upload)?;
    system.delete_all()
}
