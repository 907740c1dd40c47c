//! Jobs: uploaded files and their processing.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{JobId, JobState};

/// The status of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// Uploaded and not started.
    Pending,
    Processing,
    Completed,
    /// The file can't be read, or processing was ended from outside. `JobState::error` has the reason.
    Failed,
    /// Stopped by a person, to be resumed later.
    Paused,
    /// Stopped by a person for good. The committed results are kept.
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

    /// Returns whether the job is being processed, so that its numbers change by themselves.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Processing)
    }

    /// Returns whether processing has ended, successfully or not.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
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

/// The text isn't a status of a job or a kind of event.
#[derive(Debug)]
pub struct UnknownStatus(pub(crate) String);

impl fmt::Display for UnknownStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown status or event {:?}", self.0)
    }
}

impl std::error::Error for UnknownStatus {}

/// An uploaded file and its processing. The field names are those of the REST API.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Job {
    pub id: JobId,
    /// The name that the browser or program sent, without its path.
    pub filename: String,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The SHA-256 of the file in lower-case hexadecimal.
    pub sha256: String,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    #[serde(flatten)]
    pub state: JobState,
}
