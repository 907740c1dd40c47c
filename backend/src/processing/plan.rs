//! The first step: one pass over the stored file that checks its header, cuts it into chunks at
//! record boundaries, numbers the rows and finds the repeated ids.

use std::ops::Range;

use sqlx::{PgConnection, types::Json};
use tokio::task::spawn_blocking;
use validator::{ChunkRange, IdHasher, Layout, PlanSink, Planner};

use super::{StepError, duplicates::DuplicateFinder};
use crate::{Backend, Run, control, jobs::JobRow, progress};

/// Bytes read from the storage at a time.
const READ_BYTES: u64 = 4 << 20;

/// A chunk is a 32nd of its file within these bounds: small enough that the progress moves several
/// times a second and a crash costs little, large enough that the cost per chunk doesn't show.
const CHUNK_BYTES: std::ops::RangeInclusive<u64> = (1 << 20)..=(2 << 20);

/// Lets the run begin, plans its file unless that was done before, and gives the numbers of the chunks
/// that are to be validated: all but those that are committed already.
pub async fn plan(backend: &Backend, run: Run) -> Result<Vec<Range<u32>>, StepError> {
    control::begin(backend, &[run], None).await?;
    let job = under_way(backend, run).await?.ok_or(StepError::Outdated)?;
    let result_id = job.result_id.ok_or(StepError::Outdated)?;
    if job.layout.is_some() {
        // An earlier attempt got this far, or the run before a pause.
        return remaining(backend, result_id).await;
    }
    let planned = read(backend, &job.storage_key, job.bytes as u64).await?;
    store(backend, run, result_id, &planned).await?;
    let chunks = planned.chunks.len() as u32;
    Ok(Vec::from_iter((chunks > 0).then_some(0..chunks)))
}

/// The job if it is being processed in this run.
pub(super) async fn under_way(backend: &Backend, run: Run) -> sqlx::Result<Option<JobRow>> {
    sqlx::query_as!(
        JobRow,
        "select * from jobs where id = $1 and run = $2 and status = 'processing'",
        run.job_id,
        run.run as i32
    )
    .fetch_optional(&backend.pool)
    .await
}

/// The chunks without verdicts, neighbours put together.
async fn remaining(backend: &Backend, result_id: i64) -> Result<Vec<Range<u32>>, StepError> {
    let ranges = sqlx::query!(
        r#"select min(number) as "first!", max(number) as "last!"
           from (select number, number - row_number() over (order by number) as island
                 from job_chunks where result_id = $1 and committed_at is null) as remaining
           group by island order by 1"#,
        result_id
    )
    .fetch_all(&backend.pool)
    .await?;
    Ok(ranges
        .into_iter()
        .map(|range| range.first as u32..range.last as u32 + 1)
        .collect())
}

pub(super) struct Planned {
    pub layout: Layout,
    pub rows: u64,
    pub chunks: Vec<ChunkRange>,
    /// For each chunk its duplicates, as the ledger keeps them.
    pub duplicates: Vec<Vec<u8>>,
}

impl Planned {
    /// Once the planner was fed with the whole file.
    fn finish(
        planner: Planner,
        mut collector: Collector,
        mut finder: DuplicateFinder,
    ) -> Result<Self, StepError> {
        let plan = planner.finish(&mut collector)?;
        finder.insert(&collector.ids).map_err(spilled)?;
        let duplicates = finder.finish().map_err(spilled)?;
        Ok(Self {
            layout: plan.layout,
            rows: plan.rows,
            duplicates: by_chunk(&collector.chunks, &duplicates),
            chunks: collector.chunks,
        })
    }
}

struct Collector {
    hasher: IdHasher,
    /// The hashed ids of the slice that is scanned.
    ids: Vec<(u128, u64)>,
    chunks: Vec<ChunkRange>,
}

impl Collector {
    fn new() -> Self {
        Self {
            // A key that nobody can guess: ids can't be chosen so that their hashes collide.
            hasher: IdHasher::new(uuid::Uuid::new_v4().into_bytes()),
            ids: Vec::new(),
            chunks: Vec::new(),
        }
    }
}

impl PlanSink for Collector {
    fn id(&mut self, row_number: u64, id: &[u8]) {
        self.ids.push((self.hasher.hash(id), row_number));
    }

    fn chunk(&mut self, chunk: ChunkRange) {
        self.chunks.push(chunk);
    }
}

