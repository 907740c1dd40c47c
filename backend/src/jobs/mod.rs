//! Jobs: every query on the table `jobs`.
//!
//! **Invariant.** [`transition`] is the only writer of a job's status, version and `updated_at`.

pub(crate) mod events;
pub(crate) mod list;
pub(crate) mod query;
pub(crate) mod transition;
pub(crate) mod usage;

use domain::JobId;

/// Returns the ids in PostgreSQL's type.
fn numbers(job_ids: &[JobId]) -> Vec<i64> {
    job_ids.iter().map(|job_id| job_id.get()).collect()
}

/// A query that returns [`Job`](domain::Job)s. Inserts their columns between the two parts of the statement: before
/// `from job_states`, or after the `returning` of a change to `jobs`. With `changed`, the first part ends with a change
/// to `jobs` within `with changed as (`, the second one closes it and may add more, and the changed jobs are returned.
macro_rules! query_jobs {
    (changed $change:literal, $more:literal $(, $argument:expr)* $(,)?) => {
        $crate::jobs::query_jobs!(
            [$change
                " returning jobs.id, jobs.user_id, jobs.filename, jobs.bytes, jobs.sha256, jobs.status,
                              jobs.total_records, jobs.valid_records, jobs.invalid_records, jobs.suspicious_records,
                              jobs.ignored_records, jobs.batch_completed, jobs.total_batches, jobs.created_at,
                              jobs.started_at, jobs.finished_at, jobs.error, jobs.error_code, jobs.run, jobs.version,
                              jobs.paused_at, jobs.updated_at, jobs.paused_seconds, null::text as waits_for "
                $more
                " select "],
            "from changed"
            $(, $argument)*
        )
    };
    ($before:literal, $after:literal $(, $argument:expr)* $(,)?) => {
        $crate::jobs::query_jobs!([$before], $after $(, $argument)*)
    };
    ([$($before:literal)*], $after:literal $(, $argument:expr)*) => {
        sqlx::query!(
            $($before +)*
                r#" id as "id!", user_id as "user_id!", filename as "filename!", bytes as "bytes!", sha256 as "sha256!",
                      status as "status!", total_records as "total_records!", valid_records as "valid_records!",
                      invalid_records as "invalid_records!", suspicious_records as "suspicious_records!",
                      ignored_records as "ignored_records!",
                      batch_completed as "batch_completed!", total_batches as "total_batches!",
                      created_at as "created_at!", started_at, finished_at, error, error_code, run as "run!",
                      version as "version!",
                      extract(epoch from coalesce(paused_at, finished_at, updated_at) - started_at)::float8
                          - paused_seconds as seconds, waits_for "#
                + $after
            $(, $argument)*
        )
        .try_map(|row| {
            let state = domain::JobState {
                user_id: row.user_id.into(),
                status: row.status.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
                processed_records: (row.valid_records + row.invalid_records) as u64,
                total_records: row.total_records as u64,
                valid_records: row.valid_records as u64,
                invalid_records: row.invalid_records as u64,
                suspicious_records: row.suspicious_records as u64,
                ignored_records: row.ignored_records as u64,
                batch_completed: row.batch_completed as u32,
                total_batches: row.total_batches as u32,
                error: row.error,
                error_code: row.error_code,
                waits_for: row.waits_for,
                run: row.run as u32,
                version: row.version as u64,
                // `measured` computes the rest.
                progress_percent: 0.0,
                rows_per_second: None,
                eta_seconds: None,
            };
            Ok(domain::Job {
                id: row.id.into(),
                filename: row.filename,
                bytes: row.bytes as u64,
                sha256: row.sha256,
                created_at: row.created_at,
                started_at: row.started_at,
                finished_at: row.finished_at,
                state: state.measured(row.seconds),
            })
        })
    };
}
pub(crate) use query_jobs;
