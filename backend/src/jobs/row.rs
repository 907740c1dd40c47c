//! A job as PostgreSQL has it, and as the domain has it.

use chrono::{DateTime, Utc};
use domain::{Job, JobStatus};

use crate::{Error, Result};

/// The columns that everybody is shown.
pub(crate) struct JobRow {
    pub id: i64,
    pub user_id: i64,
    pub filename: String,
    pub bytes: i64,
    pub sha256: String,
    pub status: String,
    pub total_records: i64,
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
}

impl TryFrom<JobRow> for Job {
    type Error = Error;

    fn try_from(row: JobRow) -> Result<Self> {
        let status: JobStatus = row.status.parse().map_err(anyhow::Error::new)?;
        let processed = (row.valid_records + row.invalid_records) as u64;
        let total = row.total_records as u64;
        let seconds = row.started_at.map(|started| {
            let until = row.paused_at.or(row.finished_at).unwrap_or(row.updated_at);
            (until - started).as_seconds_f64() - row.paused_seconds
        });
        let rows_per_second = seconds
            .filter(|seconds| *seconds > 0.0 && processed > 0)
            .map(|seconds| processed as f64 / seconds);
        Ok(Self {
            id: row.id.into(),
            user_id: row.user_id.into(),
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
                .map(|rate| total.saturating_sub(processed) as f64 / rate),
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            error: row.error,
            run: row.run as u32,
            version: row.version as u64,
        })
    }
}
