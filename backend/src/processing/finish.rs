//! The last step: the final status.

use super::StepError;
use crate::{Backend, Run, jobs::JobRow, progress};

/// Marks the run as completed, once every row has its verdict.
pub async fn complete(backend: &Backend, run: Run) -> Result<(), StepError> {
    let mut tx = backend.pool.begin().await?;
    let job = sqlx::query_as!(
        JobRow,
        "update jobs set status = 'completed', finished_at = clock_timestamp(),
                updated_at = clock_timestamp(), version = version + 1
         where id = $1 and run = $2 and status = 'processing'
           and layout is not null and processed_records = total_records
         returning *",
        run.job_id,
        run.run as i32
    )
    .fetch_optional(&mut *tx)
    .await?;
    match job {
        Some(job) => {
            progress::commit(tx, [job]).await?;
            Ok(())
        }
        None => Err(unfinished(backend, run).await?),
    }
}

/// Why a run could not be completed: it is over already, or rows are missing.
async fn unfinished(backend: &Backend, run: Run) -> Result<StepError, StepError> {
    let rows_missing = sqlx::query_scalar!(
        r#"select total_records - processed_records as "rows!" from jobs
           where id = $1 and run = $2 and status = 'processing'"#,
        run.job_id,
        run.run as i32
    )
    .fetch_optional(&backend.pool)
    .await?;
    Ok(match rows_missing {
        None => StepError::Outdated,
        Some(rows) => StepError::Defect(anyhow::anyhow!("{rows} rows have no verdict")),
    })
}

/// Marks the run as failed. `error` is a sentence for the person who uploaded the file.
pub async fn fail(backend: &Backend, run: Run, error: &str) -> Result<(), StepError> {
    let mut tx = backend.pool.begin().await?;
    let job = sqlx::query_as!(
        JobRow,
        "update jobs set status = 'failed', error = $3, finished_at = clock_timestamp(),
                updated_at = clock_timestamp(), version = version + 1
         where id = $1 and run = $2 and status = 'processing'
         returning *",
        run.job_id,
        run.run as i32,
        error
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(StepError::Outdated)?;
    progress::commit(tx, [job]).await?;
    Ok(())
}
