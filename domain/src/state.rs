//! The state of a job, and the message that publishes it to everyone who watches the job.

use serde::{Deserialize, Serialize};

use crate::{Command, Effect, Job, JobId, JobStatus, UserId};

/// The complete state of a job at one moment, so a missed message does no harm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobState {
    pub user_id: UserId,
    pub status: JobStatus,
    /// 0 to 100, with one digit after the point, rounded down: 100 means done.
    pub progress_percent: f64,
    pub processed_records: u64,
    /// The number of transactions in the file. 0 until the file has been planned.
    pub total_records: u64,
    pub valid_records: u64,
    pub invalid_records: u64,
    pub suspicious_records: u64,
    /// Records that are not transactions. The other counts don't include them.
    #[serde(default)]
    pub ignored_records: u64,
    /// The number of committed chunks.
    pub batch_completed: u32,
    /// The number of chunks in the file. 0 until the file has been planned.
    pub total_batches: u32,
    /// The mean number of rows per second since the start, without pauses. `null` before the first commit.
    pub rows_per_second: Option<f64>,
    /// The estimated seconds for the rest at that rate. `null` unless processing.
    pub eta_seconds: Option<f64>,
    /// The reason why the job failed, as a sentence.
    pub error: Option<String>,
    /// The error as a stable code for programs: `format.` and a key of the format if a question must be answered first,
    /// otherwise `file.` and a word for the reason.
    #[serde(default)]
    pub error_code: Option<String>,
    /// What a job that is being processed waits for, as a sentence: its last step failed for this reason and is tried again.
    /// Otherwise `null`.
    #[serde(default)]
    pub waits_for: Option<String>,
    /// Grows with each start, pause, resume, cancel and retry. Work that started under an earlier number can't commit
    /// any more.
    pub run: u32,
    /// Grows with every change of this job. The state with the larger version is the newer one.
    pub version: u64,
}

/// The phase of a job that is being processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The file isn't planned yet, so its number of rows is unknown.
    Reading,
    Checking,
    /// Every row has its verdict, and the job isn't completed yet.
    Finishing,
}

/// The message about a job that changed. Ignore one whose version isn't larger than the version you know.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobProgress {
    /// Always `job_progress`.
    #[serde(rename = "type")]
    kind: &'static str,
    pub job_id: JobId,
    #[serde(flatten)]
    pub state: JobState,
}

impl JobProgress {
    pub fn new(job_id: JobId, state: JobState) -> Self {
        Self {
            kind: "job_progress",
            job_id,
            state,
        }
    }

    /// Parses a message in the form in which it is sent.
    ///
    /// Parses the text twice, because a deserializer for `flatten` would add to the size of every page.
    pub fn from_json(text: &str) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Subject {
            job_id: JobId,
        }

        let Subject { job_id } = serde_json::from_str(text)?;
        Ok(Self::new(job_id, serde_json::from_str(text)?))
    }
}

/// The last message about a job: it was deleted.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobDeleted {
    /// Always `job_deleted`.
    #[serde(rename = "type")]
    kind: &'static str,
    pub job_id: JobId,
    pub user_id: UserId,
}

impl JobDeleted {
    const KIND: &str = "job_deleted";

    pub fn new(job_id: JobId, user_id: UserId) -> Self {
        Self {
            kind: Self::KIND,
            job_id,
            user_id,
        }
    }

