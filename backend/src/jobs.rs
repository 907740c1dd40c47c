//! Jobs: upload, list, open, start, delete.

use std::fmt::Display;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::{Job, JobStatus};
use futures::Stream;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Backend, Error, Result, Run, error::violates, progress};

/// The table's row, column by column.
pub(crate) struct JobRow {
    pub id: i64,
    pub user_id: i64,
    pub filename: String,
    pub bytes: i64,
    pub sha256: String,
    pub storage_key: String,
    pub status: String,
    pub layout: Option<serde_json::Value>,
    pub total_records: i64,
    pub processed_records: i64,
    pub valid_records: i64,
    pub invalid_records: i64,
    pub suspicious_records: i64,
    pub batch_completed: i32,
    pub total_batches: i32,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub error: Option<String>,
    pub run: i32,
    pub version: i64,
    pub updated_at: DateTime<Utc>,
}

impl TryFrom<JobRow> for Job {
    type Error = Error;

    fn try_from(row: JobRow) -> Result<Self> {
        let status: JobStatus = row.status.parse().map_err(anyhow::Error::new)?;
        let processed = row.processed_records as u64;
        let total = row.total_records as u64;
        let seconds = row.started_at.map(|started| {
            let until = row.finished_at.unwrap_or(row.updated_at);
            (until - started).as_seconds_f64()
        });
        let rows_per_second = seconds
            .filter(|seconds| *seconds > 0.0 && processed > 0)
            .map(|seconds| processed as f64 / seconds);
        Ok(Self {
            id: row.id,
            user_id: row.user_id,
            filename: row.filename,
            bytes: row.bytes as u64,
            sha256: row.sha256,
            status,
            total_records: total,
            processed_records: processed,
            valid_records: row.valid_records as u64,
            invalid_records: row.invalid_records as u64,
            suspicious_records: row.suspicious_records as u64,
            progress_percent: Self::percent(status, processed, total),
            batch_completed: row.batch_completed as u32,
            total_batches: row.total_batches as u32,
            rows_per_second,
            eta_seconds: rows_per_second
                .filter(|_| status.is_active())
                .map(|rate| (total - processed) as f64 / rate),
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            error: row.error,
            run: row.run as u32,
            version: row.version as u64,
        })
    }
}

/// A user's jobs, newest first.
pub async fn list(backend: &Backend, user_id: i64) -> Result<Vec<Job>> {
    crate::users::get(backend, user_id).await?;
    sqlx::query_as!(
        JobRow,
        "select * from jobs where user_id = $1 order by id desc",
        user_id
    )
    .fetch_all(&backend.pool)
    .await?
    .into_iter()
    .map(Job::try_from)
    .collect()
}

pub async fn get(backend: &Backend, job_id: i64) -> Result<Job> {
    row(backend, job_id).await?.try_into()
}

/// With what the use cases need and nobody is shown.
pub(crate) async fn row(backend: &Backend, job_id: i64) -> Result<JobRow> {
    sqlx::query_as!(JobRow, "select * from jobs where id = $1", job_id)
        .fetch_optional(&backend.pool)
        .await?
        .ok_or(Error::NotFound("Job"))
}

