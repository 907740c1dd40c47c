//! The history of a job across its attempts.

use chrono::{DateTime, Utc};
use serde::Serialize;
use strum::{EnumString, IntoStaticStr};

use crate::UnknownStatus;

/// An event in a job's history, which is kept across attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobEvent {
    pub kind: JobEventKind,
    /// The number of the attempt that the event starts or concerns: `run` of the job.
    pub run: u32,
    pub at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, EnumString, IntoStaticStr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = UnknownStatus, parse_err_fn = UnknownStatus::new)]
pub enum JobEventKind {
    Started,
    Paused,
    Resumed,
    Cancelled,
    Retried,
    /// A worker died while it read the file, and another one started to read it.
    WorkerLost,
    Failed,
    Completed,
}

impl JobEventKind {
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }

    /// Returns the title of the event for pages.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Started => "Started",
            Self::Paused => "Paused",
            Self::Resumed => "Resumed",
            Self::Cancelled => "Cancelled",
            Self::Retried => "Retried from row 1",
            Self::WorkerLost => "A worker was lost, another one took over",
            Self::Failed => "Failed",
            Self::Completed => "Completed",
        }
    }
}
