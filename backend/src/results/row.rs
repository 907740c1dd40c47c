//! A single row of a job, with its complete record in the file.

use domain::{ErrorCode, JobId, PageRequest, RowFilter, Transaction};

use super::{
    page,
    reader::{Reader, Wanted, WholeRow},
};
use crate::{
    Backend, Error, Result,
    access::{Act, Viewer, check_job},
    jobs::query,
    ledger,
};

/// The maximum number of a row's fields that are returned.
const MAX_FIELDS: usize = 1_000;

/// A row with its neighbours.
pub struct RowDetails {
    pub row: Transaction,
    /// The record as it is in the file, without its line end.
    pub raw: String,
    /// The first fields, each with the name of its column; a number for a field beyond the header.
    pub fields: Vec<(String, String)>,
    /// The number of fields after them.
    pub more_fields: usize,
    /// The first row with the same id, if this one repeats it.
    pub same_id: Option<u64>,
    /// The nearest validated rows before and after it.
    pub previous: Option<u64>,
    pub next: Option<u64>,
}

/// Returns the row with this number, from 1.
///
/// # Errors
///
/// Returns [`Error::NotFound`] if there is no such job, or if the job has no such row or hasn't validated it yet.
pub async fn get(
    backend: &Backend,
    viewer: &Viewer,
    job_id: JobId,
    number: u64,
) -> Result<RowDetails> {
    const NO_ROW: Error = Error::NotFound("Row");
    check_job(&backend.pool, viewer, job_id, Act::Read).await?;
    let source = query::source(&backend.pool, job_id).await?;
    let Some(source) = source else {
        query::get(&backend.pool, job_id).await?;
        return Err(NO_ROW);
    };
    let around = [number.saturating_sub(1), number, number.saturating_add(1)];
    let chunks = ledger::with_rows(&backend.pool, source.result_id, &around).await?;
    let has = |chunk: &ledger::CommittedChunk, row: u64| {
        (chunk.first_row as u64..(chunk.first_row + chunk.rows) as u64).contains(&row)
    };
    let checked = |row: u64| chunks.iter().any(|chunk| has(chunk, row)).then_some(row);
    let (previous, next) = (checked(around[0]), checked(around[2]));
    let chunk = chunks.iter().find(|chunk| has(chunk, number)).cloned();
    let chunk = chunk.ok_or(NO_ROW)?;
    let reader = Reader::new(&backend.pool, &backend.storage, source)?;
    let verdicts = reader.verdicts(std::slice::from_ref(&chunk)).await?;
    let verdicts = verdicts.into_iter().next().ok_or(NO_ROW)?;
    let within = (number - chunk.first_row as u64) as u32;
    let wanted = Wanted {
        rows: std::iter::once(within..within + 1).collect(),
        chunk,
        verdicts,
    };
    let whole = reader.whole_row(wanted, MAX_FIELDS).await?;
    let WholeRow {
        row,
        raw,
        fields,
        more_fields,
    } = whole.ok_or(NO_ROW)?;
    let mut names = reader.layout.names().iter().cloned();
    let fields = fields.into_iter().enumerate().map(|(at, value)| {
        let name = names.next();
        (name.unwrap_or_else(|| format!("field {}", at + 1)), value)
    });
    Ok(RowDetails {
        fields: fields.collect(),
        more_fields,
        same_id: same_id(backend, viewer, job_id, &row).await?,
        row,
        raw,
        previous,
        next,
    })
}

/// Returns the first row with the same id, if the verdict of this row says that it repeats one.
async fn same_id(
    backend: &Backend,
    viewer: &Viewer,
    job_id: JobId,
    row: &Transaction,
) -> Result<Option<u64>> {
    let is_repeated =
        (row.errors.iter()).any(|error| error.code == ErrorCode::TransactionIdDuplicate);
    let Some(id) = row.transaction_id.as_deref().filter(|_| is_repeated) else {
        return Ok(None);
    };
    let Ok(request) = PageRequest::parse(1, 1, RowFilter::All, Some(id)) else {
        return Ok(None);
    };
    let first = page::get(backend, viewer, job_id, &request)
        .await?
        .rows
        .pop();
    Ok(first
        .filter(|first| first.transaction_id.as_deref() == Some(id))
        .map(|first| first.row_number)
        .filter(|first| *first < row.row_number))
}