async fn read(backend: &Backend, key: &str, bytes: u64) -> Result<Planned, StepError> {
    let chunk_bytes = (bytes / 32).clamp(*CHUNK_BYTES.start(), *CHUNK_BYTES.end());
    let mut planner = Planner::new(chunk_bytes);
    let mut collector = Collector::new();
    let mut finder = DuplicateFinder::new();
    let slice = |start: u64| start..(start + READ_BYTES).min(bytes);
    let mut next = backend.storage.read(key, slice(0)).await?;
    let mut offset = next.len() as u64;
    while !next.is_empty() {
        let current = next;
        let ids = std::mem::take(&mut collector.ids);
        // While one slice is scanned, the next one is read and the ids of the one before are taken in.
        let scan = spawn_blocking(move || {
            let scanned = planner.push(&current, &mut collector);
            (planner, collector, scanned)
        });
        let insert = spawn_blocking(move || {
            let inserted = finder.insert(&ids);
            (finder, inserted)
        });
        let read = backend.storage.read(key, slice(offset));
        let (scanned, inserted, read) = tokio::join!(scan, insert, read);
        let (outcome, trouble);
        (planner, collector, outcome) = scanned?;
        (finder, trouble) = inserted?;
        outcome?;
        trouble.map_err(spilled)?;
        next = read?;
        offset += next.len() as u64;
    }
    spawn_blocking(move || Planned::finish(planner, collector, finder)).await?
}

/// Plans a file that is held in memory.
pub(super) fn read_whole(bytes: &[u8]) -> Result<Planned, StepError> {
    let mut planner = Planner::new(*CHUNK_BYTES.start());
    let mut collector = Collector::new();
    planner.push(bytes, &mut collector)?;
    Planned::finish(planner, collector, DuplicateFinder::new())
}

fn spilled(error: std::io::Error) -> StepError {
    StepError::Retry(anyhow::Error::new(error).context("temporary files of the planner"))
}

/// Distributes ascending row numbers over their chunks, packed by [`pack`].
fn by_chunk(chunks: &[ChunkRange], mut duplicates: &[u64]) -> Vec<Vec<u8>> {
    chunks
        .iter()
        .map(|chunk| {
            let end = duplicates.partition_point(|row| *row < chunk.first_row + chunk.rows);
            let (inside, rest) = duplicates.split_at(end);
            duplicates = rest;
            pack(chunk.first_row, inside)
        })
        .collect()
}

/// Row numbers relative to the first row of their chunk, as little-endian u32.
fn pack(first_row: u64, row_numbers: &[u64]) -> Vec<u8> {
    row_numbers
        .iter()
        .flat_map(|row| ((row - first_row) as u32).to_le_bytes())
        .collect()
}

/// Reads back what [`pack`] wrote.
pub(crate) fn unpack(first_row: u64, packed: &[u8]) -> Vec<u64> {
    packed
        .as_chunks()
        .0
        .iter()
        .map(|offset| first_row + u64::from(u32::from_le_bytes(*offset)))
        .collect()
}

async fn store(
    backend: &Backend,
    run: Run,
    result_id: i64,
    planned: &Planned,
) -> Result<(), StepError> {
    let mut tx = backend.pool.begin().await?;
    let job = sqlx::query_as!(
        JobRow,
        "update jobs set layout = $3, total_records = $4, total_batches = $5,
                updated_at = clock_timestamp(), version = version + 1
         where id = $1 and run = $2 and status = 'processing' and layout is null
         returning *",
        run.job_id,
        run.run as i32,
        Json(&planned.layout) as _,
        planned.rows as i64,
        planned.chunks.len() as i32
    )
    .fetch_optional(&mut *tx)
    .await?
    // Outdated, or another attempt was faster: the retry finds out which.
    .ok_or_else(|| StepError::Retry(anyhow::anyhow!("the run was planned or ended meanwhile")))?;
    insert_chunks(&mut tx, result_id, planned).await?;
    progress::commit(tx, [job]).await?;
    Ok(())
}

/// Puts the chunks into the ledger, none of them committed.
pub(super) async fn insert_chunks(
    tx: &mut PgConnection,
    result_id: i64,
    planned: &Planned,
) -> sqlx::Result<()> {
    let column = |value: fn(&ChunkRange) -> u64| -> Vec<i64> {
        planned
            .chunks
            .iter()
            .map(|chunk| value(chunk) as i64)
            .collect()
    };
    sqlx::query!(
        "insert into job_chunks
            (result_id, number, byte_start, byte_end, first_row, rows, duplicates)
         select $1, number, byte_start, byte_end, first_row, rows, duplicates
         from unnest($2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                     $7::bytea[])
              as chunk (number, byte_start, byte_end, first_row, rows, duplicates)",
        result_id,
        &planned
            .chunks
            .iter()
            .map(|chunk| chunk.number as i32)
            .collect::<Vec<_>>(),
        &column(|chunk| chunk.start),
        &column(|chunk| chunk.end),
        &column(|chunk| chunk.first_row),
        &column(|chunk| chunk.rows),
        &planned.duplicates
    )
    .execute(tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_go_to_their_chunk_and_come_back() {
        let chunk = |first_row, rows| ChunkRange {
            number: 0,
            start: 0,
            end: 0,
            first_row,
            rows,
        };
        let packed = by_chunk(
            &[chunk(1, 10), chunk(11, 5), chunk(16, 1)],
            &[2, 10, 11, 16],
        );
        let unpacked: Vec<_> = [1, 11, 16]
            .iter()
            .zip(&packed)
            .map(|(first_row, packed)| unpack(*first_row, packed))
            .collect();
        assert_eq!(unpacked, [vec![2, 10], vec![11], vec![16]]);
    }
}
