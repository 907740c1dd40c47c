//! The rows of a job, page by page.

use chrono::NaiveDate;
use domain::{Amount, PageRequest, RowError, RowFilter, Transaction};
use sqlx::{PgConnection, types::Json};

use crate::{Backend, Result, jobs};

/// Some rows, and how many there are in all under the same filter.
#[derive(Debug, Clone)]
pub struct RowPage {
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

/// The rows that meet the condition, in the order of the file, without the first `$skip` and at most `$limit`
/// of them. In the condition $1 is the result, $2 and $3 are the two arguments. It is a part of the
/// statement, not a parameter: the planner must see it to use the index that is made for it.
macro_rules! select_rows {
    ($tx:expr, $result_id:expr, $skip:expr, $limit:expr, $condition:literal, $second:expr, $third:expr) => {
        sqlx::query_as!(
            StoredRow,
            r#"select row_number, transaction_id, amount::text as amount, date, description, is_valid,
                      is_suspicious, errors as "errors: Json<Vec<RowError>>"
               from transactions where "#
                + $condition
                + " order by row_number offset $4 limit $5",
            $result_id,
            $second,
            $third,
            $skip as i64,
            i64::from($limit)
        )
        .fetch_all(&mut *$tx)
        .await?
    };
}

/// The rows of the page that meet the condition, and how many there are on all pages. They are only counted
/// where the page doesn't tell.
macro_rules! search_rows {
    ($tx:expr, $result_id:expr, $request:expr, $condition:literal, $text:expr, $filter:expr) => {{
        let (skip, size) = ($request.offset(), $request.size());
        let rows = select_rows!($tx, $result_id, skip, size, $condition, $text, $filter);
        let total = if skip == 0 && rows.len() < size as usize {
            rows.len() as u64
        } else {
            sqlx::query_scalar!(
                r#"select count(*) as "count!" from transactions where "# + $condition,
                $result_id,
                $text,
                $filter
            )
            .fetch_one(&mut *$tx)
            .await? as u64
        };
        (total, rows)
    }};
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
    let (total, rows) = match (job.result_id, request.query()) {
        (None, _) => (0, Vec::new()),
        (Some(result_id), Some(query)) => search(&mut tx, result_id, request, query).await?,
        (Some(result_id), None) => {
            let total = match request.filter() {
                RowFilter::All => job.processed_records,
                RowFilter::Valid => job.valid_records,
                RowFilter::Invalid => job.invalid_records,
                RowFilter::Suspicious => job.suspicious_records,
            };
            (total as u64, filtered(&mut tx, result_id, request).await?)
        }
    };
    Ok(RowPage {
        rows: rows
            .into_iter()
            .map(Transaction::try_from)
            .collect::<anyhow::Result<_>>()?,
        total,
    })
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

/// The rows of the page without a search. The ledger's counts tell in which chunks they stand, so the
/// last page of a long file is as quick as the first, whatever the filter.
async fn filtered(
    tx: &mut PgConnection,
    result_id: i64,
    request: &PageRequest,
) -> Result<Vec<StoredRow>> {
    let place = sqlx::query!(
        r#"select min(first_row) as "first_row?", max(first_row + rows) as "until?",
                  min(before)::bigint as "before?"
           from (select first_row, rows, matches, sum(matches) over (order by number) - matches as before
                 from (select number, first_row, rows,
                              case $2 when 'valid' then valid_records
                                      when 'invalid' then invalid_records
                                      when 'suspicious' then suspicious_records
                                      else rows end as matches
                       from job_chunks where result_id = $1 and committed_at is not null) as chunk
                ) as counted
           where matches > 0 and before + matches > $3 and before < $3::bigint + $4::bigint"#,
        result_id,
        request.filter().as_str(),
        request.offset() as i64,
        i64::from(request.size())
    )
    .fetch_one(&mut *tx)
    .await?;
    let (Some(first_row), Some(until), Some(before)) = (place.first_row, place.until, place.before)
    else {
        return Ok(Vec::new());
    };
    let (skip, size) = (request.offset() as i64 - before, request.size());
    Ok(match request.filter() {
        RowFilter::All => {
            // Each row counts: the place is known to the row.
            let from = first_row + skip;
            select_rows!(
                tx,
                result_id,
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
            skip,
            size,
            "result_id = $1 and row_number >= $2 and row_number < $3 and is_valid",
            first_row,
            until
        ),
        RowFilter::Invalid => select_rows!(
            tx,
            result_id,
            skip,
            size,
            "result_id = $1 and row_number >= $2 and row_number < $3 and not is_valid",
            first_row,
            until
        ),
        RowFilter::Suspicious => select_rows!(
            tx,
            result_id,
            skip,
            size,
            "result_id = $1 and row_number >= $2 and row_number < $3 and is_suspicious",
            first_row,
            until
        ),
    })
}

/// The rows with exactly this transaction id; if there are none, those whose id or description contains
/// the text, whatever the case, for which all rows are read.
async fn search(
    tx: &mut PgConnection,
    result_id: i64,
    request: &PageRequest,
    query: &str,
) -> Result<(u64, Vec<StoredRow>)> {
    let filter = request.filter().as_str();
    // The sum keeps the planner from the index of places, which would have it read the whole result.
    let (total, rows) = search_rows!(
        tx,
        result_id,
        request,
        "result_id + 0 = $1 and transaction_id = $2
         and ($3 = 'all' or is_valid = ($3 = 'valid') and $3 <> 'suspicious'
              or $3 = 'suspicious' and is_suspicious)",
        query,
        filter
    );
    if total > 0 {
        return Ok((total, rows));
    }
    // Everything is to be read: the more help the better.
    sqlx::query!("reset max_parallel_workers_per_gather")
        .execute(&mut *tx)
        .await?;
    let pattern = containing(query);
    Ok(search_rows!(
        tx,
        result_id,
        request,
        "result_id = $1 and (transaction_id ilike $2 or description ilike $2)
         and ($3 = 'all' or is_valid = ($3 = 'valid') and $3 <> 'suspicious'
              or $3 = 'suspicious' and is_suspicious)",
        pattern,
        filter
    ))
}

/// A pattern for `like` that finds `text` anywhere.
fn containing(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
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

#[cfg(test)]
mod tests {
    use super::containing;

    #[test]
    fn searched_text_is_taken_literally() {
        assert_eq!(containing(r"50%_\"), r"%50\%\_\\%");
    }
}
