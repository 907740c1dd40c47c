//! What is said of a job as a whole: sums over its chunks.

use domain::{DateSpan, JobReport, Problems, Throughput};
use sqlx::types::Json;

use crate::{Backend, Result, jobs};

/// The report on the rows of a job that are committed so far.
pub async fn get(backend: &Backend, job_id: i64) -> Result<JobReport> {
    // One snapshot: the sums and the chunks are of the same moment.
    let mut tx = backend
        .pool
        .begin_with("begin isolation level repeatable read read only")
        .await?;
    let job = jobs::row(&mut *tx, job_id).await?;
    let sums = sqlx::query!(
        r#"select coalesce(sum(valid_amount), 0)::text as "valid_amount!", min(first_date) as first_date,
                  max(last_date) as last_date
           from job_chunks where result_id = $1 and committed_at is not null"#,
        job.result_id
    )
    .fetch_one(&mut *tx)
    .await?;
    let problems = sqlx::query_scalar!(
        r#"select coalesce(jsonb_object_agg(code, rows), '{}') as "problems!: Json<Problems>"
           from (select key as code, sum(value::bigint) as rows
                 from job_chunks cross join jsonb_each_text(problems)
                 where result_id = $1 and committed_at is not null
                 group by key) as counted"#,
        job.result_id
    )
    .fetch_one(&mut *tx)
    .await?;
    let chunks = sqlx::query!(
        r#"select extract(epoch from committed_at - $2)::double precision as "seconds!", rows
           from job_chunks where result_id = $1 and committed_at is not null order by committed_at"#,
        job.result_id,
        job.started_at
    )
    .fetch_all(&mut *tx)
    .await?;
    let chunks: Vec<(f64, u64)> = chunks
        .into_iter()
        .map(|chunk| (chunk.seconds, chunk.rows as u64))
        .collect();
    let seconds = match job.started_at.zip(job.finished_at) {
        Some((started, finished)) => (finished - started).as_seconds_f64(),
        None => chunks.last().map_or(0.0, |(at, _)| *at),
    };
    Ok(JobReport {
        job_id,
        problems: problems.0,
        valid_amount: sums.valid_amount.parse().map_err(anyhow::Error::new)?,
        valid_dates: sums
            .first_date
            .zip(sums.last_date)
            .map(|(first, last)| DateSpan { first, last }),
        throughput: Throughput::new(&chunks, seconds),
    })
}
