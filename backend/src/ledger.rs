//! The ledger: every query on chunks.
//!
//! It is what makes at-least-once steps exactly-once. A chunk is committed by one statement that also makes sure that
//! the attempt it belongs to is current, so however often and wherever a step is repeated, each row gets one verdict.
//!
//! **Invariant.** A committed chunk never changes. (What an earlier version has committed gets its verdicts added, once.)

use std::{io, ops::Range};

use chrono::{DateTime, NaiveDate, Utc};
use domain::{DateSpan, Problems, RowFilter};
use sqlx::{PgConnection, PgExecutor, PgPool, types::Json};
use validator::{AmountSum, ChunkRange, RowSet, Summary, Verdicts};

use crate::{Result, temporal::Attempt};

/// Chunks that one statement inserts.
const INSERT: usize = 256;

/// A chunk that is to be validated.
pub(crate) struct PlannedChunk {
    pub range: ChunkRange,
    pub duplicates: RowSet,
}

/// Inserts the chunks of a new result, none of them committed.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    result_id: i64,
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
            "insert into job_chunks (result_id, number, byte_start, byte_end, first_row, rows, duplicates)
             select $1, number, byte_start, byte_end, first_row, rows, duplicates
             from unnest($2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bytea[])
                  as chunk (number, byte_start, byte_end, first_row, rows, duplicates)",
            result_id,
            &numbers,
            &column(|chunk| chunk.start),
            &column(|chunk| chunk.end),
            &column(|chunk| chunk.first_row),
            &column(|chunk| chunk.rows.into()),
            &duplicates
        )
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// The chunks that are not committed, neighbours put together.
pub(crate) async fn remaining(
    database: impl PgExecutor<'_>,
    result_id: i64,
) -> sqlx::Result<Vec<Range<u32>>> {
    let ranges = sqlx::query!(
        r#"select min(number) as "first!", max(number) as "last!"
           from (select number, number - row_number() over (order by number) as island
                 from job_chunks where result_id = $1 and committed_at is null) as remaining
           group by island order by 1"#,
        result_id
    )
    .fetch_all(database)
    .await?;
    Ok(ranges
        .into_iter()
        .map(|range| range.first as u32..range.last as u32 + 1)
        .collect())
}

/// A chunk to validate.
pub(crate) struct OpenChunk {
    pub number: i32,
    pub byte_start: i64,
    pub byte_end: i64,
    pub duplicates: Vec<u8>,
}

/// Those of these chunks that are not committed, in the order of the file.
pub(crate) async fn open_chunks(
    database: impl PgExecutor<'_>,
    result_id: i64,
    numbers: &Range<u32>,
) -> sqlx::Result<Vec<OpenChunk>> {
    sqlx::query_as!(
        OpenChunk,
        "select number, byte_start, byte_end, duplicates from job_chunks
         where result_id = $1 and number >= $2 and number < $3 and committed_at is null
         order by number",
        result_id,
        numbers.start as i32,
        numbers.end as i32
    )
    .fetch_all(database)
    .await
}

/// A chunk with its verdicts.
pub(crate) struct ValidatedChunk {
    pub number: u32,
    pub summary: Summary,
    pub verdicts: Verdicts,
}

/// Commits chunks of an attempt's result, unless they are committed or the attempt isn't current. Returns the numbers of
/// those that it has committed.
pub(crate) async fn commit(
    database: impl PgExecutor<'_>,
    attempt: Attempt,
    chunks: &[ValidatedChunk],
) -> sqlx::Result<Vec<i32>> {
    let columns = Columns::of(chunks);
    // The job's row is locked before the chunks, and a change of the job waits for that: see `jobs::transition`.
    sqlx::query_scalar!(
        "with job as materialized (
             select result_id from jobs where id = $1 and run = $2 and status = 'processing' for share
         )
         update job_chunks as stored
         set verdicts = chunk.verdicts, duplicates = '', valid_records = chunk.valid, invalid_records = chunk.invalid,
             suspicious_records = chunk.suspicious, problems = chunk.problems,
             valid_amount = chunk.amount::numeric, first_date = chunk.first_date, last_date = chunk.last_date,
             committed_at = clock_timestamp()
         from job, unnest($3::integer[], $4::bytea[], $5::bigint[], $6::bigint[], $7::bigint[], $8::jsonb[],
                          $9::text[], $10::date[], $11::date[])
                   as chunk (number, verdicts, valid, invalid, suspicious, problems, amount, first_date, last_date)
         where stored.result_id = job.result_id and stored.number = chunk.number and committed_at is null
           and stored.rows = chunk.valid + chunk.invalid
         returning stored.number",
        attempt.job_id,
        attempt.number as i32,
        &columns.numbers,
        &columns.verdicts,
        &columns.valid,
        &columns.invalid,
        &columns.suspicious,
        &columns.problems,
        &columns.amounts,
        &columns.first_dates as &[Option<NaiveDate>],
        &columns.last_dates as &[Option<NaiveDate>]
    )
    .fetch_all(database)
    .await
}

