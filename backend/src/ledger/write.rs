//! Inserts, commits and removes chunks.

use std::io;

use chrono::NaiveDate;
use domain::ResultId;
use serde_json::json;
use sqlx::{PgConnection, PgExecutor, types::Json};
use validator::{ChunkRange, Counts, Problems, RowSet, Summary, Verdicts};

use crate::temporal::Attempt;

/// The number of chunks per `insert` statement.
const INSERT: usize = 256;

/// A chunk to be validated.
pub(crate) struct PlannedChunk {
    pub range: ChunkRange,
    pub duplicates: RowSet,
}

/// Inserts the chunks of a new result, uncommitted.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    result_id: ResultId,
    chunks: impl IntoIterator<Item = io::Result<PlannedChunk>>,
) -> sqlx::Result<()> {
    let mut chunks = chunks.into_iter().peekable();
    while chunks.peek().is_some() {
        let some: Vec<PlannedChunk> = chunks.by_ref().take(INSERT).collect::<Result<_, _>>()?;
        let column = |value: fn(&ChunkRange) -> u64| -> Vec<i64> {
            some.iter()
                .map(|chunk| value(&chunk.range) as i64)
                .collect()
        };
        let numbers: Vec<i32> = some.iter().map(|chunk| chunk.range.number as i32).collect();
        let duplicates: Vec<Vec<u8>> = some.iter().map(|chunk| chunk.duplicates.encode()).collect();
        sqlx::query!(
            "insert into job_chunks (result_id, number, byte_start, byte_end, first_row, rows, duplicates, first_line)
             select $1, number, byte_start, byte_end, first_row, rows, duplicates, first_line
             from unnest($2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bytea[],
                         $8::bigint[])
                  as chunk (number, byte_start, byte_end, first_row, rows, duplicates, first_line)",
            result_id.get(),
            &numbers,
            &column(|chunk| chunk.start),
            &column(|chunk| chunk.end),
            &column(|chunk| chunk.first_row),
            &column(|chunk| chunk.rows.into()),
            &duplicates,
            &first_lines(&some) as &[Option<i64>]
        )
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

fn first_lines(chunks: &[PlannedChunk]) -> Vec<Option<i64>> {
    let first_lines = chunks.iter().map(|chunk| chunk.range.first_line);
    first_lines
        .map(|line| line.map(|line| line as i64))
        .collect()
}

/// A chunk with its verdicts.
pub(crate) struct ValidatedChunk {
    pub number: u32,
    pub summary: Summary,
    pub verdicts: Verdicts,
}

/// Commits chunks of an attempt's result, except those that are already committed. Does nothing if the attempt isn't
/// current. Returns the numbers of the chunks that it has committed.
pub(crate) async fn commit(
    database: impl PgExecutor<'_>,
    attempt: Attempt,
    chunks: &[ValidatedChunk],
) -> sqlx::Result<Vec<i32>> {
    let columns = Columns::of(chunks);
    // Locks the job's row before the chunks, and every transition of the job waits for this lock: see
    // `jobs::transition`. Commits of one job take turns. If they shared the lock, a pause would have to wait for a
    // moment without any commit, perhaps until the job's end.
    sqlx::query_scalar!(
        "with job as materialized (
             select result_id from jobs where id = $1 and run = $2 and status = 'processing'
             for no key update
         )
         update job_chunks as stored
         set verdicts = chunk.verdicts, duplicates = '', valid_records = chunk.valid, invalid_records = chunk.invalid,
             suspicious_records = chunk.suspicious, ignored_records = chunk.ignored, problems = chunk.problems,
             valid_amount = chunk.amount::numeric, first_date = chunk.first_date, last_date = chunk.last_date,
             spread = chunk.spread, committed_at = clock_timestamp()
         from job, unnest($3::integer[], $4::bytea[], $5::bigint[], $6::bigint[], $7::bigint[], $8::jsonb[],
                          $9::text[], $10::date[], $11::date[], $12::bigint[], $13::jsonb[])
                   as chunk (number, verdicts, valid, invalid, suspicious, problems, amount, first_date, last_date,
                             ignored, spread)
         where stored.result_id = job.result_id and stored.number = chunk.number and committed_at is null
           and stored.rows = chunk.valid + chunk.invalid + chunk.ignored
         returning stored.number",
        attempt.job_id.get(),
        attempt.number as i32,
        &columns.numbers,
        &columns.verdicts,
        &columns.valid,
        &columns.invalid,
        &columns.suspicious,
        &columns.problems,
        &columns.amounts,
        &columns.first_dates as &[Option<NaiveDate>],
        &columns.last_dates as &[Option<NaiveDate>],
        &columns.ignored,
        &columns.spread
    )
    .fetch_all(database)
    .await
}

/// Counts a try to validate these chunks, whose worker may die. Returns how many earlier ones of any of them didn't end,
/// or `None` if all of them are committed.
pub(crate) async fn try_begins(
    database: impl PgExecutor<'_>,
    result_id: ResultId,
    numbers: &[i32],
) -> sqlx::Result<Option<i16>> {
    sqlx::query_scalar!(
        "with begun as (
             update job_chunks set unfinished_tries = unfinished_tries + 1
             where result_id = $1 and number = any($2) and committed_at is null
             returning unfinished_tries
         )
         select max(unfinished_tries - 1)::smallint from begun",
        result_id.get(),
        numbers
    )
    .fetch_one(database)
    .await
}

