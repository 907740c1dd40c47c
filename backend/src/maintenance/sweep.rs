//! Removes files and chunks that are no longer visible, in small steps.

use sqlx::PgPool;

use crate::{Result, Storage, database, deletion_queue, ledger};

/// Starts to process the deletion queue in the background. The response to a deletion doesn't wait for it, and if this
/// process dies, a worker continues.
pub(crate) fn sweep_soon(pool: &PgPool, storage: &Storage) {
    let (pool, storage) = (pool.clone(), storage.clone());
    tokio::spawn(async move {
        if let Err(error) = sweep(&pool, &storage).await {
            tracing::warn!(%error, "deleted data could not be removed yet");
        }
    });
}

/// Removes everything that can be removed now.
pub(super) async fn sweep(pool: &PgPool, storage: &Storage) -> Result<()> {
    while step(pool, storage).await? {}
    Ok(())
}

/// Removes some of the data in the queue. Returns whether there may be more. Skips entries that another process is
/// handling.
async fn step(pool: &PgPool, storage: &Storage) -> Result<bool> {
    let mut tx = database::begin(pool).await?;
    let Some(entry) = deletion_queue::next(&mut tx).await? else {
        return Ok(false);
    };
    if entry.is_leased {
        deletion_queue::end_lease(&mut tx, entry.id).await?;
        tx.commit().await?;
        return Ok(true);
    }
    let more = match entry.result_id {
        Some(result_id) => ledger::remove_some(&mut tx, result_id.into()).await?,
        None => false,
    };
    if more {
        tx.commit().await?;
        return Ok(true);
    }
    let Some(key) = &entry.storage_key else {
        deletion_queue::done(&mut *tx, entry.id).await?;
        tx.commit().await?;
        return Ok(true);
    };
    deletion_queue::begin_removal(&mut tx, entry.id).await?;
    tx.commit().await?;
    match storage.delete(key).await {
        Ok(()) => deletion_queue::done(pool, entry.id).await?,
        Err(error) => tracing::warn!(
            storage_key = key,
            error = format!("{error:#}"),
            "a file could not be removed; retrying in a minute"
        ),
    }
    Ok(true)
}
