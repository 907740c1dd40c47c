//! The rows of a job, page by page.

use chrono::NaiveDate;
use domain::{Amount, JobStatus, PageRequest, RowError, RowFilter, Transaction};
use sqlx::types::Json;

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
    let job = jobs::get(backend, job_id).await?;
    let total = match (request.query(), request.filter()) {
        (Some(query), filter) => matching(backend, job_id, filter, query).await?,
        (None, RowFilter::All) => job.processed_records,
        (None, RowFilter::Valid) => job.valid_records,
        (None, RowFilter::Invalid) => job.invalid_records,
        (None, RowFilter::Suspicious) => job.suspicious_records,
    };
    let complete = job.status == JobStatus::Completed;
    let stored = if complete && request.filter() == RowFilter::All && request.query().is_none() {
        by_number(backend, job_id, request).await?
    } else {
        by_offset(backend, job_id, request).await?
    };
    Ok(RowPage {
        rows: stored
            .into_iter()
            .map(Transaction::try_from)
            .collect::<anyhow::Result<_>>()?,
        total,
    })
}

/// The row numbers of a completed job have no gaps, so the last page is as quick as the first.
async fn by_number(
    backend: &Backend,
    job_id: i64,
    request: &PageRequest,
) -> Result<Vec<StoredRow>> {
    Ok(sqlx::query_as!(
        StoredRow,
        r#"select row_number, transaction_id, amount::text as amount, date, description, is_valid,
                  is_suspicious, errors as "errors: Json<Vec<RowError>>"
           from transactions
           where job_id = $1 and row_number > $2 and row_number <= $2 + $3
           order by row_number"#,
        job_id,
        request.offset() as i64,
        i64::from(request.size())
    )
    .fetch_all(&backend.pool)
    .await?)
}

async fn by_offset(
    backend: &Backend,
    job_id: i64,
    request: &PageRequest,
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
                   where job_id = $1
                     and ($4::text is null or transaction_id ilike $4 or description ilike $4)
                     and "#
                    + $condition
                    + " order by row_number limit $3 offset $2",
                job_id,
                request.offset() as i64,
                i64::from(request.size()),
                request.query().map(containing)
            )
            .fetch_all(&backend.pool)
            .await?
        };
    }
    Ok(match request.filter() {
        RowFilter::All => select_where!("true"),
        RowFilter::Valid => select_where!("is_valid"),
        RowFilter::Invalid => select_where!("not is_valid"),
        RowFilter::Suspicious => select_where!("is_suspicious"),
    })
}

async fn matching(backend: &Backend, job_id: i64, filter: RowFilter, query: &str) -> Result<u64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from transactions
           where job_id = $1
             and (transaction_id ilike $2 or description ilike $2)
             and ($3 = 'all' or ($3 = 'valid' and is_valid) or ($3 = 'invalid' and not is_valid)
                  or ($3 = 'suspicious' and is_suspicious))"#,
        job_id,
        containing(query),
        filter.as_str()
    )
    .fetch_one(&backend.pool)
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
