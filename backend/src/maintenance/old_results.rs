//! Derives the verdicts of chunks that were committed by a version without verdicts in the ledger.
//!
//! Until a chunk's turn comes, its readers derive them for themselves (`results::reader`), so nothing waits for this.

use sqlx::{PgConnection, PgPool};
use tokio::task::spawn_blocking;
use validator::{RowSet, validate_chunk};

use crate::{
    Result, Storage, database, jobs,
    ledger::{self, OldChunk},
};

/// Derives the missing verdicts. A chunk that can't be read is left for the next round.
pub(super) async fn derive(pool: &PgPool, storage: &Storage) -> Result<()> {
    let mut after = (0, 0);
    loop {
        let mut tx = database::begin(pool).await?;
        let chunks = ledger::old_chunks(&mut tx, after).await?;
        let Some(last) = chunks.last() else {
            return Ok(());
        };
        after = (last.result_id, last.number);
        for chunk in chunks {
            derive_one(&mut tx, storage, &chunk).await?;
        }
        tx.commit().await?;
    }
}

async fn derive_one(tx: &mut PgConnection, storage: &Storage, chunk: &OldChunk) -> Result<()> {
    let source = jobs::query::source_of_result(&mut *tx, chunk.result_id).await?;
    // A result that is being removed no longer has a job.
    let Some(source) = source else { return Ok(()) };
    let range = chunk.byte_start as u64..chunk.byte_end as u64;
    let bytes = match storage.read(&source.file()?, range).await {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::warn!(%error, storage_key = source.storage_key, "an old result can't be read");
            return Ok(());
        }
    };
    let duplicates = RowSet::decode(&chunk.duplicates).map_err(anyhow::Error::new)?;
    let (_, verdicts) = spawn_blocking(move || validate_chunk(&source.layout, &bytes, &duplicates))
        .await
        .map_err(anyhow::Error::new)?;
    Ok(ledger::add_verdicts(tx, chunk, &verdicts).await?)
}
