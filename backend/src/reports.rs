//! Reports on whole jobs.

use domain::{AmountRows, JobId, JobReport, MonthRows, ResultId, Throughput};

use crate::{
    Backend, Result,
    access::{Act, Viewer, check_job},
    database,
    jobs::query,
    ledger,
};

/// Returns the report on the job's committed rows.
pub async fn get(backend: &Backend, viewer: &Viewer, job_id: JobId) -> Result<JobReport> {
    check_job(&backend.pool, viewer, job_id, Act::Read).await?;
    // One snapshot, so that the sums match the chunks.
    let mut tx = database::begin_snapshot(&backend.pool).await?;
    let job = query::get(&mut *tx, job_id).await?;
    let source = query::source(&mut *tx, job_id).await?;
    // No result has the id 0.
    let result_id = source.map_or(ResultId::from(0), |source| source.result_id);
    let sums = ledger::sums(&mut tx, result_id).await?;
    let started = job.started_at.unwrap_or(job.created_at);
    let commits: Vec<(f64, u64)> = sums
        .commits
        .into_iter()
        .map(|(at, rows)| ((at - started).as_seconds_f64(), rows))
        .collect();
    let seconds = match job.finished_at {
        Some(finished) => (finished - started).as_seconds_f64(),
        None => commits.last().map_or(0.0, |(at, _)| *at),
    };
    Ok(JobReport {
        job_id,
        problems: sums.problems,
        valid_amount: sums.valid_amount,
        valid_dates: sums.valid_dates,
        amounts: sums.amount_sizes.map(AmountRows::of),
        months: sums.months.map(|months| {
            let months = months.into_iter();
            months
                .map(|(month, rows)| MonthRows { month, rows })
                .collect()
        }),
        throughput: Throughput::new(&commits, seconds),
    })
}
