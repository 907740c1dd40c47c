//! The usage of quotas: every query on the table `stored_bytes` and on the quota columns of `users`.
//!
//! **Invariant.** A transaction that adds to the usage of a quota locks the quotas of the user before it counts, so
//! that no two can take the last place. Without a limit, nothing is locked.

use std::collections::HashMap;

use domain::{JobId, Quota, QuotaChange, Quotas, Retention, UserId, format};
use sqlx::{PgConnection, PgExecutor, PgPool};

use crate::{Error, QuotaDefaults, Result, temporal::Attempt};

/// The first half of the keys of the advisory locks on quotas. The second half is a hash of the user id.
const LOCKS: i32 = 0x7175_6f74;

const WHAT_TO_DO: &str =
    "Delete jobs that are no longer needed, or ask an admin for a higher quota.";

/// Returns the user's quotas with their usage. Fails with [`Error::NotFound`].
pub(crate) async fn of(
    database: impl PgExecutor<'_>,
    user_id: UserId,
    defaults: &QuotaDefaults,
) -> Result<Quotas> {
    let stored = sqlx::query!(
        r#"select max_jobs, max_bytes, max_active_jobs, retention_days,
                  (select coalesce(sum(jobs), 0)::bigint from job_counts where user_id = users.id) as "jobs!",
                  (select coalesce(sum(jobs), 0)::bigint from job_counts
                   where user_id = users.id and status = 'processing') as "active_jobs!",
                  (select coalesce(sum(bytes), 0)::bigint from stored_bytes where user_id = users.id) as "bytes!"
           from users where id = $1"#,
        user_id.get()
    )
    .fetch_optional(database)
    .await?
    .ok_or(Error::NotFound("User"))?;
    let quota = |used: i64, own: Option<i64>, default| {
        Quota::new(used.max(0) as u64, own.map(|own| own as u64), default)
    };
    Ok(Quotas {
        jobs: quota(stored.jobs, stored.max_jobs, defaults.max_jobs_per_user),
        bytes: quota(
            stored.bytes,
            stored.max_bytes,
            defaults.max_stored_bytes_per_user,
        ),
        active_jobs: quota(
            stored.active_jobs,
            stored.max_active_jobs,
            defaults.max_active_jobs_per_user,
        ),
        retention: Retention::new(
            stored.retention_days.map(|days| days as u64),
            defaults.retention_days,
        ),
    })
}

/// Changes the user's own quotas. Fails with [`Error::NotFound`].
pub(crate) async fn set(
    tx: &mut PgConnection,
    user_id: UserId,
    change: &QuotaChange,
) -> Result<()> {
    let number = |it: Option<Option<u64>>| it.flatten().map(|number| number as i64);
    let changed = sqlx::query!(
        "update users
         set max_jobs = case when $2 then $3 else max_jobs end,
             max_bytes = case when $4 then $5 else max_bytes end,
             max_active_jobs = case when $6 then $7 else max_active_jobs end,
             retention_days = case when $8 then $9 else retention_days end
         where id = $1",
        user_id.get(),
        change.jobs.is_some(),
        number(change.jobs),
        change.bytes.is_some(),
        number(change.bytes),
        change.active_jobs.is_some(),
        number(change.active_jobs),
        change.retention_days.is_some(),
        number(change.retention_days).map(|days| days as i32)
    )
    .execute(tx)
    .await?;
    match changed.rows_affected() {
        0 => Err(Error::NotFound("User")),
        _ => Ok(()),
    }
}

/// Returns the user's quotas if one of them limits files. Without such a limit, nothing is counted. Fails with
/// [`Error::NotFound`].
pub(crate) async fn limiting_files(
    pool: &PgPool,
    user_id: UserId,
    defaults: &QuotaDefaults,
) -> Result<Option<Quotas>> {
    let is_limited = sqlx::query_scalar!(
        r#"select coalesce(max_jobs, $2) > 0 or coalesce(max_bytes, $3) > 0 as "is_limited!" from users where id = $1"#,
        user_id.get(),
        defaults.max_jobs_per_user as i64,
        defaults.max_stored_bytes_per_user as i64
    )
    .fetch_optional(pool)
    .await?
    .ok_or(Error::NotFound("User"))?;
    match is_limited {
        true => of(pool, user_id, defaults).await.map(Some),
        false => Ok(None),
    }
}

