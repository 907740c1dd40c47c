//! Reads chunks.

use std::{collections::BTreeMap, ops::Range};

use chrono::{DateTime, Utc};
use domain::{DateSpan, Problems, ResultId, RowFilter};
use sqlx::{PgConnection, PgExecutor, PgPool, types::Json};
use validator::{AmountSizes, AmountSum, MAX_MONTHS, Month, Months};

use crate::{Result, temporal::Attempt};

/// Returns the chunks that aren't committed, with neighbours merged into ranges.
pub(crate) async fn remaining(
    database: impl PgExecutor<'_>,
    result_id: ResultId,
) -> sqlx::Result<Vec<Range<u32>>> {
    let ranges = sqlx::query!(
        r#"select min(number) as "first!", max(number) as "last!"
           from (select number, number - row_number() over (order by number) as island
                 from job_chunks where result_id = $1 and committed_at is null) as remaining
           group by island order by 1"#,
        result_id.get()
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
    /// The earlier tries to validate it that didn't end.
    pub unfinished_tries: i16,
}

/// Returns those of the chunks that aren't committed, in the order of the file.
pub(crate) async fn open_chunks(
    database: impl PgExecutor<'_>,
    result_id: ResultId,
    numbers: &Range<u32>,
) -> sqlx::Result<Vec<OpenChunk>> {
    sqlx::query_as!(
        OpenChunk,
        "select number, byte_start, byte_end, duplicates, unfinished_tries from job_chunks
         where result_id = $1 and number >= $2 and number < $3 and committed_at is null
         order by number",
        result_id.get(),
        numbers.start as i32,
        numbers.end as i32
    )
    .fetch_all(database)
    .await
}

/// The location of a committed chunk.
#[derive(Clone)]
pub(crate) struct CommittedChunk {
    pub number: i32,
    pub byte_start: i64,
    pub byte_end: i64,
    pub first_row: i64,
    /// `None` if an earlier version planned the chunk.
    pub first_line: Option<i64>,
    pub rows: i64,
}

impl CommittedChunk {
    /// Returns the number of the line after this many line ends, counted from the chunk's first row. `None` if either
    /// is unknown.
    pub fn line_after(&self, line_ends: Option<u32>) -> Option<u64> {
        Some(self.first_line? as u64 + u64::from(line_ends?))
    }
}

/// Returns the committed chunks with rows that match the filter, in the order of the file.
pub(crate) async fn committed(
    database: impl PgExecutor<'_>,
    result_id: ResultId,
    filter: RowFilter,
) -> sqlx::Result<Vec<CommittedChunk>> {
    sqlx::query_as!(
        CommittedChunk,
        "select number, byte_start, byte_end, first_row, first_line, rows from job_chunks as chunk
         where result_id = $1 and committed_at is not null and rows_under($2, chunk) > 0
         order by number",
        result_id.get(),
        filter.as_str()
    )
    .fetch_all(database)
    .await
}

/// A chunk that contains some of the rows of a page window.
pub(crate) struct WindowChunk {
    pub chunk: CommittedChunk,
    /// The number of rows that match the filter in the chunks before it.
    pub before: u64,
    /// The number of rows that match the filter in it.
    pub matches: u64,
}

/// A page window: some of the rows that match a filter, with their total.
pub(crate) struct Window {
    pub total: u64,
    pub chunks: Vec<WindowChunk>,
}

/// Finds the chunks with the rows `skip..skip + size` of those that match the filter, counted from 0.
pub(crate) async fn window(
    database: impl PgExecutor<'_>,
    result_id: ResultId,
    filter: RowFilter,
    skip: u64,
    size: u32,
) -> sqlx::Result<Window> {
    // Returns at least one row, for the total. The last chunk is always among them, and is dropped below if the page
    // doesn't reach it.
    let found = sqlx::query!(
        r#"select number as "number!", byte_start as "byte_start!", byte_end as "byte_end!",
                  first_row as "first_row!", first_line, rows as "rows!", matches as "matches!", before as "before!: i64",
                  total as "total!: i64"
           from (select number, byte_start, byte_end, first_row, first_line, rows, matches,
                        (sum(matches) over (order by number) - matches)::bigint as before,
                        (sum(matches) over ())::bigint as total,
                        row_number() over (order by number desc) as from_last
                 from (select number, byte_start, byte_end, first_row, first_line, rows,
                              rows_under($2, chunk) as matches
                       from job_chunks as chunk where result_id = $1 and committed_at is not null) as counted
                ) as placed
           where from_last = 1 or before + matches > $3 and before < $3::bigint + $4::bigint and matches > 0
           order by number"#,
        result_id.get(),
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
                first_line: found.first_line,
                rows: found.rows,
            },
        })
        .filter(|found| found.before + found.matches > skip && found.before < until)
        .filter(|found| found.matches > 0)
        .collect();
    Ok(Window { total, chunks })
}

