//! The second step, once for every few chunks: validates their rows and commits the verdicts.

use std::{ops::Range, sync::Arc};

use tokio::task::spawn_blocking;
use validator::RowSet;

use super::{Committed, StepError, tries::Try};
use crate::{
    Backend,
    jobs::query,
    ledger::{self, OpenChunk, ValidatedChunk},
    storage::CheckedFile,
    temporal::Attempt,
    traces,
};

/// Validates these chunks and commits their verdicts in one transaction. Skips chunks that are already committed.
/// Returns what it has committed. `is_retry` says that an earlier try may have taken its worker down.
pub async fn validate_chunks(
    backend: &Backend,
    attempt: Attempt,
    numbers: Range<u32>,
    is_retry: bool,
) -> Result<Committed, StepError> {
    let source = query::source_of_attempt(&backend.pool, attempt)
        .await?
        .ok_or(StepError::Outdated)?;
    let file = source.file()?;
    let layout = Arc::new(source.layout.0);
    let open = ledger::open_chunks(&backend.pool, source.result_id, &numbers).await?;
    let begun = match is_retry && !open.is_empty() {
        true => Some(Try::begin_chunks(backend, attempt, source.result_id, &open).await?),
        false => None,
    };
    let mut validated = Vec::with_capacity(open.len());
    let mut next = None;
    for at in 0..open.len() {
        let bytes = match next.take() {
            Some(bytes) => bytes,
            None => read(backend, &file, &open[at]).await?,
        };
        let duplicates = RowSet::decode(&open[at].duplicates)
            .map_err(|error| StepError::Defect(error.into()))?;
        let number = open[at].number as u32;
        let layout = layout.clone();
        let validating = spawn_blocking(move || {
            let (summary, verdicts) = validator::validate_chunk(&layout, &bytes, &duplicates);
            ValidatedChunk {
                number,
                summary,
                verdicts,
            }
        });
        // Reads the next chunk while this one is validated.
        if let Some(following) = open.get(at + 1) {
            next = Some(read(backend, &file, following).await?);
        }
        validated.push(validating.await?);
    }
    let committed = commit(backend, attempt, &validated).await?;
    if let Some(begun) = begun {
        begun.stored();
    }
    Ok(committed)
}

async fn read(
    backend: &Backend,
    file: &CheckedFile,
    chunk: &OpenChunk,
) -> Result<bytes::Bytes, StepError> {
    let range = chunk.byte_start as u64..chunk.byte_end as u64;
    Ok(backend.storage.read(file, range).await?)
}

async fn commit(
    backend: &Backend,
    attempt: Attempt,
    chunks: &[ValidatedChunk],
) -> Result<Committed, StepError> {
    let mut done = Committed::default();
    if chunks.is_empty() {
        return Ok(done);
    }
    // If several attempts validate the same chunk, the first one to get here wins. The others wait for its commit and
    // then find the chunk committed.
    let committed = ledger::commit(&backend.pool, attempt, chunks);
    let committed = traces::statement("update", "job_chunks", committed).await?;
    for chunk in chunks {
        if committed.contains(&(chunk.number as i32)) {
            done.counts += chunk.summary.counts;
            done.chunks += 1;
        }
    }
    if committed.len() < chunks.len() {
        if query::work(&backend.pool, attempt).await?.is_none() {
            return Err(StepError::Outdated);
        }
        return Err(StepError::Retry(anyhow::anyhow!(
            "chunks were committed meanwhile, or their rows differ from the plan"
        )));
    }
    backend.publisher.progress(attempt.job_id);
    Ok(done)
}
