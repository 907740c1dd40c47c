//! The versions of a file. Each is a job that names the job it corrects.

use domain::{ErrorCode, Job, JobId, JobStatus, Problems, ResultId};

use crate::{
    Backend, Result,
    access::{Act, Viewer, check_job},
    jobs::{list, query},
    ledger,
};

/// The versions of a job's file.
#[derive(Default)]
pub struct Versions {
    /// Newest first; empty if there is only one.
    pub jobs: Vec<Job>,
    /// The job that this one corrects.
    pub corrects: Option<JobId>,
    /// How the errors differ from those of the corrected job, once both are completed.
    pub changes: Option<Changes>,
}

/// How the errors of a version differ from those of the version that it corrects. Compares counts only: if there are
/// fewer errors of a kind, the difference counts as fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The number of errors in the corrected version.
    pub before: u64,
    pub fixed: u64,
    pub new: u64,
    /// Each kind of error in either version, with its count before and now.
    pub kinds: Vec<(ErrorCode, u64, u64)>,
}

impl Changes {
    fn new(before: &Problems, now: &Problems) -> Self {
        let kinds: Vec<_> = ErrorCode::ALL
            .iter()
            .map(|code| (*code, before.rows(*code), now.rows(*code)))
            .filter(|(_, before, now)| before + now > 0)
            .collect();
        Self {
            before: kinds.iter().map(|(_, before, _)| before).sum(),
            fixed: kinds
                .iter()
                .map(|(_, before, now)| before.saturating_sub(*now))
                .sum(),
            new: kinds
                .iter()
                .map(|(_, before, now)| now.saturating_sub(*before))
                .sum(),
            kinds,
        }
    }
}

/// Returns the job that this one corrects and the ids of all versions of its file, newest first. Empty if it is the
/// only version.
pub async fn ids(
    backend: &Backend,
    viewer: &Viewer,
    job_id: JobId,
) -> Result<(Option<JobId>, Vec<JobId>)> {
    check_job(&backend.pool, viewer, job_id, Act::Read).await?;
    let thread = query::versions(&backend.pool, job_id).await?;
    let corrects = thread.iter().find(|(id, _)| *id == job_id);
    let corrects = corrects.and_then(|(_, corrects)| *corrects);
    let mut ids: Vec<JobId> = thread.into_iter().map(|(id, _)| id).collect();
    ids.sort_unstable_by(|a, b| b.cmp(a));
    if ids.len() < 2 {
        ids.clear();
    }
    Ok((corrects, ids))
}

/// Returns the versions of this job's file.
pub async fn of(backend: &Backend, viewer: &Viewer, job_id: JobId) -> Result<Versions> {
    let (corrects, ids) = ids(backend, viewer, job_id).await?;
    if ids.is_empty() {
        return Ok(Versions::default());
    }
    let jobs = list::chosen(&backend.pool, viewer.owner(), &ids).await?;
    let is_completed = |id: JobId| {
        let job = jobs.iter().find(|job| job.id == id);
        job.is_some_and(|job| job.state.status == JobStatus::Completed)
    };
    let changes = match corrects {
        Some(before) if is_completed(before) && is_completed(job_id) => Some(Changes::new(
            &problems(backend, before).await?,
            &problems(backend, job_id).await?,
        )),
        _ => None,
    };
    Ok(Versions {
        jobs,
        corrects,
        changes,
    })
}

async fn problems(backend: &Backend, job_id: JobId) -> Result<Problems> {
    let source = query::source(&backend.pool, job_id).await?;
    // No result has the id 0.
    let result_id = source.map_or(ResultId::from(0), |source| source.result_id);
    Ok(ledger::problems(&backend.pool, result_id).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_errors_of_a_kind_count_as_fixed() {
        let problems = |json: &str| serde_json::from_str::<Problems>(json).unwrap();
        let before = problems(r#"{"amount.missing": 10, "date.missing": 2, "date.not_a_date": 1}"#);
        let now = problems(r#"{"amount.missing": 4, "date.not_a_date": 3}"#);
        let changes = Changes::new(&before, &now);
        assert_eq!((changes.before, changes.fixed, changes.new), (13, 8, 2));
        assert_eq!(changes.kinds.len(), 3);
        assert!(changes.kinds.contains(&(ErrorCode::DateMissing, 2, 0)));
    }
}
