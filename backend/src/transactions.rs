//! The rows of a job, page by page.

use chrono::NaiveDate;
use domain::{Amount, ErrorCode, PageRequest, RowError, RowFilter, Transaction};
use sqlx::{PgConnection, types::Json};

use crate::{Backend, Result, jobs, stored_result::StoredResult};

/// Some rows, and how many there are in all under the same filter.
#[derive(Debug, Clone)]
pub struct RowPage {
    /// Which page it is, from 1.
    pub page: u64,
    pub rows: Vec<Transaction>,
    pub total: u64,
}

struct StoredRow {
    row_number: i64,
    transaction_id: Option<String>,
    amount: Option<String>,
    date: Option<NaiveDate>,
    description: Option<String>,
    is_valid: bool,
    is_suspicious: bool,
    errors: Option<Json<Vec<RowError>>>,
}

/// The rows that meet the condition and have the problem, if one is asked for, in the order of the file, without
/// the first `$skip` and at most `$limit` of them. In the condition $1 is the result, $2 and $3 are the two
/// arguments. It is a part of the statement, not a parameter: the planner must see it to use the index that is made
/// for it.
macro_rules! select_rows {
    ($tx:expr, $result_id:expr, $problem:expr, $skip:expr, $limit:expr, $condition:literal, $second:expr, $third:expr) => {
        sqlx::query_as!(
            StoredRow,
            r#"select row_number, transaction_id, amount::text as amount, date, description, is_valid,
                      is_suspicious, errors as "errors: Json<Vec<RowError>>"
               from transactions
               where ($4::text is null or errors @> jsonb_build_array(jsonb_build_object('code', $4::text))) and "#
                + $condition
                + " order by row_number offset $5 limit $6",
            $result_id,
            $second,
            $third,
            $problem,
            $skip as i64,
            i64::from($limit)
        )
        .fetch_all(&mut *$tx)
        .await?
    };
}

/// Which of the rows under the filter are asked for.
#[derive(Clone, Copy)]
struct Place {
    filter: RowFilter,
    /// Rows before the first.
    skip: u64,
    size: u32,
}

/// A page of a job's rows in the order of the file. While the job is being processed these are the
/// rows committed so far.
pub async fn page(backend: &Backend, job_id: i64, request: &PageRequest) -> Result<RowPage> {
    // One snapshot: a retry that begins meanwhile must not take the rows away from under the counts.
    let mut tx = backend
        .pool
        .begin_with("begin isolation level repeatable read read only")
        .await?;
    prefer_indexes(&mut tx).await?;
    let job = jobs::row(&mut *tx, job_id).await?;
    let Some(result_id) = job.result_id else {
        return Ok(RowPage {
            page: request.page(),
            rows: Vec::new(),
            total: 0,
        });
    };
    let page = match request.row() {
        Some(row) => {
            let before = rows_before(&mut tx, result_id, row).await?;
            // Beyond the end, the last page.
            let last = (job.processed_records as u64).saturating_sub(1);
            1 + before.min(last) / u64::from(request.size())
        }
        None => request.page(),
    };
    let place = Place {
        filter: request.filter(),
        skip: (page - 1) * u64::from(request.size()),
        size: request.size(),
    };
    let (total, rows) = match request.query() {
        None => filtered(&mut tx, result_id, place).await?,
        Some(query) => {
            let (total, rows) = with_id(&mut tx, result_id, place, query).await?;
            if total == 0
                && let Some(result) = StoredResult::of(backend, job)?
            {
                let filter = place.filter;
                let chunks = result.chunks(&mut *tx, filter).await?;
                // What follows takes its time, and needs no connection of its own.
                tx.commit().await?;
                let wanted = place.skip..place.skip + u64::from(place.size);
                let (total, rows) = backend
                    .searches
                    .find(result, chunks, filter, query, wanted)
                    .await?;
                return Ok(RowPage { page, rows, total });
            }
            (total, rows)
        }
    };
    let rows = rows
        .into_iter()
        .map(Transaction::try_from)
        .collect::<anyhow::Result<_>>()?;
    Ok(RowPage { page, rows, total })
}

/// How many of the rows before this one have their verdict.
async fn rows_before(tx: &mut PgConnection, result_id: i64, row: u64) -> Result<u64> {
    let before = sqlx::query_scalar!(
        r#"select coalesce(sum(least(rows, $2 - first_row)), 0)::bigint as "before!"
           from job_chunks where result_id = $1 and committed_at is not null and first_row < $2"#,
        result_id,
        row as i64
    )
    .fetch_one(&mut *tx)
    .await?;
    Ok(before as u64)
}

/// Has the planner use the BRIN indexes in this transaction. It doesn't know how well they fit the order in
/// which rows are written, at the latest while a result is so new that it has no statistics.
pub(crate) async fn prefer_indexes(tx: &mut PgConnection) -> Result<()> {
    sqlx::query!(
        "select set_config('enable_seqscan', 'off', true) as seqscan,
                set_config('max_parallel_workers_per_gather', '0', true) as workers"
    )
    .fetch_one(tx)
    .await?;
    Ok(())
}