/// Returns the committed chunks that contain these rows, in the order of the file.
pub(crate) async fn with_rows(
    database: impl PgExecutor<'_>,
    result_id: ResultId,
    rows: &[u64],
) -> sqlx::Result<Vec<CommittedChunk>> {
    let rows: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
    sqlx::query_as!(
        CommittedChunk,
        r#"select distinct on (number) number as "number!", byte_start as "byte_start!", byte_end as "byte_end!",
                  first_row as "first_row!", first_line, chunk.rows as "rows!"
           from unnest($2::bigint[]) as wanted (row)
           cross join lateral (
               select number, byte_start, byte_end, first_row, first_line, rows, committed_at from job_chunks
               where result_id = $1 and first_row <= wanted.row order by number desc limit 1
           ) as chunk
           where committed_at is not null and wanted.row < first_row + chunk.rows
           order by number"#,
        result_id.get(),
        &rows
    )
    .fetch_all(database)
    .await
}

/// Returns how many of the rows before this one have a verdict, and how many rows have one in total. Doesn't count
/// ignored rows, except for those before this row in its own chunk.
pub(crate) async fn rows_before(
    database: impl PgExecutor<'_>,
    result_id: ResultId,
    row: u64,
) -> sqlx::Result<(u64, u64)> {
    let found = sqlx::query!(
        r#"select coalesce(sum(case when first_row + rows <= $2 then rows_under('all', chunk)
                                    else greatest($2 - first_row, 0) end), 0)::bigint as "before!",
                  coalesce(sum(rows_under('all', chunk)), 0)::bigint as "all!"
           from job_chunks as chunk where result_id = $1 and committed_at is not null"#,
        result_id.get(),
        row as i64
    )
    .fetch_one(database)
    .await?;
    Ok((found.before as u64, found.all as u64))
}

/// The encoded verdicts of a committed chunk, and its encoded duplicates, which matter only without verdicts.
pub(crate) struct StoredVerdicts {
    pub verdicts: Option<Vec<u8>>,
    pub duplicates: Vec<u8>,
}

/// Returns the stored verdicts of these chunks, in the order of the file. Omits chunks of a result that is gone.
pub(crate) async fn verdicts(
    database: impl PgExecutor<'_>,
    result_id: ResultId,
    numbers: &[i32],
) -> sqlx::Result<Vec<StoredVerdicts>> {
    sqlx::query_as!(
        StoredVerdicts,
        "select verdicts, duplicates from job_chunks
         where result_id = $1 and number = any($2) and committed_at is not null
         order by number",
        result_id.get(),
        numbers
    )
    .fetch_all(database)
    .await
}

/// The sums over the committed rows.
pub(crate) struct Sums {
    pub problems: Problems,
    pub valid_amount: AmountSum,
    pub valid_dates: Option<DateSpan>,
    /// `None` if an earlier version validated some of the rows.
    pub amount_sizes: Option<AmountSizes>,
    /// `None` in the same case, and if there are too many months.
    pub months: Months,
    /// The time of each chunk's commit, in ascending order, with the chunk's number of rows.
    pub commits: Vec<(DateTime<Utc>, u64)>,
}

