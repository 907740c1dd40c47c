//! Removes what nobody can see any more: files and chunks, in small steps.

use sqlx::PgPool;

use crate::{Result, Storage, database, deletion_queue, ledger};

/// Begins to remove what is due. The answer to whoever asked for a deletion doesn't wait for it, and if
/// this process dies a worker goes on.
pub(crate) fn sweep_soon(pool: &PgPool, storage: &Storage) {
    let (pool, storage) = (pool.clone(), storage.clone());
    tokio::spawn(async move {
        if let Err(error) = sweep(&pool, &storage).await {
            tracing::warn!(%error, "what was deleted could not be removed yet");
        }
    });
}

/// Removes all that is due.
pub(super) async fn sweep(pool: &PgPool, storage: &Storage) -> Result<()> {
    while step(pool, storage).await? {}
    Ok(())
}

/// Removes a part of what is due; returns whether there may be more. What another process is removing at
/// the moment is left to it.
async fn step(pool: &PgPool, storage: &Storage) -> Result<bool> {
    let mut tx = database::begin(pool).await?;
    let Some(removal) = deletion_queue::next(&mut tx).await? else {
        return Ok(false);
    };
    let more = match removal.result_id {
        Some(result_id) => ledger::remove_some(&mut tx, result_id).await?,
        None => false,
    };
    if !more {
        let removed = match &removal.storage_key {
            Some(key) => storage.delete(key).await,
            None => Ok(()),
        };
        match removed {
            Ok(()) => deletion_queue::done(&mut tx, removal.id).await?,
            Err(error) => {
                tracing::warn!(
                    storage_key = removal.storage_key,
                    error = format!("{error:#}"),
                    "a file could not be removed; it is tried again in a minute"
                );
                deletion_queue::put_off(&mut tx, removal.id).await?;
            }
        }
    }
    tx.commit().await?;
    Ok(true)
}
