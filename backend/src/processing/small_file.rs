//! Plans, validates and commits a small file in one step.

use bytes::Bytes;
use tokio::task::spawn_blocking;
use validator::{
    ChunkRange, CompletedFormat, Container, Counts, EncodingProbe, EncodingProof, FileError, Head,
    HeadEnd, IdHasher, Layout, PlanSink, Planner, Reading, RowId, RowSet, SeenHashes, scan_slice,
    validate_chunk,
};

use super::{
    Committed, StepError,
    applied::{self, Text},
    begin,
    plan::random_key,
    tries::Try,
};
use crate::{
    Backend, database,
    jobs::{
        query,
        transition::{self, Planned},
    },
    ledger::{self, PlannedChunk, ValidatedChunk},
    saved_formats::{self, CompletedFile},
    temporal::Attempt,
    traces,
};

/// The maximum size of a small file, in bytes. It takes a fraction of a second, less than separate steps would spend on
/// their way through Temporal.
pub const SMALL_BYTES: u64 = 1 << 20;

/// Returns whether a file of this size is processed in one step.
pub(crate) fn is_small(bytes: u64) -> bool {
    bytes <= SMALL_BYTES
}

/// Begins the attempt unless it has begun, validates the whole file, and commits its chunks and the end of the job in
/// one transaction. Returns what it has committed. `workflow_id` is the workflow that runs this step.
pub async fn process_small_file(
    backend: &Backend,
    attempt: Attempt,
    workflow_id: Option<&str>,
) -> Result<Committed, StepError> {
    let work = match query::work(&backend.pool, attempt).await? {
        Some(work) => work,
        None => {
            begin(backend, attempt, workflow_id).await?;
            let work = query::work(&backend.pool, attempt).await?;
            let Some(work) = work else {
                // The attempt may be done by a process that died before it could publish that.
                backend.publisher.progress(attempt.job_id);
                return Err(StepError::Outdated);
            };
            work
        }
    };
    // Nearly every small file is done long before that, and needs no mark.
    let begun = match work.is_late || work.unfinished_plans > 0 {
        true => Some(Try::begin(backend, attempt, &work).await?),
        false => None,
    };
    let bytes = backend
        .storage
        .read(&work.file()?, 0..work.bytes as u64)
        .await?;
    let chosen = applied::by_choice(&backend.pool, &work).await?;
    let text = WholeText(&bytes);
    let applied = applied::apply(&backend.pool, &work, chosen, &text).await?;
    let name = applied.name.as_deref();
    let format = applied.format;
    let file = match spawn_blocking(move || validate_file(&bytes, format)).await? {
        Ok(file) => file,
        Err(error) => return Err(StepError::refused(&backend.pool, attempt, &error, name).await),
    };
    let mut counts = Counts::default();
    for chunk in &file.validated {
        counts += chunk.summary.counts;
    }
    let planned = Planned {
        layout: &file.layout,
        reading: &file.reading,
        applied_format: name,
        id_index: None,
        rows: counts.processed,
        chunks: file.planned.len(),
    };
    let completed = CompletedFile {
        user_id: work.user_id.into(),
        job_id: attempt.job_id,
        filename: &work.filename,
        given: file.layout.format_to_save(&work.format.0),
        chosen: work.saved_format_id.map(Into::into),
        header: file.layout.header_key(),
    };
    let store = async {
        let mut tx = database::begin(&backend.pool).await?;
        saved_formats::save_after_completion(&mut tx, &completed).await?;
        // If this step runs several times, the first one to get here wins. The others wait for its commit and then find
        // the job completed.
        if !transition::complete_small(&mut tx, attempt, &planned, counts).await? {
            return Err(StepError::Outdated);
        }
        ledger::insert_validated(&mut tx, work.result_id, &file.planned, &file.validated).await?;
        Ok(tx.commit().await?)
    };
    traces::statement("insert", "job_chunks", store).await?;
    if let Some(begun) = begun {
        begun.stored();
    }
    backend
        .publisher
        .change(attempt.job_id)
        .await
        .map_err(StepError::Retry)?;
    Ok(Committed {
        counts,
        chunks: planned.chunks as u64,
    })
}

/// The text of a file that is never a workbook.
struct WholeText<'a>(&'a Bytes);

impl Text for WholeText<'_> {
    fn container(&self) -> Option<Container> {
        None
    }

    fn sheet(&self) -> Option<&str> {
        None
    }

    async fn head(&self) -> Result<Bytes, StepError> {
        Ok(self
            .0
            .slice(..self.0.len().min(applied::HEAD_BYTES as usize)))
    }

    async fn prove(&self, mut proof: EncodingProof) -> Result<EncodingProof, StepError> {
        proof.push(self.0);
        Ok(proof)
    }
}

/// A file with its verdicts.
struct ValidatedFile {
    layout: Layout,
    reading: Reading,
    planned: Vec<PlannedChunk>,
    validated: Vec<ValidatedChunk>,
}

struct Collector {
    seen: SeenHashes,
    chunks: Vec<PlannedChunk>,
}

impl PlanSink for Collector {
    fn chunk(&mut self, range: ChunkRange, ids: Vec<RowId>) {
        let counting = ids.iter().filter(|id| id.counts());
        let duplicates: RowSet = counting
            .filter(|id| !self.seen.insert(id.hash()))
            .map(|id| id.row())
            .collect();
        self.chunks.push(PlannedChunk { range, duplicates });
    }
}

fn read_head(bytes: &[u8], format: &CompletedFormat) -> Result<HeadEnd, FileError> {
    let mut head = Head::new(format.clone());
    match head.push(bytes)? {
        Some(end) => Ok(end),
        None => head.finish(),
    }
}

fn validate_file(bytes: &[u8], format: CompletedFormat) -> Result<ValidatedFile, FileError> {
    let head = read_head(bytes, &format).map_err(|error| {
        let mut probe = EncodingProbe::new(format.format());
        probe.push(bytes);
        probe.finish(error)
    })?;
    let hasher = IdHasher::new(random_key());
    let rows_start = head.rows_start;
    let rows = &bytes[rows_start as usize..];
    let slice = scan_slice(&head.layout, &hasher, rows_start, true, rows);
    let mut planner = Planner::new(head, hasher);
    let mut collector = Collector {
        seen: SeenHashes::with_capacity(0),
        chunks: Vec::new(),
    };
    planner.push(slice, rows, &mut collector);
    let plan = planner.finish(&mut collector)?;
    let layout = plan.layout;
    let planned = collector.chunks;
    let validated = planned
        .iter()
        .map(|chunk| {
            let range = chunk.range.start as usize..chunk.range.end as usize;
            let (summary, verdicts) = validate_chunk(&layout, &bytes[range], &chunk.duplicates);
            ValidatedChunk {
                number: chunk.range.number,
                summary,
                verdicts,
            }
        })
        .collect();
    Ok(ValidatedFile {
        layout,
        reading: plan.reading,
        planned,
        validated,
    })
}
