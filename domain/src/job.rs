//! A job: one uploaded file and the work on it.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{JobId, UserId};

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// Uploaded, not started.
    Pending,
    Processing,
    Completed,
    /// The file can't be read, or the work was ended from outside; `Job::error` says why.
    Failed,
    /// Stopped by a person, to go on later.
    Paused,
    /// Stopped by a person for good; what was done is kept.
    Cancelled,
}

impl JobStatus {
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Processing,
        Self::Completed,
        Self::Failed,
        Self::Paused,
        Self::Cancelled,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether work on the job is under way, so that its numbers still change by themselves.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Processing)
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for JobStatus {
    type Err = UnknownStatus;

    fn from_str(status: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|known| known.as_str() == status)
            .ok_or_else(|| UnknownStatus(status.to_owned()))
    }
}

#[derive(Debug)]
pub struct UnknownStatus(String);

impl fmt::Display for UnknownStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown job status {:?}", self.0)
    }
}

impl std::error::Error for UnknownStatus {}

/// One uploaded file and how far the work on it is. The field names are those of the REST API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Job {
    pub id: JobId,
    pub user_id: UserId,
    /// As the browser or program named it, without any path.
    pub filename: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, in lower-case hexadecimal.
    pub sha256: String,
    pub status: JobStatus,
    /// Data rows in the file; 0 until the file has been planned.
    pub total_records: u64,
    pub processed_records: u64,
    pub valid_records: u64,
    pub invalid_records: u64,
    pub suspicious_records: u64,
    /// 0 to 100, with one digit after the point, rounded down: 100 means done.
    pub progress_percent: f64,
    /// Chunks of the file that are committed, and how many there are.
    pub batch_completed: u32,
    pub total_batches: u32,
    /// Mean rows a second since the start, without pauses; `null` before the first commit.
    pub rows_per_second: Option<f64>,
    /// Seconds that the rest takes at that rate; `null` unless processing.
    pub eta_seconds: Option<f64>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    /// Why the job failed, as a sentence.
    pub error: Option<String>,
    /// Grows with each start, pause, resume, cancel and retry. Work that was begun under an earlier number
    /// can't commit any more.
    pub run: u32,
    /// Grows with every change of this job: of two states, the one with the larger version is newer.
    pub version: u64,
}

impl Job {
    /// Percent of `total` that `processed` is, rounded down to one digit after the point. A finished
    /// job is at 100 even when it has no rows.
    pub fn percent(status: JobStatus, processed: u64, total: u64) -> f64 {
        match status {
            JobStatus::Completed => 100.0,
            _ if total == 0 => 0.0,
            _ => (processed.saturating_mul(1000) / total) as f64 / 10.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_never_says_100_too_early() {
        assert_eq!(
            Job::percent(JobStatus::Processing, 999_999, 1_000_000),
            99.9
        );
        assert_eq!(Job::percent(JobStatus::Processing, 0, 0), 0.0);
        assert_eq!(Job::percent(JobStatus::Completed, 0, 0), 100.0);
        assert_eq!(Job::percent(JobStatus::Failed, 0, 0), 0.0);
    }
}
