//! What must hold once the jobs of a scenario are over.

use std::{fs, time::Instant};

use anyhow::{Context, bail, ensure};
use testkit::Expected;

use super::{Chaos, DATABASE, Planted, eventually, is_over};

/// Rows of a page.
const PAGE: u64 = 50;

impl Chaos<'_> {
    /// Waits until the jobs are over. Fails unless every row has the planted verdict. Returns a sentence.
    pub(super) fn check(&self, file: &Planted) -> anyhow::Result<String> {
        let expected = file.content.expected();
        let began = Instant::now();
        let jobs = eventually("the end of the jobs", || {
            let jobs: Vec<_> = self
                .jobs
                .iter()
                .map(|job_id| self.api.job(*job_id))
                .collect::<anyhow::Result<_>>()?;
            Ok(jobs.iter().all(is_over).then_some(jobs))
        })?;
        let took = began.elapsed().as_secs_f64();
        let Expected {
            rows,
            valid,
            invalid,
            ..
        } = expected;
        for (job_id, job) in self.jobs.iter().zip(&jobs) {
            ensure!(job["status"] == "completed", "job {job_id}: {job}");
            let counts = [
                "total_records",
                "processed_records",
                "valid_records",
                "invalid_records",
            ]
            .map(|name| job[name].as_u64().unwrap_or_default());
            expect(
                &format!("job {job_id}"),
                &counts,
                &[rows, rows, valid, invalid],
            )?;
            let ledger = self.ledger(*job_id)?;
            let what = format!("the ledger of job {job_id}");
            expect(&what, &ledger[..], &[rows, valid, invalid, 0, 0])?;
            // The connection may break off, but what arrives must be right.
            eventually("results.csv", || {
                match self.check_results(*job_id, file, &expected) {
                    Err(error) if is_interruption(&error) => Err(error),
                    checked => Ok(Some(checked)),
                }
            })?
            .with_context(|| format!("results.csv of job {job_id}"))?;
            self.check_last_invalid_page(*job_id, file, &expected)
                .with_context(|| format!("the last page of invalid rows of job {job_id}"))?;
        }
        let count = jobs.len();
        Ok(format!(
            "exact: {count} × {rows} rows, each with one verdict, {took:.1} s after the last fault"
        ))
    }

    /// Returns the sums of rows, valid and invalid records, and the number of chunks that aren't committed or don't start
    /// with the row after the previous chunk.
    fn ledger(&self, job_id: i64) -> anyhow::Result<Vec<u64>> {
        let sums = self.query(&format!(
            "select sum(rows), sum(valid_records), sum(invalid_records), count(*) - count(committed_at),
                    count(*) filter (where first_row is distinct from 1 + rows_before)
             from (
                 select rows, valid_records, invalid_records, committed_at, first_row,
                        coalesce(sum(rows) over (order by number rows between unbounded preceding and 1 preceding), 0)
                            as rows_before
                 from job_chunks where result_id = (select result_id from jobs where id = {job_id})
             ) as chunks"
        ))?;
        Ok(sums.split('|').map(str::parse).collect::<Result<_, _>>()?)
    }

    /// Row numbers must count from 1 without gaps, each with its planted verdict.
    fn check_results(
        &self,
        job_id: i64,
        file: &Planted,
        expected: &Expected,
    ) -> anyhow::Result<()> {
        let response = self.api.read(&format!("/jobs/{job_id}/results.csv"))?;
        let mut results = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(response);
        let header = results.byte_headers()?;
        let column = |name: &str| header.iter().position(|field| field == name.as_bytes());
        let number = column("row_number").context("no column row_number")?;
        let verdict = column("is_valid").context("no column is_valid")?;
        let mut record = csv::ByteRecord::new();
        let (mut count, mut invalid) = (0, 0);
        while results.read_byte_record(&mut record)? {
            count += 1;
            let is_valid = file.content.error(count).is_none();
            invalid += u64::from(!is_valid);
            ensure!(
                record[number] == *count.to_string().as_bytes()
                    && record[verdict] == *is_valid.to_string().as_bytes(),
                "record {count}: {record:?}"
            );
        }
        let found = [count, invalid];
        expect("records", &found, &[expected.rows, expected.invalid])
    }

    fn check_last_invalid_page(
        &self,
        job_id: i64,
        file: &Planted,
        expected: &Expected,
    ) -> anyhow::Result<()> {
        let last_page = (expected.invalid - 1) / PAGE;
        let query = format!("filter=invalid&size={PAGE}&page={}", last_page + 1);
        let rows = eventually("a page", || self.api.rows(job_id, &query).map(Some))?;
        let invalid = (1..=expected.rows).filter(|row| file.content.error(*row).is_some());
        let planted: Vec<u64> = invalid.skip((last_page * PAGE) as usize).collect();
        let is_invalid = rows.iter().filter(|row| row["is_valid"] == false);
        let found: Vec<u64> = is_invalid
            .filter_map(|row| row["row_number"].as_u64())
            .collect();
        expect("rows", &found, &planted)
    }

    /// Waits until the storage holds exactly the files that jobs refer to: all uploads, and the id indexes of larger ones.
    pub(super) fn check_storage(&self) -> anyhow::Result<()> {
        eventually("the storage to hold exactly the files of jobs", || {
            let files = self.query(
                "select storage_key from jobs union all
                 select id_index ->> 'storage_key' from jobs where id_index is not null",
            )?;
            let mut files: Vec<String> = files.lines().map(str::to_owned).collect();
            files.sort();
            Ok((files == self.stored_files()?).then_some(()))
        })
    }

    /// Returns the names of the files in the storage, including partially written ones.
    pub(super) fn stored_files(&self) -> anyhow::Result<Vec<String>> {
        let directory = self.directory.file("uploads");
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn query(&self, sql: &str) -> anyhow::Result<String> {
        self.postgres.sql(DATABASE, sql)
    }
}

fn is_interruption(error: &anyhow::Error) -> bool {
    error.is::<ureq::Error>()
        || error
            .downcast_ref::<csv::Error>()
            .is_some_and(csv::Error::is_io_error)
}

fn expect(what: &str, found: &[u64], expected: &[u64]) -> anyhow::Result<()> {
    if found != expected {
        bail!("{what}: found {found:?}, expected {expected:?}");
    }
    Ok(())
}
