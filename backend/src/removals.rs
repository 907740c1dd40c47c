//! What is to be removed once nobody can see it any more: files and rows, in the background and in small
//! steps. That something is to be removed is recorded in the transaction that makes it invisible, so a
//! process that dies leaves nothing behind for good.

use std::time::Duration;

use sqlx::PgConnection;

use crate::{Backend, Result, transactions};

/// For so long an upload that has been heard of is taken to be under way.
pub(crate) const UPLOAD_LEASE: Duration = Duration::from_secs(60);

/// A removal that is due.
struct Removal {
    id: i64,
    storage_key: Option<String>,
    result_id: Option<i64>,
}

/// Records that the file under `key` is an orphan unless [`keep_file`] says otherwise.
pub(crate) async fn expect_file(backend: &Backend, key: &str) -> Result<()> {
    sqlx::query!(
        "insert into removals (storage_key, due_at) values ($1, now() + $2 * interval '1 second')
         on conflict (storage_key) do update set due_at = excluded.due_at",
        key,
        UPLOAD_LEASE.as_secs_f64()
    )
    .execute(&backend.pool)
    .await?;
    Ok(())
}

/// Takes back [`expect_file`], in the transaction in which the file gets its job.
///
/// Fails when the lease has run out and somebody has begun to remove the file.
pub(crate) async fn keep_file(tx: &mut PgConnection, key: &str) -> Result<()> {
    let kept = sqlx::query!("delete from removals where storage_key = $1", key)
        .execute(tx)
        .await?;
    if kept.rows_affected() == 1 {
        return Ok(());
    }
    Err(anyhow::anyhow!("the upload was given up meanwhile").into())
}

/// Makes the removal of the file under `key` due.
pub(crate) async fn discard_file(backend: &Backend, key: &str) {
    let due = sqlx::query!(
        "update removals set due_at = now() where storage_key = $1",
        key
    )
    .execute(&backend.pool)
    .await;
    if let Err(error) = due {
        tracing::debug!(%error, "the file of a broken upload is removed when its lease has run out");
    }
    sweep_soon(backend);
}

/// Begins to remove what is due. The answer to whoever asked for a deletion doesn't wait for it, and if
/// this process dies a worker goes on.
pub(crate) fn sweep_soon(backend: &Backend) {
    let backend = backend.clone();
    tokio::spawn(async move {
        if let Err(error) = sweep(&backend).await {
            tracing::warn!(%error, "what was deleted could not be removed yet");
        }
    });
}

/// Removes all that is due.
pub(crate) async fn sweep(backend: &Backend) -> Result<()> {
    while step(backend).await? {}
    Ok(())
}

/// Removes a part of what is due; gives whether there may be more. What another process is removing at
/// the moment is left to it.
async fn step(backend: &Backend) -> Result<bool> {
    let mut tx = backend.pool.begin().await?;
    let removal = sqlx::query_as!(
        Removal,
        "select id, storage_key, result_id from removals where due_at <= now()
         order by id limit 1 for update skip locked"
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(removal) = removal else {
        return Ok(false);
    };
    let more = match removal.result_id {
        Some(result_id) => remove_chunk(&mut tx, result_id).await?,
        None => false,
    };
    if !more {
        let removed = match &removal.storage_key {
            Some(key) => backend.storage.delete(key).await,
            None => Ok(()),
        };
        if let Err(error) = removed {
            // The others must not wait for it.
            tracing::warn!(
                storage_key = removal.storage_key,
                error = format!("{error:#}"),
                "a file could not be removed; it is tried again in a minute"
            );
            sqlx::query!(
                "update removals set due_at = now() + interval '1 minute' where id = $1",
                removal.id
            )
            .execute(&mut *tx)
            .await?;
        } else {
            sqlx::query!("delete from removals where id = $1", removal.id)
                .execute(&mut *tx)
                .await?;
        }
    }
    tx.commit().await?;
    Ok(true)
}

/// Removes one chunk of the result with its rows; gives whether there was one.
async fn remove_chunk(tx: &mut PgConnection, result_id: i64) -> Result<bool> {
    let chunk = sqlx::query!(
        "delete from job_chunks
         where result_id = $1
           and number = (select min(number) from job_chunks where result_id = $1)
         returning first_row, rows",
        result_id
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(chunk) = chunk else {
        return Ok(false);
    };
    transactions::prefer_indexes(tx).await?;
    sqlx::query!(
        "delete from transactions
         where result_id = $1 and row_number >= $2 and row_number < $2 + $3",
        result_id,
        chunk.first_row,
        chunk.rows
    )
    .execute(tx)
    .await?;
    Ok(true)
}
