//! The deletion queue: every query on the table `removals`.
//!
//! That something is to be removed is recorded in the transaction that makes it invisible, so a process that dies leaves
//! nothing behind for good. `maintenance::sweep` removes it.

use std::{collections::HashSet, time::Duration};

use sqlx::{PgConnection, PgExecutor, PgPool};
use tokio::time::interval;

use crate::Result;

/// How long a file that is being written is left alone after its writer was last heard of.
const LEASE: Duration = Duration::from_secs(60);

/// A removal that is due.
pub(crate) struct Removal {
    pub id: i64,
    pub storage_key: Option<String>,
    pub result_id: Option<i64>,
}

/// Records that the file under `key` is an orphan unless [`keep_file`] says otherwise.
pub(crate) async fn expect_file(database: impl PgExecutor<'_>, key: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into removals (storage_key, due_at) values ($1, now() + $2 * interval '1 second')
         on conflict (storage_key) do update set due_at = excluded.due_at",
        key,
        LEASE.as_secs_f64()
    )
    .execute(database)
    .await?;
    Ok(())
}

/// Does what writes the file under `key`, and keeps it from being taken for an orphan meanwhile.
pub(crate) async fn while_writing<T>(
    pool: &PgPool,
    key: &str,
    writing: impl Future<Output = T>,
) -> T {
    tokio::pin!(writing);
    let mut lease = interval(LEASE / 4);
    // The first tick is at once.
    lease.reset();
    loop {
        tokio::select! {
            written = &mut writing => return written,
            _ = lease.tick() => {
                // Where it fails, the next one may succeed.
                if let Err(error) = expect_file(pool, key).await {
                    tracing::warn!(%error, "the lease of a file that is being written could not be renewed");
                }
            }
        }
    }
}

/// Takes back [`expect_file`], in the transaction that makes the file part of a job.
///
/// Fails when the lease has run out and somebody has begun to remove the file.
pub(crate) async fn keep_file(tx: &mut PgConnection, key: &str) -> Result<()> {
    let kept = sqlx::query!("delete from removals where storage_key = $1", key)
        .execute(tx)
        .await?;
    if kept.rows_affected() == 1 {
        return Ok(());
    }
    Err(anyhow::anyhow!("the file was given up meanwhile").into())
}

/// Makes the removal of the file under `key` due.
pub(crate) async fn discard_file(pool: &PgPool, key: &str) {
    let due = sqlx::query!(
        "update removals set due_at = now() where storage_key = $1",
        key
    )
    .execute(pool)
    .await;
    if let Err(error) = due {
        tracing::debug!(%error, "a file that nobody needs is removed when its lease has run out");
    }
}

/// Has these files removed, which belong to nothing.
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

/// A removal that is due and that nobody else is at, locked.
pub(crate) async fn next(tx: &mut PgConnection) -> sqlx::Result<Option<Removal>> {
    sqlx::query_as!(
        Removal,
        "select id, storage_key, result_id from removals where due_at <= now()
         order by id limit 1 for update skip locked"
    )
    .fetch_optional(tx)
    .await
}

/// How many removals are due.
pub(crate) async fn due(database: impl PgExecutor<'_>) -> sqlx::Result<u64> {
    let due =
        sqlx::query_scalar!(r#"select count(*) as "count!" from removals where due_at <= now()"#)
            .fetch_one(database)
            .await?;
    Ok(u64::try_from(due).unwrap_or_default())
}

pub(crate) async fn done(tx: &mut PgConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query!("delete from removals where id = $1", id)
        .execute(tx)
        .await?;
    Ok(())
}

/// Has it tried again in a minute. The others must not wait for it.
pub(crate) async fn put_off(tx: &mut PgConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "update removals set due_at = now() + interval '1 minute' where id = $1",
        id
    )
    .execute(tx)
    .await?;
    Ok(())
}