/// Returns the number of rows of a result with each error code.
pub(crate) async fn problems(
    database: impl PgExecutor<'_>,
    result_id: ResultId,
) -> sqlx::Result<Problems> {
    let problems = sqlx::query_scalar!(
        r#"select coalesce(jsonb_object_agg(code, rows), '{}') as "problems!: Json<Problems>"
           from (select key as code, sum(value::bigint) as rows
                 from job_chunks cross join jsonb_each_text(problems)
                 where result_id = $1 and committed_at is not null
                 group by key) as counted"#,
        result_id.get()
    )
    .fetch_one(database)
    .await?;
    Ok(problems.0)
}

async fn amount_sizes(
    database: impl PgExecutor<'_>,
    result_id: ResultId,
) -> sqlx::Result<AmountSizes> {
    let rows = sqlx::query_scalar!(
        r#"select sum(size.value::bigint)::bigint as "rows!"
           from job_chunks cross join jsonb_array_elements_text(spread -> 'sizes') with ordinality as size (value, at)
           where result_id = $1 and committed_at is not null
           group by at order by at"#,
        result_id.get()
    )
    .fetch_all(database)
    .await?;
    let rows: Vec<u64> = rows.into_iter().map(|rows| rows as u64).collect();
    Ok(rows.try_into().unwrap_or_default())
}

async fn months(database: impl PgExecutor<'_>, result_id: ResultId) -> sqlx::Result<Months> {
    let months = sqlx::query_scalar!(
        r#"select coalesce(jsonb_object_agg(month, rows), '{}') as "months!: Json<BTreeMap<Month, u64>>"
           from (select key as month, sum(value::bigint) as rows
                 from job_chunks cross join jsonb_each_text(nullif(spread -> 'months', 'null'))
                 where result_id = $1 and committed_at is not null
                 group by key) as counted"#,
        result_id.get()
    )
    .fetch_one(database)
    .await?;
    Ok(Some(months.0).filter(|months| months.len() <= MAX_MONTHS))
}

pub(crate) async fn sums(tx: &mut PgConnection, result_id: ResultId) -> Result<Sums> {
    let sums = sqlx::query!(
        r#"select coalesce(sum(valid_amount), 0)::text as "valid_amount!", min(first_date) as first_date,
                  max(last_date) as last_date, coalesce(bool_and(spread is not null), true) as "has_spread!",
                  coalesce(bool_and(spread -> 'months' <> 'null'), true) as "has_months!"
           from job_chunks where result_id = $1 and committed_at is not null"#,
        result_id.get()
    )
    .fetch_one(&mut *tx)
    .await?;
    let problems = problems(&mut *tx, result_id).await?;
    let amount_sizes = match sums.has_spread {
        true => Some(amount_sizes(&mut *tx, result_id).await?),
        false => None,
    };
    let months = match sums.has_spread && sums.has_months {
        true => months(&mut *tx, result_id).await?,
        false => None,
    };
    let commits = sqlx::query!(
        r#"select committed_at as "committed_at!", rows
           from job_chunks where result_id = $1 and committed_at is not null order by committed_at"#,
        result_id.get()
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(Sums {
        problems,
        valid_amount: sums.valid_amount.parse().map_err(anyhow::Error::new)?,
        valid_dates: sums
            .first_date
            .zip(sums.last_date)
            .map(|(first, last)| DateSpan { first, last }),
        amount_sizes,
        months,
        commits: commits
            .into_iter()
            .map(|chunk| (chunk.committed_at, chunk.rows as u64))
            .collect(),
    })
}

/// Returns how many rows are missing from the attempt's result. `None` if the attempt isn't current.
pub(crate) async fn missing_rows(pool: &PgPool, attempt: Attempt) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        r#"select total_records - coalesce((select sum(rows_under('all', chunk)) from job_chunks as chunk
                where chunk.result_id = jobs.result_id and committed_at is not null), 0)::bigint as "rows!"
           from jobs where id = $1 and run = $2 and status = 'processing'"#,
        attempt.job_id.get(),
        attempt.number as i32
    )
    .fetch_optional(pool)
    .await
}
