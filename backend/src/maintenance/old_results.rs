//! Derives the verdicts of chunks that were committed by a version without verdicts in the ledger.
//!
//! Until a chunk's turn comes, its readers derive them for themselves (`results::reader`), so nothing waits for this.

use domain::ResultId;
use sqlx::PgPool;
use tokio::task::spawn_blocking;
use validator::{RowSet, validate_chunk};

use crate::{
    Result, Storage, jobs,
    ledger::{self, OldChunk},
};

/// Derives the missing verdicts, except those of the results in `differing`. A chunk that can't be read is left for the
/// next round.
///
/// Committed counts remain true. A result whose derived verdicts differ from them gets none, and is added to
/// `differing`: only another version could do better.
pub(super) async fn derive(
    pool: &PgPool,
    storage: &Storage,
    differing: &mut Vec<ResultId>,
) -> Result<()> {
    let mut after = (ResultId::from(0), 0);
    loop {
        let chunks = ledger::old_chunks(pool, after, differing).await?;
        let Some(last) = chunks.last() else {
            return Ok(());
        };
        after = (last.result_id, last.number);
        for chunk in chunks {
            if !differing.contains(&chunk.result_id)
                && derive_one(pool, storage, &chunk).await? == Derived::Differs
            {
                differing.push(chunk.result_id);
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum Derived {
    /// The verdicts are stored, or can't be now.
    Done,
    /// The verdicts differ from the committed counts.
    Differs,
}

async fn derive_one(pool: &PgPool, storage: &Storage, chunk: &OldChunk) -> Result<Derived> {
    let source = jobs::query::source_of_result(pool, chunk.result_id).await?;
    // A result that is being removed no longer has a job.
    let Some(source) = source else {
        return Ok(Derived::Done);
    };
    let range = chunk.byte_start as u64..chunk.byte_end as u64;
    let bytes = match storage.read(&source.file()?, range).await {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::warn!(%error, storage_key = source.storage_key, "an old result can't be read");
            return Ok(Derived::Done);
        }
    };
    let duplicates = RowSet::decode(&chunk.duplicates).map_err(anyhow::Error::new)?;
    let (summary, verdicts) =
        spawn_blocking(move || validate_chunk(&source.layout, &bytes, &duplicates))
            .await
            .map_err(anyhow::Error::new)?;
    let (committed, derived) = (chunk.counts(), (summary.counts, &summary.problems));
    if derived != committed {
        tracing::error!(
            job_id = source.job_id,
            chunk = chunk.number,
            ?committed,
            ?derived,
            "the verdicts of an old result can't be derived: they differ from its counts"
        );
        return Ok(Derived::Differs);
    }
    ledger::add_verdicts(pool, chunk, &verdicts).await?;
    Ok(Derived::Done)
}
