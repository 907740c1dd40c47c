//! The message that a running job sends to whoever watches it.

use serde::{Deserialize, Serialize};

use crate::{Command, Effect, Job, JobId, JobStatus, UserId};

/// The state of a job at one moment, absolute: a missed message can't leave a reader wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobProgress {
    /// Always `job_progress`.
    #[serde(rename = "type")]
    pub kind: String,
    pub job_id: JobId,
    pub user_id: UserId,
    pub status: JobStatus,
    pub progress_percent: f64,
    pub processed_records: u64,
    pub total_records: u64,
    pub valid_records: u64,
    pub invalid_records: u64,
    pub suspicious_records: u64,
    pub batch_completed: u32,
    pub total_batches: u32,
    pub rows_per_second: Option<f64>,
    pub eta_seconds: Option<f64>,
    pub error: Option<String>,
    pub run: u32,
    /// As [`Job::version`]: ignore a message that is not newer than what is known.
    pub version: u64,
}

impl From<&Job> for JobProgress {
    fn from(job: &Job) -> Self {
        Self {
            kind: "job_progress".to_owned(),
            job_id: job.id,
            user_id: job.user_id,
            status: job.status,
            progress_percent: job.progress_percent,
            processed_records: job.processed_records,
            total_records: job.total_records,
            valid_records: job.valid_records,
            invalid_records: job.invalid_records,
            suspicious_records: job.suspicious_records,
            batch_completed: job.batch_completed,
            total_batches: job.total_batches,
            rows_per_second: job.rows_per_second,
            eta_seconds: job.eta_seconds,
            error: job.error.clone(),
            run: job.run,
            version: job.version,
        }
    }
}

impl JobProgress {
    /// Takes over another state of the same job, unless it is no newer; gives whether it was.
    pub fn renew(&mut self, told: Self) -> bool {
        let is_newer = told.job_id == self.job_id && told.version > self.version;
        if is_newer {
            *self = told;
        }
        is_newer
    }

    /// What it will be like if `command` is followed, for a page that doesn't wait for the answer. Of the same version:
    /// whatever is told takes its place.
    pub fn after(self, command: Command) -> Self {
        let Ok(Effect::Change(status)) = command.effect_on(self.status) else {
            return self;
        };
        let after = Self {
            status,
            eta_seconds: None,
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
            batch_completed: 0,
            total_batches: 0,
            rows_per_second: None,
            error: None,
            ..after
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(status: &str) -> JobProgress {
        let json = format!(
            r#"{{"type":"job_progress","job_id":1,"user_id":1,"status":"{status}","progress_percent":50.0,
                "processed_records":5,"total_records":10,"valid_records":4,"invalid_records":1,
                "suspicious_records":1,"batch_completed":1,"total_batches":2,"rows_per_second":2.5,
                "eta_seconds":2.0,"error":"broken","run":3,"version":7}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn a_command_keeps_what_is_done_but_for_a_retry() {
        let running = progress("processing");
        let paused = running.clone().after(Command::Pause);
        assert_eq!(paused.status, JobStatus::Paused);
        assert_eq!(paused.eta_seconds, None);
        assert_eq!((paused.processed_records, paused.version), (5, 7));

        let again = progress("failed").after(Command::Retry);
        assert_eq!(again.status, JobStatus::Processing);
        assert_eq!((again.processed_records, again.total_records), (0, 0));
        assert_eq!((again.error, again.version), (None, 7));

        // What is forbidden, or has happened before the answer, changes nothing.
        assert_eq!(running.clone().after(Command::Resume), running);
        assert_eq!(
            progress("completed").after(Command::Pause),
            progress("completed")
        );
    }

    #[test]
    fn only_what_is_newer_is_taken_over() {
        let mut known = progress("processing");
        let same = JobProgress {
            status: JobStatus::Paused,
            ..known.clone()
        };
        assert!(!known.renew(same.clone()));
        assert!(known.renew(JobProgress { version: 8, ..same }));
        assert_eq!(known.status, JobStatus::Paused);
    }
}
