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

/// A page of a job's rows in the order of the file. While the job is being processed these are the
/// rows committed so far.
pub async fn page(backend: &Backend, job_id: i64, request: &PageRequest) -> Result<RowPage> {
    // One snapshot: a retry that begins meanwhile must not take the rows away from under the counts.
    let mut tx = backend
        .pool
        .begin_with("begin isolation level repeatable read read only")
        .await?;
    let job = jobs::row(&mut *tx, job_id).await?;
    let filter = request.filter();
    let (total, rows) = match (job.result_id, request.query()) {
        (None, _) => (0, Vec::new()),
        (Some(result_id), None) => {
            let total = match filter {
                RowFilter::All => job.processed_records,
                RowFilter::Valid => job.valid_records,
                RowFilter::Invalid => job.invalid_records,
                RowFilter::Suspicious => job.suspicious_records,
            };
            let rows = match locate(&mut tx, result_id, request).await? {
                Some(span) => rows(&mut tx, result_id, filter, None, span).await?,
                None => Vec::new(),
            };
            (total as u64, rows)
        }
        (Some(result_id), Some(query)) => {
            let pattern = containing(query);
            let span = Span {
                from: 1,
                until: i64::MAX,
                skip: request.offset() as i64,
                limit: request.size().into(),
            };
            (
                matching(&mut tx, result_id, filter, &pattern).await?,
                rows(&mut tx, result_id, filter, Some(&pattern), span).await?,
            )
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

/// Some of the rows that a filter lets through.
struct Span {
    /// Row numbers between which they stand; `until` is exclusive.
    from: i64,
    until: i64,
    /// How many of those that are let through come before.
    skip: i64,
    limit: i64,
}

/// Finds out from the ledger's counts in which chunks a page stands, so that the last page of a long file
/// is as quick as the first, whatever the filter.
async fn locate(
    tx: &mut PgConnection,
    result_id: i64,
    request: &PageRequest,
) -> Result<Option<Span>> {
    let found = sqlx::query!(
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
    .fetch_one(tx)
    .await?;
    let (Some(first_row), Some(until), Some(before)) = (found.first_row, found.until, found.before)
    else {
        return Ok(None);
    };
    let skip = request.offset() as i64 - before;
    // Without a filter each row counts: the place is known to the row.
    let (from, skip) = match request.filter() {
        RowFilter::All => (first_row + skip, 0),
        _ => (first_row, skip),
    };
    Ok(Some(Span {
        from,
        until,
        skip,
        limit: request.size().into(),
    }))
}

async fn rows(
    tx: &mut PgConnection,
    result_id: i64,
    filter: RowFilter,
    pattern: Option<&str>,
    span: Span,
) -> Result<Vec<StoredRow>> {
    // One statement per filter: with the filter as a parameter the planner could not use the partial
    // indexes.
    macro_rules! select_where {
        ($condition:literal) => {
            sqlx::query_as!(
                StoredRow,
                r#"select row_number, transaction_id, amount::text as amount, date, description,
                          is_valid, is_suspicious, errors as "errors: Json<Vec<RowError>>"
                   from transactions
                   where result_id = $1 and row_number >= $2 and row_number < $3
                     and ($4::text is null or transaction_id ilike $4 or description ilike $4)
                     and "#
                    + $condition
                    + " order by row_number limit $6 offset $5",
                result_id,
                span.from,
                span.until,
                pattern,
                span.skip,
                span.limit
            )
            .fetch_all(tx)
            .await?
        };
    }
    Ok(match filter {
        RowFilter::All => select_where!("true"),
        RowFilter::Valid => select_where!("is_valid"),
        RowFilter::Invalid => select_where!("not is_valid"),
        RowFilter::Suspicious => select_where!("is_suspicious"),
    })
}

async fn matching(
    tx: &mut PgConnection,
    result_id: i64,
    filter: RowFilter,
    pattern: &str,
) -> Result<u64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from transactions
           where result_id = $1
             and (transaction_id ilike $2 or description ilike $2)
             and ($3 = 'all' or ($3 = 'valid' and is_valid) or ($3 = 'invalid' and not is_valid)
                  or ($3 = 'suspicious' and is_suspicious))"#,
        result_id,
        pattern,
        filter.as_str()
    )
    .fetch_one(tx)
    .await?;
    Ok(count as u64)
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