/// Stores a file as it comes in and makes a pending job of it. What the file says is looked at only
/// when the job is started. Without success nothing is left behind.
pub async fn upload<E: Display>(
    backend: &Backend,
    user_id: i64,
    filename: &str,
    content: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> Result<Job> {
    crate::users::get(backend, user_id).await?;
    let key = format!("{}.csv", Uuid::new_v4());
    let file = backend
        .storage
        .write(key, content, backend.max_upload_bytes)
        .await?;
    let inserted = sqlx::query_as!(
        JobRow,
        "insert into jobs (user_id, filename, bytes, sha256, storage_key)
         values ($1, $2, $3, $4, $5) returning *",
        user_id,
        shown_filename(filename),
        file.bytes as i64,
        file.sha256,
        file.key
    )
    .fetch_one(&backend.pool)
    .await;
    match inserted {
        Ok(row) => row.try_into(),
        Err(error) => {
            clean_up(
                backend,
                vec![Removed {
                    job_id: None,
                    storage_key: file.key,
                }],
            )
            .await;
            Err(match violates(&error, "jobs_user_id_fkey") {
                true => Error::NotFound("User"),
                false => error.into(),
            })
        }
    }
}

/// The last part of a path, without control characters, at most 255 characters.
fn shown_filename(raw: &str) -> String {
    let name: String = raw
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or(raw)
        .chars()
        .filter(|character| !character.is_control())
        .take(255)
        .collect();
    match name.trim() {
        "" => "upload.csv".to_owned(),
        name => name.to_owned(),
    }
}

/// Starts the work on a pending job. However often it is asked for, and from however many places at
/// once, there is one run; a job that runs or is completed is given back as it is.
///
/// Temporal takes the workflow first, and only then does the job look started: if Temporal is down,
/// nothing changed. If this process dies in between, the workflow's first step does the rest.
pub async fn start(backend: &Backend, job_id: i64) -> Result<Job> {
    let job = get(backend, job_id).await?;
    match job.status {
        JobStatus::Pending => {}
        JobStatus::Processing | JobStatus::Completed => return Ok(job),
        JobStatus::Failed => {
            return Err(Error::Conflict(
                "This job has failed and can't be started again. Upload the repaired file as a new job."
                    .to_owned(),
            ));
        }
    }
    let run = Run {
        job_id,
        run: job.run + 1,
    };
    backend.temporal.start(run).await?;
    mark_started(backend, run).await?;
    get(backend, job_id).await
}

/// Lets a pending job look started; for a job that is past that, nothing changes.
pub(crate) async fn mark_started(backend: &Backend, run: Run) -> Result<()> {
    let mut tx = backend.pool.begin().await?;
    let started = sqlx::query_as!(
        JobRow,
        "update jobs set status = 'processing', run = $2, started_at = clock_timestamp(),
                updated_at = clock_timestamp(), version = version + 1
         where id = $1 and status = 'pending' and run = $2 - 1
         returning *",
        run.job_id,
        run.run as i32
    )
    .fetch_optional(&mut *tx)
    .await?;
    match started {
        Some(started) => progress::commit(tx, started).await,
        None => Ok(()),
    }
}

/// Deletes a job with its rows and its file. Work under way for it ends by itself: without its job
/// it can't commit.
pub async fn delete(backend: &Backend, job_id: i64) -> Result<()> {
    let mut tx = backend.pool.begin().await?;
    let removed = delete_all(&mut tx, &[job_id]).await?;
    if removed.is_empty() {
        return Err(Error::NotFound("Job"));
    }
    tx.commit().await?;
    clean_up(backend, removed).await;
    Ok(())
}

/// What is to be removed outside of the database once a deletion is committed.
pub(crate) struct Removed {
    job_id: Option<i64>,
    storage_key: String,
}

pub(crate) async fn delete_all(tx: &mut PgConnection, job_ids: &[i64]) -> Result<Vec<Removed>> {
    // The jobs first: this waits for a chunk that is being committed, and fences all later ones, so
    // that no rows can appear after the next statement.
    let removed = sqlx::query_as!(
        Removed,
        r#"delete from jobs where id = any($1) returning id as "job_id?", storage_key"#,
        job_ids
    )
    .fetch_all(&mut *tx)
    .await?;
    sqlx::query!("delete from transactions where job_id = any($1)", job_ids)
        .execute(&mut *tx)
        .await?;
    Ok(removed)
}

/// Removes the files and workflows of deleted jobs. The deletion stands whatever happens here, so
/// trouble is only logged.
pub(crate) async fn clean_up(backend: &Backend, removed: Vec<Removed>) {
    for Removed {
        job_id,
        storage_key,
    } in removed
    {
        if let Err(error) = backend.storage.delete(&storage_key).await {
            tracing::warn!(job_id, storage_key, %error, "the file of a deleted job could not be removed");
        }
        if let Some(job_id) = job_id {
            backend.temporal.terminate(job_id).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::shown_filename;

    #[test]
    fn filenames_lose_their_path() {
        assert_eq!(shown_filename("C:\\data\\May 2024.csv"), "May 2024.csv");
        assert_eq!(shown_filename("../../etc/passwd"), "passwd");
        assert_eq!(shown_filename("a\u{0}b\n.csv"), "ab.csv");
        assert_eq!(shown_filename("dir/"), "upload.csv");
        assert_eq!(shown_filename(&"x".repeat(300)).len(), 255);
    }
}
