//! Derives the verdicts on chunks that a version without verdicts in the ledger has committed.
//!
//! Until a chunk's turn comes its readers do the same for themselves (`results::reader`), so nothing waits for this.

use sqlx::PgPool;
use tokio::task::spawn_blocking;
use validator::{RowSet, validate_chunk};

use crate::{Result, Storage, jobs, ledger};

/// Derives verdicts until none are lacking.
pub(super) async fn derive_some(pool: &PgPool, storage: &Storage) -> Result<()> {
    loop {
        let mut tx = pool.begin().await?;
        let chunks = ledger::old_chunks(&mut tx).await?;
        if chunks.is_empty() {
            return Ok(());
        }
        for chunk in chunks {
            let source = jobs::query::source_of_result(&mut *tx, chunk.result_id).await?;
            // A result that is being removed has no job any more.
            let Some(source) = source else { return Ok(()) };
            let range = chunk.byte_start as u64..chunk.byte_end as u64;
            let bytes = storage.read(&source.storage_key, range).await?;
            let duplicates = RowSet::decode(&chunk.duplicates).map_err(anyhow::Error::new)?;
            let (_, verdicts) =
                spawn_blocking(move || validate_chunk(&source.layout, &bytes, &duplicates))
                    .await
                    .map_err(anyhow::Error::new)?;
            ledger::add_verdicts(&mut tx, &chunk, &verdicts).await?;
        }
        tx.commit().await?;
    }
}
