//! The result of a job as a CSV file.

use std::sync::Arc;

use bytes::Bytes;
use domain::{JobStatus, RowFilter};
use futures::{Stream, StreamExt, stream};

use crate::{
    Backend, Error, Result, jobs,
    stored_result::{StoredChunk, StoredResult},
};

/// A completed job's file with the verdicts, as it streams.
pub struct Download<S> {
    /// The name under which the file was uploaded.
    pub filename: String,
    /// The bytes of the CSV file, chunk by chunk.
    pub content: S,
}

/// The rows under `filter` as the uploaded file has them, each with its verdict. The verdicts are given
/// anew from the stored file: nothing that the file says is lost, and memory stays flat. Fails with
/// [`Error::Conflict`] unless the job is completed; the content may break off if the job is deleted or retried.
pub async fn results(
    backend: &Backend,
    job_id: i64,
    filter: RowFilter,
) -> Result<Download<impl Stream<Item = Result<Bytes>> + use<>>> {
    let job = jobs::row(&backend.pool, job_id).await?;
    if job.status != JobStatus::Completed.as_str() {
        return Err(Error::Conflict(format!(
            "The results can be downloaded once the job is completed; it is {}.",
            job.status
        )));
    }
    let filename = job.filename.clone();
    let result = StoredResult::of(backend, job)?.ok_or(Error::NotFound("Result"))?;
    let chunks = result.chunks(&backend.pool, filter).await?;
    let mut header = Vec::new();
    validator::write_results_header(&result.layout, &mut header);
    let result = Arc::new(result);
    let rows = stream::iter(chunks).then(move |chunk| rows(result.clone(), chunk, filter));
    let header = stream::iter([Ok(Bytes::from(header))]);
    Ok(Download {
        filename,
        content: header.chain(rows),
    })
}

/// The chunk's rows as CSV.
async fn rows(result: Arc<StoredResult>, chunk: StoredChunk, filter: RowFilter) -> Result<Bytes> {
    let bytes = result.bytes(chunk).await?;
    let duplicates = result.duplicates(chunk).await?;
    tokio::task::spawn_blocking(move || {
        let mut csv = Vec::with_capacity(2 * bytes.len());
        validator::validate_chunk(
            &result.layout,
            &bytes,
            chunk.first_row(),
            &duplicates,
            |row| {
                if filter.lets_through(row) {
                    validator::write_results_row(&result.layout, row, &mut csv);
                }
            },
        );
        Bytes::from(csv)
    })
    .await
    .map_err(|error| Error::Internal(error.into()))
}
