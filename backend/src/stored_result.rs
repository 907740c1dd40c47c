//! A result, read again from the stored file: by the same code and with the same duplicates, so with the same
//! verdicts. For what the table of rows doesn't have, or would give too slowly.

use bytes::Bytes;
use domain::{Layout, RowFilter};
use sqlx::PgExecutor;

use crate::{Backend, Error, Result, jobs::JobRow, processing::unpack};

pub(crate) struct StoredResult {
    backend: Backend,
    pub id: i64,
    storage_key: String,
    pub layout: Layout,
}

/// What [`domain::validate_chunk`] needs.
pub(crate) struct StoredChunk {
    pub bytes: Bytes,
    pub first_row: u64,
    /// Row numbers, ascending.
    pub duplicates: Vec<u64>,
}

impl StoredResult {
    /// `None` before the job's file is planned.
    pub fn of(backend: &Backend, job: JobRow) -> Result<Option<Self>> {
        let (Some(id), Some(layout)) = (job.result_id, job.layout) else {
            return Ok(None);
        };
        Ok(Some(Self {
            backend: backend.clone(),
            id,
            storage_key: job.storage_key,
            layout: serde_json::from_value(layout).map_err(anyhow::Error::new)?,
        }))
    }

    /// The numbers of the committed chunks that have rows under the filter, in the order of the file.
    pub async fn chunks(
        &self,
        database: impl PgExecutor<'_>,
        filter: RowFilter,
    ) -> Result<Vec<i32>> {
        Ok(sqlx::query_scalar!(
            "select number from job_chunks
             where result_id = $1 and committed_at is not null
               and case $2::text when 'valid' then valid_records
                                 when 'invalid' then invalid_records
                                 when 'suspicious' then suspicious_records
                                 when 'all' then rows
                                 else (problems ->> $2::text)::bigint end > 0
             order by number",
            self.id,
            filter.as_str()
        )
        .fetch_all(database)
        .await?)
    }

    /// Fails with [`Error::Conflict`] if the job was deleted or retried meanwhile.
    pub async fn read(&self, number: i32) -> Result<StoredChunk> {
        let chunk = sqlx::query!(
            "select byte_start, byte_end, first_row, duplicates from job_chunks
             where result_id = $1 and number = $2",
            self.id,
            number
        )
        .fetch_optional(&self.backend.pool)
        .await?
        .ok_or_else(|| {
            Error::Conflict("The job was deleted or begun anew meanwhile. Try again.".to_owned())
        })?;
        let range = chunk.byte_start as u64..chunk.byte_end as u64;
        let first_row = chunk.first_row as u64;
        Ok(StoredChunk {
            bytes: self.backend.storage.read(&self.storage_key, range).await?,
            first_row,
            duplicates: unpack(first_row, &chunk.duplicates),
        })
    }
}
