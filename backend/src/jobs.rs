//! Jobs: upload, list, open, delete.

use std::fmt::Display;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::{Job, JobStatus};
use futures::Stream;
use sqlx::{PgConnection, PgExecutor};
use tokio::time::interval;
use uuid::Uuid;

use crate::{
    Backend, Error, Result, Run,
    error::violates,
    removals::{self, UPLOAD_LEASE},
    storage::StoredFile,
};

/// The table's row, column by column.
pub(crate) struct JobRow {
    pub id: i64,
    pub user_id: i64,
    pub filename: String,
    pub bytes: i64,
    pub sha256: String,
    pub storage_key: String,
    pub status: String,
    pub result_id: Option<i64>,
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
    pub paused_at: Option<DateTime<Utc>>,
    pub paused_seconds: f64,
    pub error: Option<String>,
    pub run: i32,
    pub version: i64,
    pub updated_at: DateTime<Utc>,
    pub shared_workflow_id: Option<String>,
}

impl TryFrom<JobRow> for Job {
    type Error = Error;

    fn try_from(row: JobRow) -> Result<Self> {
        let status: JobStatus = row.status.parse().map_err(anyhow::Error::new)?;
        let processed = row.processed_records as u64;
        let total = row.total_records as u64;
        let seconds = row.started_at.map(|started| {
            let until = row.paused_at.or(row.finished_at).unwrap_or(row.updated_at);
            (until - started).as_seconds_f64() - row.paused_seconds
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

/// A page of a user's jobs, newest first.
pub struct JobPage {
    /// Which one it is, from 1.
    pub page: u64,
    pub jobs: Vec<Job>,
    /// All of the user's.
    pub total: u64,
}

impl JobPage {
    pub const SIZE: u64 = 50;
}

/// The page of this number, or the last one where there are fewer. Empty where there is no such user.
pub async fn page(backend: &Backend, user_id: i64, page: u64) -> Result<JobPage> {
    let total = sqlx::query_scalar!(
        r#"select count(*) as "total!" from jobs where user_id = $1"#,
        user_id
    )
    .fetch_one(&backend.pool)
    .await? as u64;
    let page = page.clamp(1, total.div_ceil(JobPage::SIZE).max(1));
    let jobs = sqlx::query_as!(
        JobRow,
        "select * from jobs where user_id = $1 order by id desc limit $2 offset $3",
        user_id,
        JobPage::SIZE as i64,
        ((page - 1) * JobPage::SIZE) as i64
    )
    .fetch_all(&backend.pool)
    .await?
    .into_iter()
    .map(Job::try_from)
    .collect::<Result<_>>()?;
    Ok(JobPage { page, jobs, total })
}

pub async fn get(backend: &Backend, job_id: i64) -> Result<Job> {
    row(&backend.pool, job_id).await?.try_into()
}

/// With what the use cases need and nobody is shown.
pub(crate) async fn row(database: impl PgExecutor<'_>, job_id: i64) -> Result<JobRow> {
    sqlx::query_as!(JobRow, "select * from jobs where id = $1", job_id)
        .fetch_optional(database)
        .await?
        .ok_or(Error::NotFound("Job"))
}

/// Stores a file as it comes in and makes a pending job of it. What the file says is looked at only
/// when the job is started. Without success nothing is left behind, not even if this process dies.
pub async fn upload<E: Display>(
    backend: &Backend,
    user_id: i64,
    filename: &str,
    content: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> Result<Job> {
    crate::users::get(backend, user_id).await?;
    let key = format!("{}.csv", Uuid::new_v4());
    removals::expect_file(backend, &key).await?;
    let job = async {
        let file = store(backend, &key, content).await?;
        insert(backend, user_id, filename, &key, &file).await
    }
    .await;
    if job.is_err() {
        removals::discard_file(backend, &key).await;
    }
    job
}

/// Writes the file, and keeps its lease while it comes in.
async fn store<E: Display>(
    backend: &Backend,
    key: &str,
    content: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> Result<StoredFile> {
    let write = backend
        .storage
        .write(key, content, backend.max_upload_bytes);
    tokio::pin!(write);
    let mut lease = interval(UPLOAD_LEASE / 4);
    loop {
        tokio::select! {
            file = &mut write => return file,
            _ = lease.tick() => {
                // Where it fails, the next one may succeed.
                if let Err(error) = removals::expect_file(backend, key).await {
                    tracing::warn!(%error, "the lease of an upload could not be renewed");
                }
            }
        }
    }
}

async fn insert(
    backend: &Backend,
    user_id: i64,
    filename: &str,
    key: &str,
    file: &StoredFile,
) -> Result<Job> {
    let mut tx = backend.pool.begin().await?;
    removals::keep_file(&mut tx, key).await?;
    let row = sqlx::query_as!(
        JobRow,
        "insert into jobs (user_id, filename, bytes, sha256, storage_key)
         values ($1, $2, $3, $4, $5) returning *",
        user_id,
        shown_filename(filename),
        file.bytes as i64,
        file.sha256,
        key
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(|error| match violates(&error, "jobs_user_id_fkey") {
        true => Error::NotFound("User"),
        false => error.into(),
    })?;
    tx.commit().await?;
    row.try_into()
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

/// Deletes a job with its rows and its file, which vanish at once and are removed in the background.
/// Work under way for it ends by itself: without its job it can't commit.
pub async fn delete(backend: &Backend, job_id: i64) -> Result<()> {
    let mut tx = backend.pool.begin().await?;
    let deleted = delete_all(&mut tx, &[job_id]).await?;
    if deleted.is_empty() {
        return Err(Error::NotFound("Job"));
    }
    tx.commit().await?;
    clean_up(backend, deleted);
    Ok(())
}

/// Deletes these jobs in the caller's transaction and gives their last runs, for [`clean_up`].
pub(crate) async fn delete_all(tx: &mut PgConnection, job_ids: &[i64]) -> Result<Vec<Run>> {
    // Waits for a chunk that is being committed, and fences all later ones: no rows appear after this.
    let deleted = sqlx::query!(
        "with deleted as (
             delete from jobs where id = any($1) returning id, run, storage_key, result_id
         ), removal as (
             insert into removals (storage_key, result_id) select storage_key, result_id from deleted
         )
         select id, run from deleted",
        job_ids
    )
    .fetch_all(tx)
    .await?;
    let run = |job_id, run: i32| Run {
        job_id,
        run: run as u32,
    };
    Ok(deleted
        .into_iter()
        .map(|job| run(job.id, job.run))
        .collect())
}

/// Begins to remove what deleted jobs have left, and ends their workflows. The deletion stands, whatever
/// becomes of this.
pub(crate) fn clean_up(backend: &Backend, deleted: Vec<Run>) {
    removals::sweep_soon(backend);
    let temporal = backend.temporal.clone();
    tokio::spawn(async move {
        for run in deleted {
            temporal.terminate(run, "the job was deleted").await;
        }
    });
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