    /// Parses a message in the form in which it is sent. Returns `None` for other messages.
    pub fn from_json(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Sent {
            r#type: String,
            job_id: JobId,
            user_id: UserId,
        }

        let sent: Sent = serde_json::from_str(text).ok()?;
        (sent.r#type == Self::KIND).then(|| Self::new(sent.job_id, sent.user_id))
    }
}

/// The message that any of the watched jobs may have changed, and that some may be new or deleted.
pub const JOBS_CHANGED: &str = r#"{"type":"jobs_changed"}"#;

impl From<&Job> for JobProgress {
    fn from(job: &Job) -> Self {
        Self::new(job.id, job.state.clone())
    }
}

impl JobState {
    /// Computes the percentage, the rate and the remaining time from the counts. `seconds` is the processing time so
    /// far, or `None` before the start.
    pub fn measured(self, seconds: Option<f64>) -> Self {
        let (processed, total) = (self.processed_records, self.total_records);
        let progress_percent = match self.status {
            // Also if there are no rows.
            JobStatus::Completed => 100.0,
            _ if total == 0 => 0.0,
            _ => (processed.saturating_mul(1000) / total) as f64 / 10.0,
        };
        let rows_per_second = seconds
            .filter(|seconds| *seconds > 0.0 && processed > 0)
            .map(|seconds| processed as f64 / seconds);
        let eta_seconds = rows_per_second
            .filter(|_| self.status.is_active())
            .map(|rate| total.saturating_sub(processed) as f64 / rate);
        Self {
            progress_percent,
            rows_per_second,
            eta_seconds,
            ..self
        }
    }

    /// Returns the phase of a job that is being processed, otherwise `None`.
    pub fn phase(&self) -> Option<Phase> {
        match self.status {
            JobStatus::Processing if self.total_batches == 0 => Some(Phase::Reading),
            JobStatus::Processing if self.batch_completed < self.total_batches => {
                Some(Phase::Checking)
            }
            JobStatus::Processing => Some(Phase::Finishing),
            _ => None,
        }
    }

    /// Replaces this state by another one of the same job if that is newer. Returns whether it was newer.
    pub fn renew(&mut self, other: Self) -> bool {
        let is_newer = other.version > self.version;
        if is_newer {
            *self = other;
        }
        is_newer
    }