/// Inserts the chunks of a new result together with their verdicts. The caller's transaction has made sure that the
/// attempt is current.
pub(crate) async fn insert_validated(
    tx: &mut PgConnection,
    result_id: i64,
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
              invalid_records, suspicious_records, problems, valid_amount, first_date, last_date, committed_at)
         select $1, number, byte_start, byte_end, first_row, valid + invalid, '', verdicts, valid, invalid, suspicious,
                problems, amount::numeric, first_date, last_date, clock_timestamp()
         from unnest($2::integer[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], $7::jsonb[], $8::text[],
                     $9::date[], $10::date[], $11::bigint[], $12::bigint[], $13::bigint[])
              as chunk (number, verdicts, valid, invalid, suspicious, problems, amount, first_date, last_date,
                        byte_start, byte_end, first_row)",
        result_id,
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
        &place(|chunk| chunk.first_row)
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Validated chunks, column by column.
struct Columns {
    numbers: Vec<i32>,
    verdicts: Vec<Vec<u8>>,
    valid: Vec<i64>,
    invalid: Vec<i64>,
    suspicious: Vec<i64>,
    problems: Vec<serde_json::Value>,
    amounts: Vec<String>,
    first_dates: Vec<Option<NaiveDate>>,
    last_dates: Vec<Option<NaiveDate>>,
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
            problems: column(chunks, |summary| {
                serde_json::to_value(summary.problems).expect("codes and numbers are JSON")
            }),
            amounts: column(chunks, |summary| summary.valid_amount.to_string()),
            first_dates: column(chunks, |summary| summary.valid_dates.map(|span| span.first)),
            last_dates: column(chunks, |summary| summary.valid_dates.map(|span| span.last)),
        }
    }
}

/// Which committed chunks are read: where they are, and their verdicts if those were asked for.
#[derive(Clone)]
pub(crate) struct CommittedChunk {
    pub number: i32,
    pub byte_start: i64,
    pub byte_end: i64,
    pub first_row: i64,
    pub rows: i64,
}

/// The committed chunks with rows under the filter, in the order of the file.
pub(crate) async fn committed(
    database: impl PgExecutor<'_>,
    result_id: i64,
    filter: RowFilter,
) -> sqlx::Result<Vec<CommittedChunk>> {
    sqlx::query_as!(
        CommittedChunk,
        "select number, byte_start, byte_end, first_row, rows from job_chunks as chunk
         where result_id = $1 and committed_at is not null and rows_under($2, chunk) > 0
         order by number",
        result_id,
        filter.as_str()
    )
    .fetch_all(database)
    .await
}

/// A chunk in which some of the rows of a page are.
pub(crate) struct WindowChunk {
    pub chunk: CommittedChunk,
    /// Rows under the filter in the chunks before it.
    pub before: u64,
    /// Rows under the filter in it.
    pub matches: u64,
}

/// Some of the rows under a filter, and how many there are in all.
pub(crate) struct Window {
    pub total: u64,
    pub chunks: Vec<WindowChunk>,
}

