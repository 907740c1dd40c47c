//! Jobs: every query on the table `jobs`.
//!
//! **Invariant.** [`transition`] is the only writer of a job's status, version and `updated_at`.

pub(crate) mod events;
pub(crate) mod query;
mod row;
pub(crate) mod transition;

use domain::JobId;

pub(crate) use row::JobRow;

/// The ids as PostgreSQL has them.
fn numbers(job_ids: &[JobId]) -> Vec<i64> {
    job_ids.iter().map(|job_id| job_id.get()).collect()
}

/// A query that returns [`JobRow`]s. Their columns stand between the two parts of the statement: in front of a
/// `from job_states`, or behind the `returning` of a change to `jobs`.
macro_rules! query_jobs {
    ($before:expr, $after:expr $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            crate::jobs::JobRow,
            $before
                + r#" id as "id!", user_id as "user_id!", filename as "filename!", bytes as "bytes!", sha256 as "sha256!",
                      status as "status!", total_records as "total_records!", valid_records as "valid_records!",
                      invalid_records as "invalid_records!", suspicious_records as "suspicious_records!",
                      batch_completed as "batch_completed!", total_batches as "total_batches!",
                      created_at as "created_at!", started_at, finished_at, paused_at,
                      paused_seconds as "paused_seconds!", error, run as "run!", version as "version!",
                      updated_at as "updated_at!" "#
                + $after
            $(, $argument)*
        )
    };
}
pub(crate) use query_jobs;
