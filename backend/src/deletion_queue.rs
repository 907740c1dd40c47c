//! The deletion queue: every query on the table `removals`.
//!
//! An entry is added in the transaction that makes its data invisible, so that a process that dies leaves nothing
//! behind for good. `maintenance::sweep` removes the data.

use std::{collections::HashSet, time::Duration};

use sqlx::{PgConnection, PgExecutor, PgPool};
use tokio::time::interval;

use crate::{Error, Result};

/// How long a file that is being written is protected after its writer last renewed the lease. After that it is protected
/// once more for as long, because the writer may be alive: the clock may have jumped, or PostgreSQL was unreachable.
const LEASE: Duration = Duration::from_secs(60);

/// An entry whose data can be removed now.
pub(crate) struct Entry {
    pub id: i64,
    pub storage_key: Option<String>,
    pub result_id: Option<i64>,
    /// Whether a file is being written, or was when its writer died.
    pub is_leased: bool,
}

/// Queues the file under `key` as an orphan, unless [`keep_file`] takes it back before the lease ends.
pub(crate) async fn expect_file(database: impl PgExecutor<'_>, key: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into removals (storage_key, due_at, is_leased) values ($1, now() + $2 * interval '1 second', true)
         on conflict (storage_key) do update set due_at = excluded.due_at, is_leased = true
             where not removals.is_being_removed",
        key,
        LEASE.as_secs_f64()
    )
    .execute(database)
    .await?;
    Ok(())
}

/// Runs `writing`, which writes the file under `key`, and renews the file's lease meanwhile.
pub(crate) async fn while_writing<T>(
    pool: &PgPool,
    key: &str,
    writing: impl Future<Output = T>,
) -> T {
    tokio::pin!(writing);
    let mut lease = interval(LEASE / 4);
    // The first tick would be immediate.
    lease.reset();
    loop {
        tokio::select! {
            written = &mut writing => return written,
            _ = lease.tick() => {
                // If renewal fails, the next one may succeed.
                if let Err(error) = expect_file(pool, key).await {
                    tracing::warn!(%error, "the lease of a file that is being written could not be renewed");
                }
            }
        }
    }
}

/// Undoes [`expect_file`], in the transaction that adds the file to a job.
///
/// Fails if the lease has expired and a process has begun to remove the file.
pub(crate) async fn keep_file(tx: &mut PgConnection, key: &str) -> Result<()> {
    let kept = sqlx::query!(
        "delete from removals where storage_key = $1 and not is_being_removed",
        key
    )
    .execute(tx)
    .await?;
    if kept.rows_affected() == 1 {
        return Ok(());
    }
    Err(Error::Unavailable(
        "The database couldn't be reached for some time, so the file wasn't kept. Upload it again."
            .to_owned(),
    ))
}

/// Queues the file under `key` for removal now.
pub(crate) async fn discard_file(pool: &PgPool, key: &str) {
    let due = sqlx::query!(
        "update removals set due_at = now(), is_leased = false where storage_key = $1",
        key
    )
    .execute(pool)
    .await;
    if let Err(error) = due {
        tracing::debug!(%error, "an orphaned file stays until its lease expires");
    }
}

/// Queues these files, which nothing refers to, for removal.
pub(crate) async fn remove_unknown(
    database: impl PgExecutor<'_>,
    keys: &HashSet<String>,
) -> sqlx::Result<()> {
    let keys: Vec<String> = keys.iter().cloned().collect();
    sqlx::query!(
        "insert into removals (storage_key) select key from unnest($1::text[]) as files (key)
         on conflict (storage_key) do nothing",
        &keys
    )
    .execute(database)
    .await?;
    Ok(())
}

/// Returns and locks an entry that can be removed now and that no other process is handling.
pub(crate) async fn next(tx: &mut PgConnection) -> sqlx::Result<Option<Entry>> {
    sqlx::query_as!(
        Entry,
        "select id, storage_key, result_id, is_leased from removals where due_at <= now()
         order by id limit 1 for update skip locked"
    )
    .fetch_optional(tx)
    .await
}

/// Returns the number of entries that can be removed now.
pub(crate) async fn due(database: impl PgExecutor<'_>) -> sqlx::Result<u64> {
    let due =
        sqlx::query_scalar!(r#"select count(*) as "count!" from removals where due_at <= now()"#)
            .fetch_one(database)
            .await?;
    Ok(u64::try_from(due).unwrap_or_default())
}

/// Notes that the file of this entry is about to be removed, outside of the transaction, because a store may take long
/// to respond. Nobody can keep the file from now on. If the entry isn't [`done`] within a minute, the file is removed
/// again.
pub(crate) async fn begin_removal(tx: &mut PgConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "update removals set is_being_removed = true, due_at = now() + interval '1 minute' where id = $1",
        id
    )
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn done(database: impl PgExecutor<'_>, id: i64) -> sqlx::Result<()> {
    sqlx::query!("delete from removals where id = $1", id)
        .execute(database)
        .await?;
    Ok(())
}

/// Ends a lease that wasn't renewed in time. The file is removed unless its writer renews the lease now.
pub(crate) async fn end_lease(tx: &mut PgConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "update removals set due_at = now() + $2 * interval '1 second', is_leased = false where id = $1",
        id,
        LEASE.as_secs_f64()
    )
    .execute(tx)
    .await?;
    Ok(())
}
