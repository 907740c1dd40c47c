//! A result, read again from the stored file: by the same code and with the same duplicates, so with the same
//! verdicts. For what the table of rows doesn't have, or would give too slowly.

use bytes::Bytes;
use sqlx::PgExecutor;
use validator::{Layout, RowFilter};

use crate::{Backend, Error, Result, jobs::JobRow, processing::unpack};

pub(crate) struct StoredResult {
    backend: Backend,
    pub id: i64,
    storage_key: String,
    pub layout: Layout,
}

/// Where a committed chunk is.
#[derive(Clone, Copy)]
pub(crate) struct StoredChunk {
    pub number: i32,
    byte_start: i64,
    byte_end: i64,
    first_row: i64,
    has_duplicates: bool,
}

impl StoredChunk {
    pub fn first_row(self) -> u64 {
        self.first_row as u64
    }
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

    /// The committed chunks that have rows under the filter, in the order of the file.
    pub async fn chunks(
        &self,
        database: impl PgExecutor<'_>,
        filter: RowFilter,
    ) -> Result<Vec<StoredChunk>> {
        Ok(sqlx::query_as!(
            StoredChunk,
            r#"select number, byte_start, byte_end, first_row, duplicates <> '' as "has_duplicates!"
               from job_chunks
               where result_id = $1 and committed_at is not null
                 and case $2::text when 'valid' then valid_records
                                   when 'invalid' then invalid_records
                                   when 'suspicious' then suspicious_records
                                   when 'all' then rows
                                   else (problems ->> $2::text)::bigint end > 0
               order by number"#,
            self.id,
            filter.as_str()
        )
        .fetch_all(database)
        .await?)
    }

    /// The chunk as it stands in the file.
    pub async fn bytes(&self, chunk: StoredChunk) -> Result<Bytes> {
        let range = chunk.byte_start as u64..chunk.byte_end as u64;
        Ok(self.backend.storage.read(&self.storage_key, range).await?)
    }

    /// The numbers of those of its rows whose id stands in an earlier row, ascending. Fails with [`Error::Conflict`] if
    /// the job was deleted or retried meanwhile.
    pub async fn duplicates(&self, chunk: StoredChunk) -> Result<Vec<u64>> {
        if !chunk.has_duplicates {
            return Ok(Vec::new());
        }
        let duplicates = sqlx::query_scalar!(
            "select duplicates from job_chunks where result_id = $1 and number = $2",
            self.id,
            chunk.number
        )
        .fetch_optional(&self.backend.pool)
        .await?
        .ok_or_else(|| {
            Error::Conflict("The job was deleted or begun anew meanwhile. Try again.".to_owned())
        })?;
        Ok(unpack(chunk.first_row(), &duplicates))
    }
}
