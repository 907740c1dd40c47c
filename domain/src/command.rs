//! Commands to jobs, and the states that allow them.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::JobStatus;

/// A command that a person or a program may give to a job.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str)]
pub enum Command {
    /// Start to process an uploaded file.
    Start,
    /// Stop after the committed chunks, to be resumed later.
    Pause,
    /// Continue after a pause.
    Resume,
    /// Stop for good, and keep the committed results.
    Cancel,
    /// Start again from the first row.
    Retry,
}

/// What a command does to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The job changes to this status.
    Change(JobStatus),
    /// The job already has the requested status, so nothing changes.
    Nothing,
}

/// A command that the state of the job forbids. Its `Display` is a sentence for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forbidden {
    command: Command,
    status: JobStatus,
}

impl Command {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }

    /// Returns the effect on a job with this status. Repeating a command isn't an error: a page may be open twice, a
    /// button pressed twice, or a response lost.
    pub const fn effect_on(self, status: JobStatus) -> Result<Effect, Forbidden> {
        use JobStatus::{Cancelled, Completed, Failed, Paused, Pending, Processing};
        Ok(match (self, status) {
            (Self::Start, Pending) | (Self::Resume, Paused) | (Self::Retry, Failed | Cancelled) => {
                Effect::Change(Processing)
            }
            (Self::Pause, Processing) => Effect::Change(Paused),
            (Self::Cancel, Processing | Paused) => Effect::Change(Cancelled),
            (Self::Start, Processing | Completed)
            | (Self::Pause, Paused)
            | (Self::Resume | Self::Retry, Processing)
            | (Self::Cancel, Cancelled) => Effect::Nothing,
            (command, status) => return Err(Forbidden { command, status }),
        })
    }

    /// Returns whether the command would change a job with this status. If so, pages offer it.
    pub const fn is_offered_for(self, status: JobStatus) -> bool {
        matches!(self.effect_on(status), Ok(Effect::Change(_)))
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = match self.command {
            Command::Start => "Only a pending job can be started",
            Command::Pause => "Only a job that is being processed can be paused",
            Command::Resume => "Only a paused job can be resumed",
            Command::Cancel => "Only a job that is being processed or paused can be cancelled",
            Command::Retry => "Only a failed or cancelled job can be retried",
        };
        write!(f, "{rule}; this one is {}.", self.status)
    }
}

impl std::error::Error for Forbidden {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_on_every_status() {
        use Command::{Cancel, Pause, Resume, Retry, Start};
        use JobStatus::{Cancelled, Completed, Failed, Paused, Pending, Processing};
        // The statuses after start, pause, resume, cancel and retry. `=` means no change, `-` means forbidden.
        for (status, expect) in [
            (Pending, ["processing", "-", "-", "-", "-"]),
            (Processing, ["=", "paused", "=", "cancelled", "="]),
            (Paused, ["-", "=", "processing", "cancelled", "-"]),
            (Completed, ["=", "-", "-", "-", "-"]),
            (Failed, ["-", "-", "-", "-", "processing"]),
            (Cancelled, ["-", "-", "-", "=", "processing"]),
        ] {
            let effect = |command: Command| match command.effect_on(status) {
                Ok(Effect::Change(status)) => status.as_str(),
                Ok(Effect::Nothing) => "=",
                Err(_) => "-",
            };
            assert_eq!(
                [Start, Pause, Resume, Cancel, Retry].map(effect),
                expect,
                "{status}"
            );
        }
    }

    #[test]
    fn forbidden_commands_have_a_sentence() {
        let forbidden = Command::Pause.effect_on(JobStatus::Completed);
        assert_eq!(
            forbidden.unwrap_err().to_string(),
            "Only a job that is being processed can be paused; this one is completed."
        );
    }
}
