//! The second step, once for each chunk: validate its rows and commit them.

use sqlx::{PgConnection, types::Json};
use validator::{Counts, DateSpan, Layout, Summary};

use super::{StepError, copy::RowBuffer, plan::unpack};
use crate::{Backend, Run, jobs::JobRow, progress};

struct Chunk {
    result_id: i64,
    storage_key: String,
    layout: Json<Layout>,
    byte_start: i64,
    byte_end: i64,
    first_row: i64,
    duplicates: Vec<u8>,
    committed: bool,
}

/// Validates chunk `number` and commits its rows, its entry in the ledger and the job's counts in one
/// transaction; gives the counts. A chunk that is committed already is left alone.
pub async fn validate_chunk(
    backend: &Backend,
    run: Run,
    number: u32,
) -> Result<Option<Counts>, StepError> {
    let chunk = sqlx::query_as!(
        Chunk,
        r#"select job_chunks.result_id, storage_key, layout as "layout!: Json<Layout>", byte_start,
                  byte_end, first_row, duplicates, committed_at is not null as "committed!"
           from job_chunks join jobs on jobs.result_id = job_chunks.result_id
           where jobs.id = $1 and jobs.run = $2 and number = $3 and status = 'processing'"#,
        run.job_id,
        run.run as i32,
        number as i32
    )
    .fetch_optional(&backend.pool)
    .await?
    .ok_or(StepError::Outdated)?;
    if chunk.committed {
        return Ok(None);
    }
    let bytes = backend
        .storage
        .read(
            &chunk.storage_key,
            chunk.byte_start as u64..chunk.byte_end as u64,
        )
        .await?;
    let result_id = chunk.result_id;
    let (rows, findings) = tokio::task::spawn_blocking(move || {
        let first_row = chunk.first_row as u64;
        let duplicates = unpack(first_row, &chunk.duplicates);
        let mut rows = RowBuffer::new(result_id, bytes.len());
        let findings =
            validator::validate_chunk(&chunk.layout, &bytes, first_row, &duplicates, |row| {
                rows.push(row);
            });
        (rows.finish(), findings)
    })
    .await?;
    // A task of its own, so that it runs to its end when this step is dropped, as it is when a job is paused.
    // A `COPY` that is dropped leaves answers behind that sqlx takes for those of the connection's next statements:
    // from then on they belong to one another's askers. What comes too late is refused by the ledger.
    let counts = findings.counts;
    let commit = commit(backend.clone(), run, result_id, number, rows, findings);
    tokio::spawn(commit).await??;
    Ok(Some(counts))
}

async fn commit(
    backend: Backend,
    run: Run,
    result_id: i64,
    number: u32,
    rows: Vec<u8>,
    findings: Summary,
) -> Result<(), StepError> {
    let counts = findings.counts;
    let mut tx = backend.pool.begin().await?;
    copy(&mut tx, rows).await?;
    // Of several attempts at the same chunk the first to get here wins: another one waits for its commit,
    // then finds the chunk committed, and its own rows are rolled back. This comes last, because other
    // chunks wait from here on for the job's row.
    record(&mut tx, result_id, number, &findings).await?;
    let job = sqlx::query_as!(
        JobRow,
        "update jobs
         set processed_records = processed_records + $3 + $4, valid_records = valid_records + $3,
             invalid_records = invalid_records + $4, suspicious_records = suspicious_records + $5,
             batch_completed = batch_completed + 1, updated_at = clock_timestamp(),
             version = version + 1
         where id = $1 and run = $2 and status = 'processing'
         returning *",
        run.job_id,
        run.run as i32,
        counts.valid as i64,
        counts.invalid as i64,
        counts.suspicious as i64
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(StepError::Outdated)?;
    progress::commit(tx, [job]).await?;
    Ok(())
}

/// Stores rows.
pub(super) async fn copy(tx: &mut PgConnection, rows: Vec<u8>) -> sqlx::Result<()> {
    let mut copy = tx.copy_in_raw(RowBuffer::STATEMENT).await?;
    copy.send(rows).await?;
    copy.finish().await?;
    Ok(())
}

/// Marks a chunk as committed in the ledger, unless it is so already.
pub(super) async fn record(
    tx: &mut PgConnection,
    result_id: i64,
    number: u32,
    findings: &Summary,
) -> Result<(), StepError> {
    let counts = findings.counts;
    let recorded = sqlx::query!(
        "update job_chunks
         set valid_records = $3, invalid_records = $4, suspicious_records = $5, problems = $6,
             valid_amount = $7::text::numeric, first_date = $8, last_date = $9,
             committed_at = clock_timestamp()
         where result_id = $1 and number = $2 and committed_at is null
           and rows = $3::bigint + $4::bigint",
        result_id,
        number as i32,
        counts.valid as i64,
        counts.invalid as i64,
        counts.suspicious as i64,
        Json(&findings.problems) as _,
        findings.valid_amount.to_string(),
        findings.valid_dates.map(|DateSpan { first, .. }| first),
        findings.valid_dates.map(|DateSpan { last, .. }| last)
    )
    .execute(tx)
    .await?;
    match recorded.rows_affected() {
        1 => Ok(()),
        _ => Err(StepError::Retry(anyhow::anyhow!(
            "chunk {number} was committed meanwhile, or has not the rows that were planned"
        ))),
    }
}