/// Checks that the user's quotas allow the file, in the transaction that creates its job.
pub(crate) async fn admit_file(
    tx: &mut PgConnection,
    user_id: UserId,
    bytes: u64,
    defaults: &QuotaDefaults,
) -> Result<()> {
    lock(tx, &[user_id.get()]).await?;
    check_file(&of(tx, user_id, defaults).await?, bytes)
}

/// Returns the quota for stored bytes of the job's user, or `None` without a limit. Its usage excludes the text of the
/// job's file, which a new text would replace. Fails with [`Error::NotFound`].
pub(crate) async fn limiting_text(
    database: &mut PgConnection,
    job_id: JobId,
    defaults: &QuotaDefaults,
) -> Result<Option<Quota>> {
    let job = sqlx::query!(
        r#"select user_id, coalesce(content_bytes, 0) as "text_bytes!", coalesce(max_bytes, $2) > 0 as "is_limited!"
           from jobs join users on users.id = user_id where jobs.id = $1"#,
        job_id.get(),
        defaults.max_stored_bytes_per_user as i64
    )
    .fetch_optional(&mut *database)
    .await?
    .ok_or(Error::NotFound("Job"))?;
    if !job.is_limited {
        return Ok(None);
    }
    lock(database, &[job.user_id]).await?;
    let Quotas { bytes, .. } = of(database, job.user_id.into(), defaults).await?;
    Ok(Some(Quota {
        used: bytes.used.saturating_sub(job.text_bytes as u64),
        ..bytes
    }))
}

/// Fails with [`Error::QuotaExceeded`] if a text of this size doesn't fit.
pub(crate) fn check_text(stored: Quota, bytes: u64) -> Result<()> {
    let is_too_much = stored.remaining().is_some_and(|free| bytes > free);
    match stored.limit.filter(|_| is_too_much) {
        Some(limit) => Err(Error::QuotaExceeded(format!(
            "The text of this file doesn't fit: the quota for stored files is {}, and {} are used. {WHAT_TO_DO}",
            format::bytes(limit),
            format::bytes(stored.used)
        ))),
        None => Ok(()),
    }
}

/// Fails with [`Error::QuotaExceeded`] if the quotas don't allow a file of this size or larger.
pub(crate) fn check_file(quotas: &Quotas, bytes: u64) -> Result<()> {
    let Quotas {
        jobs,
        bytes: stored,
        ..
    } = quotas;
    if let Some(limit) = jobs.limit.filter(|_| jobs.is_reached()) {
        return Err(Error::QuotaExceeded(format!(
            "The quota for jobs is used up: {} of {}. {WHAT_TO_DO}",
            format::count(jobs.used),
            format::count(limit)
        )));
    }
    // Even an empty file needs room.
    let is_too_much = stored.remaining().is_some_and(|free| bytes.max(1) > free);
    if let Some(limit) = stored.limit.filter(|_| is_too_much) {
        return Err(Error::QuotaExceeded(format!(
            "The file doesn't fit: the quota for stored files is {}, and {} are used. {WHAT_TO_DO}",
            format::bytes(limit),
            format::bytes(stored.used)
        )));
    }
    Ok(())
}

/// Fails with [`Error::QuotaExceeded`] if the user already has the maximum number of jobs in progress.
pub(crate) async fn check_start(
    pool: &PgPool,
    user_id: UserId,
    defaults: &QuotaDefaults,
) -> Result<()> {
    let limit = sqlx::query_scalar!(
        r#"select coalesce(max_active_jobs, $2) as "limit!" from users where id = $1"#,
        user_id.get(),
        defaults.max_active_jobs_per_user as i64
    )
    .fetch_optional(pool)
    .await?;
    if limit.unwrap_or_default() == 0 {
        return Ok(());
    }
    let active = of(pool, user_id, defaults).await?.active_jobs;
    match active.limit.filter(|_| active.is_reached()) {
        Some(limit) => Err(Error::QuotaExceeded(format!(
            "{} being processed, and the quota is {limit} at the same time. Start this one when another has ended, or ask \
             an admin for a higher quota.",
            match active.used {
                1 => "1 job is".to_owned(),
                used => format!("{} jobs are", format::count(used)),
            }
        ))),
        None => Ok(()),
    }
}

