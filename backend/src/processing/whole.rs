//! A small file as a whole: planned, validated and committed in one step.

use sqlx::types::Json;
use tokio::task::spawn_blocking;
use validator::{ChunkRange, Counts, Summary};

use super::{
    StepError,
    copy::RowBuffer,
    plan::{self, Planned, insert_chunks, under_way},
    validate::{copy, record},
};
use crate::{Backend, Run, control, jobs::JobRow, progress};

/// A file of at most so many bytes is small: a fraction of a second of work, for which steps of its own and their
/// way through Temporal would take longer than the work.
pub const SMALL_BYTES: u64 = 1 << 20;

/// Whether the job's next run processes its file as a whole. One whose chunks are planned goes on with them.
pub(crate) fn goes_whole(job: &JobRow) -> bool {
    job.bytes as u64 <= SMALL_BYTES && job.layout.is_none()
}

/// Lets the run begin unless it has, validates the whole file and commits its rows, its chunks and the end of
/// the job in one transaction; gives the counts. `workflow_id` names the workflow that asks for it.
pub async fn process_whole(
    backend: &Backend,
    run: Run,
    workflow_id: Option<&str>,
) -> Result<Counts, StepError> {
    let job = match under_way(backend, run).await? {
        Some(job) => job,
        None => {
            control::begin(backend, &[run], workflow_id).await?;
            under_way(backend, run).await?.ok_or(StepError::Outdated)?
        }
    };
    let result_id = job.result_id.ok_or(StepError::Outdated)?;
    let bytes = backend
        .storage
        .read(&job.storage_key, 0..job.bytes as u64)
        .await?;
    let file = spawn_blocking(move || judge(result_id, &bytes)).await??;
    // A task of its own for the reason given in `validate_chunk`.
    tokio::spawn(commit(backend.clone(), run, result_id, file)).await?
}

/// A file with its verdicts.
struct Judged {
    planned: Planned,
    rows: Vec<u8>,
    /// Of each chunk.
    findings: Vec<Summary>,
}

fn judge(result_id: i64, bytes: &[u8]) -> Result<Judged, StepError> {
    let planned = plan::read_whole(bytes)?;
    let mut rows = RowBuffer::new(result_id, bytes.len());
    let mut judge_chunk = |(chunk, duplicates): (&ChunkRange, &Vec<u8>)| {
        validator::validate_chunk(
            &planned.layout,
            &bytes[chunk.start as usize..chunk.end as usize],
            chunk.first_row,
            &plan::unpack(chunk.first_row, duplicates),
            |row| rows.push(row),
        )
    };
    let chunks = planned.chunks.iter().zip(&planned.duplicates);
    let findings = chunks.map(&mut judge_chunk).collect();
    Ok(Judged {
        rows: rows.finish(),
        findings,
        planned,
    })
}

async fn commit(
    backend: Backend,
    run: Run,
    result_id: i64,
    file: Judged,
) -> Result<Counts, StepError> {
    let counts = sum(&file.findings);
    let mut tx = backend.pool.begin().await?;
    copy(&mut tx, file.rows).await?;
    // Of several attempts the first to get here wins: another one waits for its commit, then finds the job
    // completed, and its own rows are rolled back.
    let job = sqlx::query_as!(
        JobRow,
        "update jobs
         set status = 'completed', layout = $3, total_records = $4, processed_records = $5::bigint + $6::bigint,
             valid_records = $5, invalid_records = $6, suspicious_records = $7, total_batches = $8,
             batch_completed = $8, finished_at = clock_timestamp(), updated_at = clock_timestamp(),
             version = version + 1
         where id = $1 and run = $2 and status = 'processing' and layout is null
         returning *",
        run.job_id,
        run.run as i32,
        Json(&file.planned.layout) as _,
        file.planned.rows as i64,
        counts.valid as i64,
        counts.invalid as i64,
        counts.suspicious as i64,
        file.planned.chunks.len() as i32
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(StepError::Outdated)?;
    insert_chunks(&mut tx, result_id, &file.planned).await?;
    for (chunk, findings) in file.planned.chunks.iter().zip(&file.findings) {
        record(&mut tx, result_id, chunk.number, findings).await?;
    }
    progress::commit(tx, [job]).await?;
    Ok(counts)
}

fn sum(findings: &[Summary]) -> Counts {
    findings
        .iter()
        .fold(Counts::default(), |sum, Summary { counts, .. }| Counts {
            processed: sum.processed + counts.processed,
            valid: sum.valid + counts.valid,
            invalid: sum.invalid + counts.invalid,
            suspicious: sum.suspicious + counts.suspicious,
        })
}
