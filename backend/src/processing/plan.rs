//! The first step: one pass over the stored file on several cores. It checks the header, cuts the file into chunks at
//! record boundaries, numbers the rows, finds repeated ids and writes the id index.

use std::{
    io::{self, Read},
    num::NonZero,
    ops::Range,
    sync::Arc,
    thread,
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::task::spawn_blocking;
use uuid::Uuid;
use validator::{
    ChunkRange, CompletedFormat, Container, EncodingProbe, EncodingProof, FileError, Head, HeadEnd,
    IdHasher, Plan, PlanSink, Planner, RowId, ScannedSlice, scan_slice,
};

use super::{
    StepError,
    applied::{self, Text},
    begin,
    content::{self, Content},
    duplicates::{Duplicates, IdPartition, IdTable, Resolved},
    tries::{Try, done_meanwhile},
};
use crate::{
    Backend, Storage, database, deletion_queue,
    jobs::{
        query::{self, IdIndex, Work},
        transition::{self, Planned},
    },
    ledger,
    results::id_index,
    storage::{BLOCK_BYTES, CheckedFile, SliceReader},
    temporal::Attempt,
    traces,
};

/// Limits on the size of a slice, which is otherwise a 32nd of the file. Slices are small enough that progress moves
/// several times a second and a crash costs little, and large enough that the cost per chunk is negligible.
const SLICE_BYTES: std::ops::RangeInclusive<u64> = (1 << 20)..=(2 << 20);

/// The maximum number of slices that are scanned at the same time. With its ids, each may take 18 MiB. Four cores scan
/// several gigabytes per second, more than the storage delivers.
const MAX_LANES: usize = 4;

/// Begins the attempt, and plans its file unless that was done before. Returns the numbers of the chunks to validate,
/// which excludes those that are already committed.
pub async fn plan(backend: &Backend, attempt: Attempt) -> Result<Vec<Range<u32>>, StepError> {
    begin(backend, attempt, None).await?;
    let work = query::work(&backend.pool, attempt)
        .await?
        .ok_or(StepError::Outdated)?;
    if work.is_planned {
        // An earlier try of this step got this far, or the attempt before a pause.
        return Ok(ledger::remaining(&backend.pool, work.result_id).await?);
    }
    let begun = Try::begin(backend, attempt, &work).await?;
    let chunks = read_and_store(backend, attempt, &work, begun).await?;
    Ok(Vec::from_iter((chunks > 0).then_some(0..chunks)))
}

async fn read_and_store(
    backend: &Backend,
    attempt: Attempt,
    work: &Work,
    begun: Try,
) -> Result<u32, StepError> {
    let chosen = applied::by_choice(&backend.pool, work).await?;
    let given_sheet = work.format.0.sheet.as_deref();
    let sheet = given_sheet.or_else(|| chosen.as_ref()?.format.sheet.as_deref());
    let mut content = content::of(backend, attempt, work, sheet).await?;
    // The sheet of the corrected file has another name in a download.
    if work.corrected_sheet().is_some()
        && given_sheet == work.corrected_sheet()
        && content
            .as_ref()
            .is_err_and(|it| it.code() == "format.sheet")
    {
        content = content::of(backend, attempt, work, None).await?;
    }
    let content = match content {
        Ok(content) => content,
        Err(error) => {
            let name = chosen.as_ref().map(|chosen| chosen.name.as_str());
            return Err(StepError::refused(&backend.pool, attempt, &error, name).await);
        }
    };
    let text = StoredText {
        storage: &backend.storage,
        content: &content,
    };
    let applied = applied::apply(&backend.pool, work, chosen, &text).await?;
    let (name, format) = (applied.name.as_deref(), &applied.format);
    let scanned = match scan(&backend.storage, (&content.file, content.bytes), format).await? {
        Ok(scanned) => scanned,
        Err(error) => return Err(StepError::refused(&backend.pool, attempt, &error, name).await),
    };
    let chunks = scanned.chunks.len();
    // Until the plan is stored, nothing refers to the index. It is removed if that doesn't happen.
    let index_key = format!("{}.{}.ids", work.storage_key, Uuid::new_v4());
    deletion_queue::expect_file(&backend.pool, &index_key).await?;
    let hash_key = id_index::encode_key(scanned.hash_key);
    let index = IdIndex {
        storage_key: index_key,
        hash_key,
        entries: scanned.ids.entries(),
    };
    let write = write_index(&backend.storage, &index, scanned.ids, scanned.plan.rows);
    let duplicates =
        deletion_queue::while_writing(&backend.pool, &index.storage_key, write).await?;
    let planned = Planned {
        layout: &scanned.plan.layout,
        reading: &scanned.plan.reading,
        applied_format: name,
        id_index: Some(&index),
        rows: scanned.plan.rows - scanned.plan.ignored,
        chunks,
    };
    let store = async {
        let mut tx = database::begin(&backend.pool).await?;
        deletion_queue::keep_file(&mut tx, &index.storage_key).await?;
        if !transition::planned(&mut tx, attempt, &planned).await? {
            return Err(done_meanwhile());
        }
        ledger::insert(&mut tx, work.result_id, duplicates.by_chunk(scanned.chunks)).await?;
        transition::announce(&mut tx, attempt).await?;
        Ok(tx.commit().await?)
    };
    traces::statement("insert", "job_chunks", store).await?;
    begun.stored();
    Ok(chunks as u32)
}

struct StoredText<'a> {
    storage: &'a Storage,
    content: &'a Content,
}