/// Returns those of the attempts that may not begin because their jobs exceed their user's quota of jobs in progress.
/// Locks the jobs of all attempts.
pub(crate) async fn beyond_quota(
    tx: &mut PgConnection,
    attempts: &[Attempt],
    defaults: &QuotaDefaults,
) -> Result<Vec<Attempt>> {
    let job_ids: Vec<i64> = attempts.iter().map(|it| it.job_id.get()).collect();
    let limits: HashMap<i64, i64> = sqlx::query!(
        r#"select id, coalesce(max_active_jobs, $2) as "limit!" from users
           where id in (select user_id from jobs where jobs.id = any($1)) and coalesce(max_active_jobs, $2) > 0"#,
        &job_ids,
        defaults.max_active_jobs_per_user as i64
    )
    .map(|user| (user.id, user.limit))
    .fetch_all(&mut *tx)
    .await?
    .into_iter()
    .collect();
    if limits.is_empty() {
        return Ok(Vec::new());
    }
    let user_ids: Vec<i64> = limits.keys().copied().collect();
    lock(tx, &user_ids).await?;
    let at_rest: HashMap<i64, (i64, i32)> = sqlx::query!(
        r#"select id, user_id, run, status in ('pending', 'paused', 'failed', 'cancelled') as "is_at_rest!"
           from jobs where id = any($1) order by id for update"#,
        &job_ids
    )
    .fetch_all(&mut *tx)
    .await?
    .into_iter()
    .filter(|job| job.is_at_rest)
    .map(|job| (job.id, (job.user_id, job.run)))
    .collect();
    let mut active: HashMap<i64, i64> = sqlx::query!(
        r#"select user_id, sum(jobs)::bigint as "jobs!" from job_counts
           where user_id = any($1) and status = 'processing' group by user_id"#,
        &user_ids
    )
    .map(|count| (count.user_id, count.jobs))
    .fetch_all(tx)
    .await?
    .into_iter()
    .collect();
    let is_beyond = |attempt: &Attempt| {
        // Other jobs don't begin in any case.
        let begins = at_rest.get(&attempt.job_id.get());
        let begins = begins.filter(|(_, run)| i64::from(*run) + 1 == i64::from(attempt.number));
        let Some((user_id, limit)) =
            begins.and_then(|(user_id, _)| Some((*user_id, *limits.get(user_id)?)))
        else {
            return false;
        };
        let active = active.entry(user_id).or_default();
        *active += 1;
        *active > limit
    };
    Ok(attempts.iter().copied().filter(is_beyond).collect())
}

/// Lets only one transaction at a time add to the usage of these users, until it ends.
async fn lock(tx: &mut PgConnection, user_ids: &[i64]) -> sqlx::Result<()> {
    // Locks in the order of the keys, so that no two transactions deadlock.
    sqlx::query!(
        r#"select pg_advisory_xact_lock($1, key) as "locked: ()"
           from (select distinct hashint8(id) as key from unnest($2::bigint[]) as users (id) order by 1) as keys"#,
        LOCKS,
        user_ids
    )
    .fetch_all(tx)
    .await?;
    Ok(())
}

/// A job whose retention has ended.
pub(crate) struct Expired {
    pub job_id: JobId,
    pub user_id: UserId,
    /// The number of days for which the user's jobs are kept.
    pub days: i32,
}

/// Locks up to `limit` jobs whose retention has ended, oldest first. Skips those that another process has locked.
pub(crate) async fn lock_expired(
    tx: &mut PgConnection,
    defaults: &QuotaDefaults,
    limit: i64,
) -> sqlx::Result<Vec<Expired>> {
    sqlx::query!(
        r#"select jobs.id, user_id, coalesce(retention_days, $1) as "days!"
           from jobs join users on users.id = user_id
           where status in ('completed', 'failed', 'cancelled') and coalesce(retention_days, $1) > 0
             and finished_at < now() - coalesce(retention_days, $1) * interval '1 day'
           order by finished_at limit $2 for update of jobs skip locked"#,
        defaults.retention_days as i32,
        limit
    )
    .map(|job| Expired {
        job_id: job.id.into(),
        user_id: job.user_id.into(),
        days: job.days,
    })
    .fetch_all(tx)
    .await
}

/// Sums up the counts of the trigger. Skips those that another process is summing up.
pub(crate) async fn sum_up(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!(
        "with several as (
             select user_id from stored_bytes group by user_id having count(*) > 1 or sum(bytes) = 0
         ), taken as (
             delete from stored_bytes using several where stored_bytes.user_id = several.user_id
             returning stored_bytes.user_id, bytes
         )
         insert into stored_bytes (user_id, bytes)
         select user_id, sum(bytes)::bigint from taken group by user_id having sum(bytes) <> 0"
    )
    .execute(pool)
    .await?;
    Ok(())
}
