//! The history of a job across its attempts.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Serialize;

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
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
    pub const ALL: [Self; 8] = [
        Self::Started,
        Self::Paused,
        Self::Resumed,
        Self::Cancelled,
        Self::Retried,
        Self::WorkerLost,
        Self::Failed,
        Self::Completed,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Cancelled => "cancelled",
            Self::Retried => "retried",
            Self::WorkerLost => "worker_lost",
            Self::Failed => "failed",
            Self::Completed => "completed",
        }
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

impl FromStr for JobEventKind {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}