/// The rows of the page without a search, and how many there are. The ledger's counts tell in which chunks they
/// stand, so the last page of a long file is as quick as the first, whatever the filter.
async fn filtered(
    tx: &mut PgConnection,
    result_id: i64,
    place: Place,
) -> Result<(u64, Vec<StoredRow>)> {
    let Place { filter, skip, size } = place;
    let found = sqlx::query!(
        r#"select coalesce(max(before + matches), 0)::bigint as "total!",
                  min(first_row) filter (where is_shown) as "first_row?",
                  max(first_row + rows) filter (where is_shown) as "until?",
                  (min(before) filter (where is_shown))::bigint as "before?"
           from (select *, before + matches > $3 and before < $3::bigint + $4::bigint as is_shown
                 from (select first_row, rows, matches,
                              sum(matches) over (order by number) - matches as before
                       from (select number, first_row, rows,
                                    case $2 when 'all' then rows
                                            when 'valid' then valid_records
                                            when 'invalid' then invalid_records
                                            when 'suspicious' then suspicious_records
                                            else coalesce((problems ->> $2)::bigint, 0) end as matches
                             from job_chunks where result_id = $1 and committed_at is not null) as chunk
                      ) as counted
                 where matches > 0) as placed"#,
        result_id,
        filter.as_str(),
        skip as i64,
        i64::from(size)
    )
    .fetch_one(&mut *tx)
    .await?;
    let total = found.total as u64;
    let (Some(first_row), Some(until), Some(before)) = (found.first_row, found.until, found.before)
    else {
        return Ok((total, Vec::new()));
    };
    let skip = skip as i64 - before;
    let problem = filter.problem().map(ErrorCode::as_str);
    let rows = match filter {
        RowFilter::All => {
            // Each row counts: the place is known to the row.
            let from = first_row + skip;
            select_rows!(
                tx,
                result_id,
                problem,
                0,
                size,
                "result_id = $1 and row_number >= $2 and row_number < $3",
                from,
                until
            )
        }
        RowFilter::Valid => select_rows!(
            tx,
            result_id,
            problem,
            skip,
            size,
            "result_id = $1 and row_number >= $2 and row_number < $3 and is_valid",
            first_row,
            until
        ),
        RowFilter::Invalid | RowFilter::Problem(_) => select_rows!(
            tx,
            result_id,
            problem,
            skip,
            size,
            "result_id = $1 and row_number >= $2 and row_number < $3 and not is_valid",
            first_row,
            until
        ),
        RowFilter::Suspicious => select_rows!(
            tx,
            result_id,
            problem,
            skip,
            size,
            "result_id = $1 and row_number >= $2 and row_number < $3 and is_suspicious",
            first_row,
            until
        ),
    };
    Ok((total, rows))
}

/// The rows of the page with exactly this transaction id, and how many there are. Each of the two reads the whole index
/// of ids, so they are only counted where the page doesn't tell.
async fn with_id(
    tx: &mut PgConnection,
    result_id: i64,
    place: Place,
    id: &str,
) -> Result<(u64, Vec<StoredRow>)> {
    let Place { filter, skip, size } = place;
    let counted = match skip {
        0 => None,
        _ => Some(count_with_id(tx, result_id, filter, id).await?),
    };
    if let Some(total) = counted
        && total <= skip
    {
        return Ok((total, Vec::new()));
    }
    let problem = filter.problem().map(ErrorCode::as_str);
    let verdict = verdict(filter);
    // The sum keeps the planner from the index of places, which would have it read the whole result.
    let rows = select_rows!(
        tx,
        result_id,
        problem,
        skip,
        size,
        "result_id + 0 = $1 and transaction_id = $2
         and ($3 = 'all' or is_valid = ($3 = 'valid') and $3 <> 'suspicious'
              or $3 = 'suspicious' and is_suspicious)",
        id,
        verdict
    );
    let total = match counted {
        Some(total) => total,
        None if rows.len() < size as usize => rows.len() as u64,
        None => count_with_id(tx, result_id, filter, id).await?,
    };
    Ok((total, rows))
}

async fn count_with_id(
    tx: &mut PgConnection,
    result_id: i64,
    filter: RowFilter,
    id: &str,
) -> Result<u64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from transactions
           where result_id + 0 = $1 and transaction_id = $2
             and ($3 = 'all' or is_valid = ($3 = 'valid') and $3 <> 'suspicious'
                  or $3 = 'suspicious' and is_suspicious)
             and ($4::text is null or errors @> jsonb_build_array(jsonb_build_object('code', $4::text)))"#,
        result_id,
        id,
        verdict(filter),
        filter.problem().map(ErrorCode::as_str)
    )
    .fetch_one(tx)
    .await?;
    Ok(count as u64)
}

/// The filter without its kind of problem, which invalid rows alone have.
fn verdict(filter: RowFilter) -> &'static str {
    match filter {
        RowFilter::Problem(_) => RowFilter::Invalid.as_str(),
        filter => filter.as_str(),
    }
}

impl TryFrom<StoredRow> for Transaction {
    type Error = anyhow::Error;

    fn try_from(row: StoredRow) -> anyhow::Result<Self> {
        let errors = row.errors.map(|Json(errors)| errors).unwrap_or_default();
        Ok(Self {
            row_number: row.row_number as u64,
            transaction_id: row.transaction_id,
            amount: row
                .amount
                .as_deref()
                .map(str::parse::<Amount>)
                .transpose()?,
            date: row.date,
            description: row.description,
            is_valid: row.is_valid,
            is_suspicious: row.is_suspicious,
            error_message: Self::join_messages(&errors),
            errors,
        })
    }
}