/// Finds the chunks with the rows `skip..skip + size` of those under the filter, counted from 0.
pub(crate) async fn window(
    database: impl PgExecutor<'_>,
    result_id: i64,
    filter: RowFilter,
    skip: u64,
    size: u32,
) -> sqlx::Result<Window> {
    // One row at least, with the total: the last chunk is always there, and left out below if the page isn't in it.
    let found = sqlx::query!(
        r#"select number as "number!", byte_start as "byte_start!", byte_end as "byte_end!",
                  first_row as "first_row!", rows as "rows!", matches as "matches!", before as "before!: i64",
                  total as "total!: i64"
           from (select number, byte_start, byte_end, first_row, rows, matches,
                        (sum(matches) over (order by number) - matches)::bigint as before,
                        (sum(matches) over ())::bigint as total,
                        row_number() over (order by number desc) as from_last
                 from (select number, byte_start, byte_end, first_row, rows, rows_under($2, chunk) as matches
                       from job_chunks as chunk where result_id = $1 and committed_at is not null) as counted
                ) as placed
           where from_last = 1 or before + matches > $3 and before < $3::bigint + $4::bigint and matches > 0
           order by number"#,
        result_id,
        filter.as_str(),
        i64::try_from(skip).unwrap_or(i64::MAX / 2),
        i64::from(size)
    )
    .fetch_all(database)
    .await?;
    let until = skip.saturating_add(size.into());
    let total = found.last().map_or(0, |last| last.total as u64);
    let chunks = found
        .into_iter()
        .map(|found| WindowChunk {
            before: found.before as u64,
            matches: found.matches as u64,
            chunk: CommittedChunk {
                number: found.number,
                byte_start: found.byte_start,
                byte_end: found.byte_end,
                first_row: found.first_row,
                rows: found.rows,
            },
        })
        .filter(|found| found.before + found.matches > skip && found.before < until)
        .filter(|found| found.matches > 0)
        .collect();
    Ok(Window { total, chunks })
}

/// The committed chunks that have these rows, in the order of the file.
pub(crate) async fn with_rows(
    database: impl PgExecutor<'_>,
    result_id: i64,
    rows: &[u64],
) -> sqlx::Result<Vec<CommittedChunk>> {
    let rows: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
    sqlx::query_as!(
        CommittedChunk,
        r#"select distinct on (number) number as "number!", byte_start as "byte_start!", byte_end as "byte_end!",
                  first_row as "first_row!", chunk.rows as "rows!"
           from unnest($2::bigint[]) as wanted (row)
           cross join lateral (
               select number, byte_start, byte_end, first_row, rows, committed_at from job_chunks
               where result_id = $1 and first_row <= wanted.row order by number desc limit 1
           ) as chunk
           where committed_at is not null and wanted.row < first_row + chunk.rows
           order by number"#,
        result_id,
        &rows
    )
    .fetch_all(database)
    .await
}

/// How many of the rows before this one have their verdict, and how many rows have it in all.
pub(crate) async fn rows_before(
    database: impl PgExecutor<'_>,
    result_id: i64,
    row: u64,
) -> sqlx::Result<(u64, u64)> {
    let found = sqlx::query!(
        r#"select coalesce(sum(greatest(least(rows, $2 - first_row), 0)), 0)::bigint as "before!",
                  coalesce(sum(rows), 0)::bigint as "all!"
           from job_chunks where result_id = $1 and committed_at is not null"#,
        result_id,
        row as i64
    )
    .fetch_one(database)
    .await?;
    Ok((found.before as u64, found.all as u64))
}

/// The encoded verdicts on a committed chunk, and its encoded duplicates, which count where there are no verdicts.
pub(crate) struct StoredVerdicts {
    pub verdicts: Option<Vec<u8>>,
    pub duplicates: Vec<u8>,
}

/// What was committed of these chunks, in the order of the file. Those of a result that is gone are left out.
pub(crate) async fn verdicts(
    database: impl PgExecutor<'_>,
    result_id: i64,
    numbers: &[i32],
) -> sqlx::Result<Vec<StoredVerdicts>> {
    sqlx::query_as!(
        StoredVerdicts,
        "select verdicts, duplicates from job_chunks
         where result_id = $1 and number = any($2) and committed_at is not null
         order by number",
        result_id,
        numbers
    )
    .fetch_all(database)
    .await
}

