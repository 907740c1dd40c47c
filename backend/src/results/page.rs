//! Pages of a job's rows.

use std::{ops::Range, sync::Arc};

use domain::{JobId, PageRequest, RowFilter, Transaction};

use super::{
    id_index,
    reader::{Reader, Wanted},
    search::{Match, Search},
};
use crate::{
    Backend, Result,
    access::{Act, Viewer, check_job},
    jobs::query::{self, IdIndex, Source},
    ledger,
};

/// Some rows that match a filter, with the total number of matches.
#[derive(Debug, Clone)]
pub struct RowPage {
    /// The page number, from 1.
    pub page: u64,
    /// Fewer than the page size if the rows take many megabytes.
    pub rows: Vec<Transaction>,
    pub total: u64,
}

/// Returns a page of a job's rows in the order of the file. While the job is being processed, it contains only rows
/// committed so far.
pub async fn get(
    backend: &Backend,
    viewer: &Viewer,
    job_id: JobId,
    request: &PageRequest,
) -> Result<RowPage> {
    check_job(&backend.pool, viewer, job_id, Act::Read).await?;
    let source = query::source(&backend.pool, job_id).await?;
    let Some(source) = source else {
        // Either the file isn't planned yet, or there is no such job.
        query::get(&backend.pool, job_id).await?;
        return Ok(RowPage {
            page: request.page(),
            rows: Vec::new(),
            total: 0,
        });
    };
    let size = u64::from(request.size());
    let page = match request.row() {
        Some(row) => {
            let (before, all) = rows_before(backend, &source, row).await?;
            // A row beyond the end is on the last page.
            1 + before.min(all.saturating_sub(1)) / size
        }
        None => request.page(),
    };
    let skip = (page - 1) * size;
    let (total, rows) = match request.query() {
        None => filtered(backend, source, request.filter(), skip, request.size()).await?,
        Some(query) => found(backend, source, request.filter(), query, skip..skip + size).await?,
    };
    Ok(RowPage { page, rows, total })
}

/// Returns how many of the rows before this one have a verdict, and how many rows have one in total. Ignored rows don't
/// count.
async fn rows_before(backend: &Backend, source: &Source, row: u64) -> Result<(u64, u64)> {
    let result_id = source.result_id;
    let (before, all) = ledger::rows_before(&backend.pool, result_id, row).await?;
    let own = ledger::with_rows(&backend.pool, result_id, &[row]).await?;
    let reader = Reader::new(&backend.pool, &backend.storage, source.clone())?;
    let verdicts = reader.verdicts(&own).await?;
    let ignored = match (&own[..], &verdicts[..]) {
        ([chunk], [verdicts]) => {
            let earlier = verdicts
                .from_row(0)
                .take((row - chunk.first_row as u64) as usize);
            earlier.filter(|verdict| verdict.is_ignored()).count() as u64
        }
        _ => 0,
    };
    Ok((before - ignored, all))
}

/// Returns the rows of a page without a search, with the total number of matches. The counts in the ledger locate the
/// page's chunks, so the last page of a long file is as quick as the first, whatever the filter.
async fn filtered(
    backend: &Backend,
    source: Source,
    filter: RowFilter,
    skip: u64,
    size: u32,
) -> Result<(u64, Vec<Transaction>)> {
    let window = ledger::window(&backend.pool, source.result_id, filter, skip, size).await?;
    let reader = Reader::new(&backend.pool, &backend.storage, source)?;
    let chunks: Vec<_> = window
        .chunks
        .iter()
        .map(|found| found.chunk.clone())
        .collect();
    let verdicts = reader.verdicts(&chunks).await?;
    let until = skip + u64::from(size);
    let wanted: Vec<_> = window
        .chunks
        .into_iter()
        .zip(verdicts)
        .map(|(found, verdicts)| {
            let within = skip.saturating_sub(found.before)..until - found.before;
            Wanted {
                rows: verdicts.select(filter, within),
                chunk: found.chunk,
                verdicts,
            }
        })
        .collect();
    Ok((window.total, reader.rows(&wanted).await?))
}

/// Returns the rows of a page that have exactly this transaction id or, if there are none, that contain the text, with
/// the total number of matches.
async fn found(
    backend: &Backend,
    source: Source,
    filter: RowFilter,
    query: &str,
    wanted: Range<u64>,
) -> Result<(u64, Vec<Transaction>)> {
    let index = source.id_index.as_ref().map(|index| index.0.clone());
    let reader = Reader::new(&backend.pool, &backend.storage, source)?;
    let with_id = match &index {
        Some(index) => with_id(backend, &reader, index, filter, query, &wanted).await?,
        None => None,
    };
    let search = |is: Match| Search::new(reader.clone(), filter, query, is);
    let with_id = match with_id {
        Some(found) => found,
        None => {
            let search = search(Match::Id)?;
            backend
                .searches
                .find(&backend.pool, search, wanted.clone())
                .await?
        }
    };
    match with_id {
        (0, _) => {
            let search = search(Match::Text)?;
            backend.searches.find(&backend.pool, search, wanted).await
        }
        found => Ok(found),
    }
}

/// Finds the rows with this id through the index. Returns `None` if the index can't answer.
async fn with_id(
    backend: &Backend,
    reader: &Reader,
    index: &IdIndex,
    filter: RowFilter,
    id: &str,
    wanted: &Range<u64>,
) -> Result<Option<(u64, Vec<Transaction>)>> {
    let rows = match id_index::rows(&backend.storage, index, id).await {
        Ok(Some(rows)) => rows,
        Ok(None) => return Ok(None),
        Err(error) => {
            // The file itself can still be searched.
            tracing::warn!(error = ?error, storage_key = index.storage_key, "an id index can't be read");
            return Ok(None);
        }
    };
    let chunks = ledger::with_rows(&backend.pool, reader.result_id, &rows).await?;
    let verdicts = reader.verdicts(&chunks).await?;
    let candidates: Vec<_> = chunks
        .into_iter()
        .zip(verdicts)
        .map(|(chunk, verdicts)| {
            let within = chunk.first_row as u64..(chunk.first_row + chunk.rows) as u64;
            let own = rows.iter().filter(|row| within.contains(row));
            let own = own.map(|row| (row - within.start) as u32);
            let matching = own.filter(|row| {
                verdicts
                    .from_row(*row)
                    .next()
                    .is_some_and(|verdict| filter.matches(verdict))
            });
            Wanted {
                rows: matching.map(|row| row..row + 1).collect(),
                chunk,
                verdicts: Arc::clone(&verdicts),
            }
        })
        .collect();
    // Another id may have the same hash by chance, so the rows are read before they are counted.
    let found = reader.rows_with_id(&candidates, id, wanted.clone());
    Ok(Some(found.await?))
}
