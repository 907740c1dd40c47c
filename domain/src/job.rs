//! Jobs: uploaded files and their processing.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::{JobId, JobState};

/// The status of a job.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str)]
#[strum(parse_err_ty = UnknownStatus, parse_err_fn = UnknownStatus::new)]
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
    pub const ALL: &'static [Self] = Self::VARIANTS;

    pub const fn as_str(self) -> &'static str {
        self.into_str()
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

/// The text isn't a status of a job or a kind of event.
#[derive(Debug)]
pub struct UnknownStatus(String);

impl UnknownStatus {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

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