impl Text for StoredText<'_> {
    fn container(&self) -> Option<Container> {
        self.content.container
    }

    fn sheet(&self) -> Option<&str> {
        self.content.sheet.as_deref()
    }

    async fn head(&self) -> Result<Bytes, StepError> {
        let head = 0..self.content.bytes.min(applied::HEAD_BYTES);
        Ok(self.storage.read(&self.content.file, head).await?)
    }

    async fn prove(&self, mut proof: EncodingProof) -> Result<EncodingProof, StepError> {
        let (file, bytes) = (&self.content.file, self.content.bytes);
        let mut slices = self.storage.slices(file, bytes, *SLICE_BYTES.start());
        while proof.is_open()
            && let Some((_, slice)) = slices.next().await?
        {
            proof.push(&slice);
        }
        Ok(proof)
    }
}

struct Scanned {
    plan: Plan,
    chunks: Vec<ChunkRange>,
    ids: IdTable,
    hash_key: [u8; 16],
}

/// Collects the chunks and ids. Keeps an error of the temporary files for the end.
struct Collector {
    chunks: Vec<ChunkRange>,
    ids: IdTable,
    trouble: io::Result<()>,
}

impl PlanSink for Collector {
    fn chunk(&mut self, chunk: ChunkRange, ids: Vec<RowId>) {
        if self.trouble.is_ok() {
            self.trouble = self.ids.insert(&chunk, &ids);
        }
        self.chunks.push(chunk);
    }
}

/// Returns a secret key, so that nobody can choose ids whose hashes collide.
pub(super) fn random_key() -> [u8; 16] {
    Uuid::new_v4().into_bytes()
}

fn lanes() -> usize {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    cores.min(MAX_LANES)
}

/// Scans the file. The inner error says why it can't be read.
async fn scan(
    storage: &Storage,
    (file, bytes): (&CheckedFile, u64),
    format: &CompletedFormat,
) -> Result<Result<Scanned, FileError>, StepError> {
    let slice_bytes = (bytes / 32).clamp(*SLICE_BYTES.start(), *SLICE_BYTES.end());
    // Whole blocks, so that none is read twice for its checksum.
    let slice_bytes = slice_bytes / BLOCK_BYTES * BLOCK_BYTES;
    let mut slices = storage.slices(file, bytes, slice_bytes);
    let (head, first) = match read_head(&mut slices, format).await? {
        Ok(read) => read,
        Err(error) => return Ok(Err(error)),
    };
    let layout = Arc::new(head.layout.clone());
    let rows_start = head.rows_start;
    let hash_key = random_key();
    let hasher = IdHasher::new(hash_key);
    let mut planner = Planner::new(head, hasher.clone());
    let mut collector = Collector {
        chunks: Vec::new(),
        ids: IdTable::new(),
        trouble: Ok(()),
    };
    // One more slice than those that are scanned is being read, and one merged.
    let read_first = stream::iter(first.into_iter().map(Ok));
    let scan = |(start, slice): (u64, Bytes)| {
        let (layout, hasher) = (layout.clone(), hasher.clone());
        let is_first = start == rows_start;
        async move {
            spawn_blocking(move || {
                let scanned = scan_slice(&layout, &hasher, start, is_first, &slice);
                (scanned, slice)
            })
            .await
            .map_err(StepError::from)
        }
    };
    let scanned = read_first
        .chain(slices.stream(lanes()).map_err(StepError::from))
        .map_ok(scan)
        .try_buffered(lanes() + 1);
    futures::pin_mut!(scanned);
    while let Some((slice, bytes)) = scanned.try_next().await? {
        (planner, collector) =
            spawn_blocking(move || put_together(planner, collector, slice, &bytes)).await?;
        std::mem::replace(&mut collector.trouble, Ok(())).map_err(spilled)?;
    }
    let plan = planner.finish(&mut collector);
    collector.trouble.map_err(spilled)?;
    Ok(plan.map(|plan| Scanned {
        plan,
        chunks: collector.chunks,
        ids: collector.ids,
        hash_key,
    }))
}

