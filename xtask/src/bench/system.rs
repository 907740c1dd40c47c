//! The measured Batchline: its API, its database, its processes, and what a job costs them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};
use serde_json::Value;
use testkit::{
    Expected,
    process::{cpu_seconds, peak_memory, reset_peak_memory},
};

use crate::{
    api::Api,
    process::{check_interruption, output},
    services::Postgres,
};

const JOB_LIMIT: Duration = Duration::from_secs(1800);
const PATIENCE: Duration = Duration::from_secs(600);

/// The processes whose usage is measured, in the order of [`System::pids`].
pub const PROCESSES: [&str; 4] = ["server", "worker", "PostgreSQL", "Temporal"];

/// A completed job and its costs.
pub struct Job {
    pub id: i64,
    pub expected: Expected,
    /// From the start request to completion.
    pub seconds: f64,
    /// In MB.
    pub worker_peak: f64,
    /// The growth of PostgreSQL's files in bytes.
    pub disk: i64,
    /// In bytes.
    pub wal: i64,
    /// Seconds, for each of [`PROCESSES`].
    pub cpu: [f64; 4],
}

/// An installation of Batchline.
pub struct System {
    pub directory: PathBuf,
    pub postgres: Postgres,
    pub database: &'static str,
    /// The directory with the stored files if they are local.
    pub uploads: Option<PathBuf>,
    pub api: Api,
    pub pids: [u32; 4],
    /// Owns the jobs.
    pub user_id: i64,
}

impl System {
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Runs commands, each in its own transaction.
    pub fn sql(&self, commands: &[&str]) -> anyhow::Result<String> {
        let mut psql: Command = self.postgres.psql(self.database);
        psql.env("PGOPTIONS", "--client-min-messages=warning");
        for command in commands {
            psql.args(["--command", command]);
        }
        output(&mut psql)
    }

    pub fn cpu(&self) -> anyhow::Result<[f64; 4]> {
        let mut used = [0.0; 4];
        for (used, pid) in used.iter_mut().zip(self.pids) {
            *used = cpu_seconds(pid)?;
        }
        Ok(used)
    }

    /// Waits until the job is over. Returns it with the seconds since `started`.
    pub fn finished(
        &self,
        job_id: i64,
        started: Instant,
        poll: Duration,
    ) -> anyhow::Result<(Value, f64)> {
        loop {
            check_interruption()?;
            let job = self.api.job(job_id)?;
            let took = started.elapsed();
            if !matches!(job["status"].as_str(), Some("pending" | "processing")) {
                return Ok((job, took.as_secs_f64()));
            }
            ensure!(took < JOB_LIMIT, "the job takes too long: {job}");
            thread::sleep(poll);
        }
    }

    /// Uploads a file, runs its job and returns the job with its costs.
    pub fn run(&self, path: &Path, expected: &Expected) -> anyhow::Result<Job> {
        let id = self.api.upload(self.user_id, path)?;
        self.sql(&["checkpoint"])?;
        let [_, worker, ..] = self.pids;
        reset_peak_memory(worker)?;
        let (disk, wal) = self.database_size()?;
        let before = self.cpu()?;
        let started = Instant::now();
        self.api.command(id, "start")?;
        let (job, seconds) = self.finished(id, started, Duration::from_millis(10))?;
        let mut cpu = self.cpu()?;
        for (used, before) in cpu.iter_mut().zip(before) {
            *used -= before;
        }
        let (new_disk, new_wal) = self.database_size()?;
        expect(&job, expected)?;
        Ok(Job {
            id,
            expected: expected.clone(),
            seconds,
            worker_peak: peak_memory(worker)? as f64 / 1e6,
            disk: new_disk - disk,
            wal: new_wal - wal,
            cpu,
        })
    }

    pub fn run_and_delete(&self, path: &Path, expected: &Expected) -> anyhow::Result<Job> {
        let job = self.run(path, expected)?;
        self.delete(&job)?;
        Ok(job)
    }

    /// Returns the size of the database's files and of the WAL written so far, in bytes.
    fn database_size(&self) -> anyhow::Result<(i64, i64)> {
        let sizes = self.sql(&[
            "select pg_database_size(current_database()), pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')",
        ])?;
        match sizes.split_once('|') {
            Some((disk, wal)) => Ok((disk.parse()?, wal.parse()?)),
            None => bail!("{sizes:?} are no sizes"),
        }
    }

    pub fn delete(&self, job: &Job) -> anyhow::Result<()> {
        self.api.delete(&format!("/jobs/{}", job.id))?;
        self.wait_until_removed()
    }

    /// Deletes the user with all jobs and creates another user.
    pub fn delete_all(&mut self) -> anyhow::Result<()> {
        self.api.delete(&format!("/users/{}", self.user_id))?;
        self.wait_until_removed()?;
        self.user_id = self.api.create_user()?;
        Ok(())
    }

    /// Waits until the ledger has no chunk and a local storage no file.
    fn wait_until_removed(&self) -> anyhow::Result<()> {
        wait_until("what belongs to deleted jobs is removed", || {
            if let Some(uploads) = &self.uploads {
                for entry in fs::read_dir(uploads)? {
                    if entry?.file_name().to_string_lossy().contains(".csv") {
                        return Ok(false);
                    }
                }
            }
            Ok(self.sql(&["select count(*) from job_chunks"])? == "0")
        })
    }
}

pub fn wait_until(
    what: &str,
    mut condition: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !condition()? {
        check_interruption()?;
        ensure!(
            Instant::now() < deadline,
            "waited {} s in vain until {what}",
            PATIENCE.as_secs()
        );
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Fails unless the job is completed with the expected counts.
pub fn expect(job: &Value, expected: &Expected) -> anyhow::Result<()> {
    let counts = [
        ("total_records", expected.rows),
        ("valid_records", expected.valid),
        ("invalid_records", expected.invalid),
        ("suspicious_records", expected.suspicious),
    ];
    let are_right = counts.iter().all(|(name, count)| job[name] == *count);
    ensure!(
        job["status"] == "completed" && are_right,
        "expected {expected:?}, found {job}"
    );
    Ok(())
}

/// Returns the number of the last page, counted from 1, and its number of rows.
pub fn last_page(count: u64, size: u64) -> (u64, u64) {
    let pages = count.div_ceil(size).max(1);
    (pages, count - (pages - 1) * size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_pages() {
        assert_eq!(last_page(0, 50), (1, 0));
        assert_eq!(last_page(50, 50), (1, 50));
        assert_eq!(last_page(101, 50), (3, 1));
    }
}
