//! The result of a job as a CSV file.

use bytes::Bytes;
use domain::{JobStatus, Layout, RowFilter};
use futures::{Stream, stream};

use crate::{Backend, Error, Result, jobs, processing::unpack};

/// A completed job's file with the verdicts, as it streams.
pub struct Download<S> {
    /// The name under which the file was uploaded.
    pub filename: String,
    /// The bytes of the CSV file, chunk by chunk.
    pub content: S,
}

struct StoredChunk {
    number: i32,
    byte_start: i64,
    byte_end: i64,
    first_row: i64,
    duplicates: Vec<u8>,
}

/// What is the same for all chunks of a download.
struct Source {
    backend: Backend,
    result_id: i64,
    storage_key: String,
    layout: Layout,
    filter: RowFilter,
}

/// The rows under `filter` as the uploaded file has them, each with its verdict. The verdicts are given
/// anew from the stored file, by the same code and the same duplicates: nothing that the file says is
/// lost, and memory stays flat. Fails with [`Error::Conflict`] unless the job is completed.
pub async fn results(
    backend: &Backend,
    job_id: i64,
    filter: RowFilter,
) -> Result<Download<impl Stream<Item = Result<Bytes>> + use<>>> {
    let row = jobs::row(&backend.pool, job_id).await?;
    if row.status != JobStatus::Completed.as_str() {
        return Err(Error::Conflict(format!(
            "The results can be downloaded once the job is completed; it is {}.",
            row.status
        )));
    }
    let layout =
        serde_json::from_value(row.layout.unwrap_or_default()).map_err(anyhow::Error::new)?;
    let source = Source {
        backend: backend.clone(),
        result_id: row.result_id.ok_or(Error::NotFound("Result"))?,
        storage_key: row.storage_key,
        layout,
        filter,
    };
    let mut header = Vec::new();
    domain::write_results_header(&source.layout, &mut header);
    let rows = stream::try_unfold((source, -1), async |(source, last)| {
        let Some(chunk) = source.chunk_after(last).await? else {
            return Ok(None);
        };
        let number = chunk.number;
        let (source, rows) = source.rows(chunk).await?;
        Ok(Some((rows, (source, number))))
    });
    let header = stream::iter([Ok(Bytes::from(header))]);
    Ok(Download {
        filename: row.filename,
        content: futures::StreamExt::chain(header, rows),
    })
}

impl Source {
    /// The first chunk behind number `last` that has rows under the filter.
    async fn chunk_after(&self, last: i32) -> Result<Option<StoredChunk>> {
        Ok(sqlx::query_as!(
            StoredChunk,
            "select number, byte_start, byte_end, first_row, duplicates from job_chunks
             where result_id = $1 and number > $2
               and case $3::text when 'valid' then valid_records
                                 when 'invalid' then invalid_records
                                 when 'suspicious' then suspicious_records
                                 when 'all' then rows
                                 else (problems ->> $3::text)::bigint end > 0
             order by number limit 1",
            self.result_id,
            last,
            self.filter.as_str()
        )
        .fetch_optional(&self.backend.pool)
        .await?)
    }

    /// The chunk's rows as CSV.
    async fn rows(self, chunk: StoredChunk) -> Result<(Self, Bytes)> {
        let range = chunk.byte_start as u64..chunk.byte_end as u64;
        let bytes = self.backend.storage.read(&self.storage_key, range).await?;
        tokio::task::spawn_blocking(move || {
            let first_row = chunk.first_row as u64;
            let duplicates = unpack(first_row, &chunk.duplicates);
            let mut csv = Vec::with_capacity(2 * bytes.len());
            domain::validate_chunk(&self.layout, &bytes, first_row, &duplicates, |row| {
                if self.filter.lets_through(row) {
                    domain::write_results_row(&self.layout, row, &mut csv);
                }
            });
            (self, Bytes::from(csv))
        })
        .await
        .map_err(|error| Error::Internal(error.into()))
    }
}