    /// Returns the state after `command`, for a page that doesn't wait for the response. The version stays the same, so
    /// any newer state replaces it.
    pub fn after(self, command: Command) -> Self {
        let Ok(Effect::Change(status)) = command.effect_on(self.status) else {
            return self;
        };
        let after = Self {
            status,
            eta_seconds: None,
            waits_for: None,
            ..self
        };
        if command != Command::Retry {
            return after;
        }
        Self {
            progress_percent: 0.0,
            processed_records: 0,
            total_records: 0,
            valid_records: 0,
            invalid_records: 0,
            suspicious_records: 0,
            ignored_records: 0,
            batch_completed: 0,
            total_batches: 0,
            rows_per_second: None,
            error: None,
            error_code: None,
            ..after
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = r#"{"type":"job_progress","job_id":1,"user_id":2,"status":"processing",
        "progress_percent":50.0,"processed_records":5,"total_records":10,"valid_records":4,"invalid_records":1,
        "suspicious_records":1,"ignored_records":0,"batch_completed":1,"total_batches":2,"rows_per_second":2.5,"eta_seconds":2.0,
        "error":"broken","error_code":null,"waits_for":null,"run":3,"version":7}"#;

    fn state(status: JobStatus) -> JobState {
        let message = JobProgress::from_json(MESSAGE).unwrap();
        JobState {
            status,
            ..message.state
        }
    }

    #[test]
    fn messages_round_trip() {
        let message = JobProgress::from_json(MESSAGE).unwrap();
        let sent = serde_json::to_value(message).unwrap();
        let read: serde_json::Value = serde_json::from_str(MESSAGE).unwrap();
        assert_eq!(sent, read);
    }

    #[test]
    fn deletions_are_distinguished_from_progress() {
        let deleted = JobDeleted::new(1.into(), 2.into());
        let sent = serde_json::to_string(&deleted).unwrap();
        assert_eq!(sent, r#"{"type":"job_deleted","job_id":1,"user_id":2}"#);
        assert_eq!(JobDeleted::from_json(&sent), Some(deleted));
        assert!(JobProgress::from_json(&sent).is_err());
        assert_eq!(JobDeleted::from_json(MESSAGE), None);
    }

    #[test]
    fn a_job_has_its_state_beside_its_own_fields() {
        let job = Job {
            id: 1.into(),
            filename: "a.csv".to_owned(),
            bytes: 3,
            sha256: "00".to_owned(),
            created_at: Default::default(),
            started_at: None,
            finished_at: None,
            state: state(JobStatus::Pending),
        };
        let json = serde_json::to_value(&job).unwrap();
        assert_eq!((&json["id"], &json["user_id"]), (&1.into(), &2.into()));
        assert_eq!((&json["bytes"], &json["version"]), (&3.into(), &7.into()));
        assert!(json.get("job_id").is_none() && json.get("type").is_none());
    }

    #[test]
    fn percent_never_says_100_too_early() {
        let percent = |status, processed_records, total_records| {
            let state = JobState {
                processed_records,
                total_records,
                ..state(status)
            };
            state.measured(None).progress_percent
        };
        assert_eq!(percent(JobStatus::Processing, 999_999, 1_000_000), 99.9);
        assert_eq!(percent(JobStatus::Processing, 0, 0), 0.0);
        assert_eq!(percent(JobStatus::Completed, 0, 0), 100.0);
        assert_eq!(percent(JobStatus::Failed, 0, 0), 0.0);
    }

    #[test]
    fn the_rate_lasts_and_the_remaining_time_ends_with_the_work() {
        let pace = |status, seconds| {
            let state = state(status).measured(seconds);
            (state.rows_per_second, state.eta_seconds)
        };
        let active = JobStatus::Processing;
        assert_eq!(pace(active, Some(2.0)), (Some(2.5), Some(2.0)));
        assert_eq!(pace(active, Some(0.0)), (None, None));
        assert_eq!(pace(active, None), (None, None));
        assert_eq!(pace(JobStatus::Paused, Some(2.0)), (Some(2.5), None));
    }

    #[test]
    fn a_running_job_is_reading_checking_or_finishing() {
        let phase = |status, batch_completed, total_batches| {
            let state = JobState {
                batch_completed,
                total_batches,
                ..state(status)
            };
            state.phase()
        };
        let active = JobStatus::Processing;
        assert_eq!(phase(active, 0, 0), Some(Phase::Reading));
        assert_eq!(phase(active, 0, 2), Some(Phase::Checking));
        assert_eq!(phase(active, 1, 2), Some(Phase::Checking));
        assert_eq!(phase(active, 2, 2), Some(Phase::Finishing));
        assert_eq!(phase(JobStatus::Completed, 2, 2), None);
        assert_eq!(phase(JobStatus::Paused, 0, 0), None);
    }

    #[test]
    fn every_command_except_retry_keeps_the_results() {
        let running = state(JobStatus::Processing);
        let paused = running.clone().after(Command::Pause);
        assert_eq!(paused.status, JobStatus::Paused);
        assert_eq!(paused.eta_seconds, None);
        assert_eq!((paused.processed_records, paused.version), (5, 7));

        let again = state(JobStatus::Failed).after(Command::Retry);
        assert_eq!(again.status, JobStatus::Processing);
        assert_eq!((again.processed_records, again.total_records), (0, 0));
        assert_eq!((again.error, again.version), (None, 7));

        // A command that is forbidden, or that took effect before the response, changes nothing.
        assert_eq!(running.clone().after(Command::Resume), running);
        assert_eq!(
            state(JobStatus::Completed).after(Command::Pause),
            state(JobStatus::Completed)
        );
    }

    #[test]
    fn only_newer_states_are_applied() {
        let mut known = state(JobStatus::Processing);
        let same = JobState {
            status: JobStatus::Paused,
            ..known.clone()
        };
        assert!(!known.renew(same.clone()));
        assert!(known.renew(JobState { version: 8, ..same }));
        assert_eq!(known.status, JobStatus::Paused);
    }
}