fn put_together(
    mut planner: Planner,
    mut collector: Collector,
    slice: ScannedSlice,
    bytes: &[u8],
) -> (Planner, Collector) {
    planner.push(slice, bytes, &mut collector);
    (planner, collector)
}

/// Reads slices up to the end of the header and returns what follows it. The inner error says why the file can't be
/// read.
async fn read_head(
    slices: &mut SliceReader,
    format: &CompletedFormat,
) -> Result<Result<(HeadEnd, Vec<(u64, Bytes)>), FileError>, StepError> {
    let mut head = Head::new(format.clone());
    let mut read = Vec::new();
    let end = loop {
        let Some((start, slice)) = slices.next().await? else {
            break head.finish();
        };
        let end = head.push(&slice).transpose();
        read.push((start, slice));
        if let Some(end) = end {
            break end;
        }
    };
    let end = match end {
        Ok(end) => end,
        Err(error) if error.questions().is_empty() => return Ok(Err(error)),
        Err(error) => {
            let mut probe = EncodingProbe::new(format.format());
            read.iter().for_each(|(_, slice)| probe.push(slice));
            while let Some((_, slice)) = slices.next().await? {
                probe.push(&slice);
            }
            return Ok(Err(probe.finish(error)));
        }
    };
    let after_header = read
        .into_iter()
        .filter_map(|(start, slice)| {
            let skipped = end.rows_start.saturating_sub(start);
            let rest = slice.get(usize::try_from(skipped).ok()?..)?;
            (!rest.is_empty()).then(|| (start + skipped, slice.slice_ref(rest)))
        })
        .collect();
    Ok(Ok((end, after_header)))
}

/// Resolves the ids and stores the index.
async fn write_index(
    storage: &Storage,
    index: &IdIndex,
    ids: IdTable,
    rows: u64,
) -> Result<Duplicates, StepError> {
    let mut bucket_entries = vec![0; 1 << id_index::bucket_bits(index.entries)];
    let mut duplicates = Duplicates::new(rows);
    let resolved = stream::iter(ids.into_groups())
        .map(|group| spawn_blocking(move || resolve(group)))
        .buffered(lanes());
    futures::pin_mut!(resolved);
    let mut upload = storage.upload(&index.storage_key).await?;
    let written = async {
        while let Some(group) = resolved.next().await {
            for mut partition in group?.map_err(spilled)? {
                duplicates.insert(&mut partition).map_err(spilled)?;
                let first = partition.first_bucket;
                for (bucket, entries) in bucket_entries[first..]
                    .iter_mut()
                    .zip(&partition.bucket_entries)
                {
                    *bucket += entries;
                }
                copy_index(&mut partition, &mut upload).await?;
            }
        }
        upload.write(&id_index::directory(&bucket_entries)).await?;
        Ok::<(), StepError>(())
    }
    .await;
    match written {
        Ok(()) => upload.finish().await?,
        Err(error) => {
            upload.abort().await;
            return Err(error);
        }
    }
    Ok(duplicates)
}

fn resolve(group: Vec<IdPartition>) -> io::Result<Vec<Resolved>> {
    group.into_iter().map(IdPartition::resolve).collect()
}

async fn copy_index(
    partition: &mut Resolved,
    upload: &mut crate::storage::Upload,
) -> Result<(), StepError> {
    let mut block = Vec::new();
    loop {
        block.clear();
        let index = &mut partition.index;
        index
            .take(1 << 20)
            .read_to_end(&mut block)
            .map_err(spilled)?;
        if block.is_empty() {
            return Ok(());
        }
        upload.write(&block).await?;
    }
}

fn spilled(error: io::Error) -> StepError {
    StepError::Retry(anyhow::Error::new(error).context("temporary files of the planner"))
}