/// Takes back [`try_begins`]: the try has ended, and its worker survived.
pub(crate) async fn try_ended(
    database: impl PgExecutor<'_>,
    result_id: ResultId,
    numbers: &[i32],
) -> sqlx::Result<()> {
    sqlx::query!(
        "update job_chunks set unfinished_tries = greatest(unfinished_tries - 1, 0)
         where result_id = $1 and number = any($2) and committed_at is null",
        result_id.get(),
        numbers
    )
    .execute(database)
    .await?;
    Ok(())
}

/// Inserts the chunks of a new result together with their verdicts. The caller's transaction has checked that the
/// attempt is current.
pub(crate) async fn insert_validated(
    tx: &mut PgConnection,
    result_id: ResultId,
    planned: &[PlannedChunk],
    validated: &[ValidatedChunk],
) -> sqlx::Result<()> {
    let place = |value: fn(&ChunkRange) -> u64| -> Vec<i64> {
        planned
            .iter()
            .map(|chunk| value(&chunk.range) as i64)
            .collect()
    };
    let columns = Columns::of(validated);
    sqlx::query!(
        "insert into job_chunks
             (result_id, number, byte_start, byte_end, first_row, rows, duplicates, verdicts, valid_records,
              invalid_records, suspicious_records, ignored_records, problems, valid_amount, first_date, last_date,
              committed_at, first_line, spread)
         select $1, number, byte_start, byte_end, first_row, valid + invalid + ignored, '', verdicts, valid, invalid,
                suspicious, ignored, problems, amount::numeric, first_date, last_date, clock_timestamp(), first_line,
                spread
         from unnest($2::integer[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], $7::jsonb[], $8::text[],
                     $9::date[], $10::date[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[],
                     $15::bigint[], $16::jsonb[])
              as chunk (number, verdicts, valid, invalid, suspicious, problems, amount, first_date, last_date,
                        byte_start, byte_end, first_row, ignored, first_line, spread)",
        result_id.get(),
        &columns.numbers,
        &columns.verdicts,
        &columns.valid,
        &columns.invalid,
        &columns.suspicious,
        &columns.problems,
        &columns.amounts,
        &columns.first_dates as &[Option<NaiveDate>],
        &columns.last_dates as &[Option<NaiveDate>],
        &place(|chunk| chunk.start),
        &place(|chunk| chunk.end),
        &place(|chunk| chunk.first_row),
        &columns.ignored,
        &first_lines(planned) as &[Option<i64>],
        &columns.spread
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The columns of validated chunks, one element per chunk.
struct Columns {
    numbers: Vec<i32>,
    verdicts: Vec<Vec<u8>>,
    valid: Vec<i64>,
    invalid: Vec<i64>,
    suspicious: Vec<i64>,
    ignored: Vec<i64>,
    problems: Vec<serde_json::Value>,
    amounts: Vec<String>,
    first_dates: Vec<Option<NaiveDate>>,
    last_dates: Vec<Option<NaiveDate>>,
    spread: Vec<serde_json::Value>,
}

impl Columns {
    fn of(chunks: &[ValidatedChunk]) -> Self {
        fn column<T>(chunks: &[ValidatedChunk], value: impl Fn(&Summary) -> T) -> Vec<T> {
            chunks.iter().map(|chunk| value(&chunk.summary)).collect()
        }
        Self {
            numbers: chunks.iter().map(|chunk| chunk.number as i32).collect(),
            verdicts: chunks.iter().map(|chunk| chunk.verdicts.encode()).collect(),
            valid: column(chunks, |summary| summary.counts.valid as i64),
            invalid: column(chunks, |summary| summary.counts.invalid as i64),
            suspicious: column(chunks, |summary| summary.counts.suspicious as i64),
            ignored: column(chunks, |summary| summary.counts.ignored as i64),
            problems: column(chunks, |summary| {
                serde_json::to_value(summary.problems).expect("codes and numbers are JSON")
            }),
            amounts: column(chunks, |summary| summary.valid_amount.to_string()),
            first_dates: column(chunks, |summary| summary.valid_dates.map(|span| span.first)),
            last_dates: column(chunks, |summary| summary.valid_dates.map(|span| span.last)),
            spread: column(
                chunks,
                |summary| json!({ "sizes": summary.amount_sizes, "months": summary.months }),
            ),
        }
    }
}

/// Removes some chunks of a result that is no longer visible. Returns whether there may be more.
pub(crate) async fn remove_some(tx: &mut PgConnection, result_id: ResultId) -> sqlx::Result<bool> {
    const TOGETHER: i64 = 1000;
    let removed = sqlx::query!(
        "delete from job_chunks
         where result_id = $1
           and number in (select number from job_chunks where result_id = $1 order by number limit $2)",
        result_id.get(),
        TOGETHER
    )
    .execute(tx)
    .await?;
    Ok(removed.rows_affected() == TOGETHER as u64)
}

/// A chunk that an earlier version committed without verdicts.
pub(crate) struct OldChunk {
    pub result_id: ResultId,
    pub number: i32,
    pub byte_start: i64,
    pub byte_end: i64,
    pub duplicates: Vec<u8>,
    valid_records: i64,
    invalid_records: i64,
    suspicious_records: i64,
    ignored_records: i64,
    problems: Json<Problems>,
}

impl OldChunk {
    /// Returns the numbers of rows that were committed: by verdict, and by error.
    pub fn counts(&self) -> (Counts, &Problems) {
        let counts = Counts {
            processed: (self.valid_records + self.invalid_records) as u64,
            valid: self.valid_records as u64,
            invalid: self.invalid_records as u64,
            suspicious: self.suspicious_records as u64,
            ignored: self.ignored_records as u64,
        };
        (counts, &self.problems)
    }
}

/// Returns the next chunks, after a result and a number, that an earlier version committed without verdicts. Leaves out
/// those of `except`.
pub(crate) async fn old_chunks(
    database: impl PgExecutor<'_>,
    (result_id, number): (ResultId, i32),
    except: &[ResultId],
) -> sqlx::Result<Vec<OldChunk>> {
    let except: Vec<i64> = except.iter().map(|id| id.get()).collect();
    sqlx::query_as!(
        OldChunk,
        r#"select result_id, number, byte_start, byte_end, duplicates, valid_records, invalid_records,
                  suspicious_records, ignored_records, problems as "problems: Json<Problems>"
           from job_chunks
           where committed_at is not null and verdicts is null and (result_id, number) > ($1, $2)
             and result_id <> all($3)
           order by result_id, number limit 16"#,
        result_id.get(),
        number,
        &except
    )
    .fetch_all(database)
    .await
}

/// Adds the verdicts to a chunk that an earlier version committed, unless another process has.
pub(crate) async fn add_verdicts(
    database: impl PgExecutor<'_>,
    chunk: &OldChunk,
    verdicts: &Verdicts,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update job_chunks set verdicts = $3, duplicates = ''
         where result_id = $1 and number = $2 and committed_at is not null and verdicts is null",
        chunk.result_id.get(),
        chunk.number,
        verdicts.encode()
    )
    .execute(database)
    .await?;
    Ok(())
}