/// What the committed rows amount to.
pub(crate) struct Sums {
    pub problems: Problems,
    pub valid_amount: AmountSum,
    pub valid_dates: Option<DateSpan>,
    /// When each chunk was committed, in that order, and its rows.
    pub commits: Vec<(DateTime<Utc>, u64)>,
}

pub(crate) async fn sums(tx: &mut PgConnection, result_id: i64) -> Result<Sums> {
    let sums = sqlx::query!(
        r#"select coalesce(sum(valid_amount), 0)::text as "valid_amount!", min(first_date) as first_date,
                  max(last_date) as last_date
           from job_chunks where result_id = $1 and committed_at is not null"#,
        result_id
    )
    .fetch_one(&mut *tx)
    .await?;
    let problems = sqlx::query_scalar!(
        r#"select coalesce(jsonb_object_agg(code, rows), '{}') as "problems!: Json<Problems>"
           from (select key as code, sum(value::bigint) as rows
                 from job_chunks cross join jsonb_each_text(problems)
                 where result_id = $1 and committed_at is not null
                 group by key) as counted"#,
        result_id
    )
    .fetch_one(&mut *tx)
    .await?;
    let commits = sqlx::query!(
        r#"select committed_at as "committed_at!", rows
           from job_chunks where result_id = $1 and committed_at is not null order by committed_at"#,
        result_id
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(Sums {
        problems: problems.0,
        valid_amount: sums.valid_amount.parse().map_err(anyhow::Error::new)?,
        valid_dates: sums
            .first_date
            .zip(sums.last_date)
            .map(|(first, last)| DateSpan { first, last }),
        commits: commits
            .into_iter()
            .map(|chunk| (chunk.committed_at, chunk.rows as u64))
            .collect(),
    })
}

/// Removes some chunks of a result that nobody can see any more; returns whether there may be more.
pub(crate) async fn remove_some(tx: &mut PgConnection, result_id: i64) -> sqlx::Result<bool> {
    const TOGETHER: i64 = 1000;
    let removed = sqlx::query!(
        "delete from job_chunks
         where result_id = $1
           and number in (select number from job_chunks where result_id = $1 order by number limit $2)",
        result_id,
        TOGETHER
    )
    .execute(tx)
    .await?;
    Ok(removed.rows_affected() == TOGETHER as u64)
}

/// A chunk that an earlier version has committed, without verdicts.
pub(crate) struct OldChunk {
    pub result_id: i64,
    pub number: i32,
    pub byte_start: i64,
    pub byte_end: i64,
    pub duplicates: Vec<u8>,
}

/// Some of the chunks that an earlier version has committed and that nobody is deriving the verdicts of, locked: the next
/// ones after a result and a number.
pub(crate) async fn old_chunks(
    tx: &mut PgConnection,
    (result_id, number): (i64, i32),
) -> sqlx::Result<Vec<OldChunk>> {
    sqlx::query_as!(
        OldChunk,
        "select result_id, number, byte_start, byte_end, duplicates from job_chunks
         where committed_at is not null and verdicts is null and (result_id, number) > ($1, $2)
         order by result_id, number limit 4 for update skip locked",
        result_id,
        number
    )
    .fetch_all(tx)
    .await
}

/// Adds the verdicts to a chunk that an earlier version has committed.
pub(crate) async fn add_verdicts(
    tx: &mut PgConnection,
    chunk: &OldChunk,
    verdicts: &Verdicts,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update job_chunks set verdicts = $3, duplicates = ''
         where result_id = $1 and number = $2 and committed_at is not null and verdicts is null and rows = $4",
        chunk.result_id,
        chunk.number,
        verdicts.encode(),
        i64::from(verdicts.rows())
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// How many rows an attempt's result lacks; `None` if the attempt isn't current.
pub(crate) async fn missing_rows(pool: &PgPool, attempt: Attempt) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        r#"select total_records - coalesce((select sum(rows) from job_chunks
                where job_chunks.result_id = jobs.result_id and committed_at is not null), 0)::bigint as "rows!"
           from jobs where id = $1 and run = $2 and status = 'processing'"#,
        attempt.job_id,
        attempt.number as i32
    )
    .fetch_optional(pool)
    .await
}
