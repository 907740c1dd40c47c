//! Reads rows of a job's stored file under their committed verdicts.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use domain::{ResultId, Transaction};
use sqlx::PgPool;
use tokio::task::spawn_blocking;
use validator::{Layout, Row, RowSet, Verdicts, read_rows, validate_chunk};

use crate::{
    Error, Result, Storage,
    jobs::query::{self, Source},
    ledger::{self, CommittedChunk, StoredVerdicts},
    storage::{CheckedFile, ReadError},
};

/// The maximum size of the texts on a page, in bytes. The last row may exceed it.
pub(super) const MAX_PAGE_BYTES: u64 = 8 << 20;

/// The maximum number of bytes of the file held at a time. The last part may exceed it.
const MAX_READ_BYTES: u64 = 8 << 20;

/// Reads the rows of one result.
#[derive(Clone)]
pub(crate) struct Reader {
    pool: PgPool,
    storage: Storage,
    pub result_id: ResultId,
    file: CheckedFile,
    pub layout: Arc<Layout>,
}

/// The rows to read from a chunk, as ascending ranges counted from the chunk's first row.
pub(crate) struct Wanted {
    pub chunk: CommittedChunk,
    pub verdicts: Arc<Verdicts>,
    pub rows: Vec<Range<u32>>,
}

/// The rows of a page, with bounded memory.
#[derive(Default)]
pub(super) struct Page {
    pub rows: Vec<Transaction>,
    bytes: u64,
}

impl Page {
    /// Adds the next row, unless the page is full.
    pub fn add(&mut self, row: impl FnOnce() -> Transaction) {
        if !self.is_full() {
            let row = row();
            self.bytes += shown_bytes(&row);
            self.rows.push(row);
        }
    }

    /// Whether the texts have reached the maximum size of a page.
    pub fn is_full(&self) -> bool {
        self.bytes >= MAX_PAGE_BYTES
    }
}

/// Counts the rows that match a search, and keeps those of a page.
pub(super) struct MatchedRows {
    wanted: Range<u64>,
    count: u64,
    page: Page,
}

impl MatchedRows {
    /// `wanted` are the matches to keep, counted from 0.
    pub fn new(wanted: Range<u64>) -> Self {
        Self {
            wanted,
            count: 0,
            page: Page::default(),
        }
    }

    pub fn add(&mut self, row: impl FnOnce() -> Transaction) {
        if self.wanted.contains(&self.count) {
            self.page.add(row);
        }
        self.count += 1;
    }

    /// Returns the number of matches, and those to keep until the page was full.
    pub fn into_parts(self) -> (u64, Vec<Transaction>) {
        (self.count, self.page.rows)
    }
}

impl Reader {
    pub fn new(pool: &PgPool, storage: &Storage, source: Source) -> Result<Self> {
        Ok(Self {
            pool: pool.clone(),
            storage: storage.clone(),
            result_id: source.result_id,
            file: source.file()?,
            layout: Arc::new(source.layout.0),
        })
    }

    /// Fails if the file is missing, or has changed at the start of the chunk.
    pub async fn check(&self, chunk: &CommittedChunk) -> Result<()> {
        let start = chunk.byte_start as u64;
        self.read(start..start + 1).await?;
        Ok(())
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        match self.storage.read(&self.file, range).await {
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(self.failed(error).await),
        }
    }

    /// Returns why the file couldn't be read. It may be missing because the job was deleted or retried meanwhile.
    async fn failed(&self, error: ReadError) -> Error {
        let is_missing = matches!(
            error,
            ReadError::Store(object_store::Error::NotFound { .. })
        );
        let source = match is_missing {
            true => query::source_of_result(&self.pool, self.result_id).await,
            false => return error.into(),
        };
        match source {
            Ok(None) => gone(),
            Ok(Some(_)) => error.into(),
            Err(error) => error.into(),
        }
    }

    /// Returns the bytes of the chunk.
    pub async fn bytes(&self, chunk: &CommittedChunk) -> Result<Bytes> {
        let range = chunk.byte_start as u64..chunk.byte_end as u64;
        self.read(range).await
    }

    /// Returns the committed verdicts of these chunks. Fails with [`Error::Conflict`] if the job was deleted or retried
    /// meanwhile.
    pub async fn verdicts(&self, chunks: &[CommittedChunk]) -> Result<Vec<Arc<Verdicts>>> {
        let numbers: Vec<i32> = chunks.iter().map(|chunk| chunk.number).collect();
        let stored = ledger::verdicts(&self.pool, self.result_id, &numbers).await?;
        if stored.len() != chunks.len() {
            return Err(gone());
        }
        let mut verdicts = Vec::with_capacity(chunks.len());
        for (chunk, stored) in chunks.iter().zip(stored) {
            verdicts.push(Arc::new(self.decode(chunk, stored).await?));
        }
        Ok(verdicts)
    }

    async fn decode(&self, chunk: &CommittedChunk, stored: StoredVerdicts) -> Result<Verdicts> {
        let malformed =
            |error| anyhow::Error::new(error).context(format!("chunk {}", chunk.number));
        match stored.verdicts {
            Some(verdicts) => Ok(Verdicts::decode(&verdicts).map_err(malformed)?),
            // An earlier version committed it, and `maintenance::old_results` hasn't reached it yet.
            None => {
                let bytes = self.bytes(chunk).await?;
                let duplicates = RowSet::decode(&stored.duplicates).map_err(malformed)?;
                let layout = self.layout.clone();
                blocking(move || validate_chunk(&layout, &bytes, &duplicates).1).await
            }
        }
    }

    /// Reads these rows, which must be in the order of the file. Stops early once the page is full.
    pub async fn rows(&self, wanted: &[Wanted]) -> Result<Vec<Transaction>> {
        let page = self.fold(wanted, Page::default(), |page, row| {
            page.add(|| row.to_transaction());
            !page.is_full()
        });
        Ok(page.await?.rows)
    }

    /// Reads those of these rows, which must be in the order of the file, that have this id. Counts all of them, and
    /// returns those in `wanted`, counted from 0, until the page is full.
    pub async fn rows_with_id(
        &self,
        candidates: &[Wanted],
        id: &str,
        wanted: Range<u64>,
    ) -> Result<(u64, Vec<Transaction>)> {
        let id = id.to_owned();
        let matches = self.fold(candidates, MatchedRows::new(wanted), move |found, row| {
            if row.transaction_id == Some(&id) {
                found.add(|| row.to_transaction());
            }
            true
        });
        Ok(matches.await?.into_parts())
    }

    /// Passes these rows to `on_row`, in the order of the file, until it returns `false`. Chunks and rows that are close
    /// together are read together.
    async fn fold<T: Send + 'static>(
        &self,
        wanted: &[Wanted],
        mut state: T,
        on_row: impl Fn(&mut T, &Row<'_>) -> bool + Send + Sync + 'static,
    ) -> Result<T> {
        let on_row = Arc::new(on_row);
        let parts: Vec<_> = wanted.iter().flat_map(Wanted::parts).collect();
        let mut parts = parts.into_iter().peekable();
        let mut goes_on = true;
        while goes_on && parts.peek().is_some() {
            let mut together = Vec::new();
            let mut bytes = 0;
            while let Some(part) = parts.next_if(|_| bytes < MAX_READ_BYTES) {
                bytes += part.bytes.end - part.bytes.start;
                together.push(part);
            }
            let ranges: Vec<_> = together.iter().map(|part| part.bytes.clone()).collect();
            let bytes = match self.storage.read_ranges(&self.file, &ranges).await {
                Ok(bytes) => bytes,
                Err(error) => return Err(self.failed(error).await),
            };
            let (layout, on_row) = (self.layout.clone(), on_row.clone());
            (state, goes_on) = blocking(move || {
                for (part, bytes) in together.iter().zip(&bytes) {
                    part.each(&layout, bytes, |row| {
                        goes_on = goes_on && on_row(&mut state, row);
                    });
                }
                (state, goes_on)
            })
            .await?;
        }
        Ok(state)
    }

    /// Reads one row. A row has at most a megabyte but may have nearly as many fields, so those beyond `max_fields` are
    /// only counted.
    pub async fn whole_row(&self, wanted: Wanted, max_fields: usize) -> Result<Option<WholeRow>> {
        let Some(part) = wanted.parts().next() else {
            return Ok(None);
        };
        let bytes = self.read(part.bytes.clone()).await?;
        let layout = self.layout.clone();
        blocking(move || {
            let mut found = None;
            part.each(&layout, &bytes, |row| {
                let mut scratch = String::new();
                let fields = (0..row.field_count().min(max_fields))
                    .map(|at| row.field(at, &mut scratch).unwrap_or_default().to_owned());
                found = Some(WholeRow {
                    fields: fields.collect(),
                    more_fields: row.field_count().saturating_sub(max_fields),
                    raw: row.raw().into_owned(),
                    row: row.to_transaction(),
                });
            });
            found
        })
        .await
    }
}

/// Returns the error for a result that is gone.
fn gone() -> Error {
    Error::Conflict("The job was deleted or restarted. Try again.".to_owned())
}

/// A row with its record in the file.
pub(crate) struct WholeRow {
    pub row: Transaction,
    pub raw: String,
    /// The values of the row's first fields, unquoted.
    pub fields: Vec<String>,
    /// The number of fields after them.
    pub more_fields: usize,
}

impl Wanted {
    /// Yields the parts of the file that contain these rows.
    fn parts(&self) -> impl Iterator<Item = Part> {
        let start = self.chunk.byte_start as u64;
        let segments = self.verdicts.segments(&self.rows).into_iter();
        segments.map(move |segment| {
            let end = segment.end.map(|end| start + u64::from(end));
            Part {
                bytes: start + u64::from(segment.start)..end.unwrap_or(self.chunk.byte_end as u64),
                first_row: self.chunk.first_row as u64,
                first_line: self.chunk.line_after(segment.lines),
                segment_row: segment.first_row,
                rows: self.rows.clone(),
                verdicts: self.verdicts.clone(),
            }
        })
    }
}

/// Rows that are read together. Only some of them may be wanted.
struct Part {
    /// The byte range in the file.
    bytes: Range<u64>,
    /// The number of the chunk's first row.
    first_row: u64,
    /// The line on which the segment starts.
    first_line: Option<u64>,
    segment_row: u32,
    rows: Vec<Range<u32>>,
    verdicts: Arc<Verdicts>,
}

impl Part {
    /// Calls `on_row` with each wanted row.
    fn each(&self, layout: &Layout, bytes: &[u8], mut on_row: impl FnMut(&Row<'_>)) {
        let first = self.first_row + u64::from(self.segment_row);
        let verdicts = self.verdicts.from_row(self.segment_row);
        let mut rows = self.rows.iter().peekable();
        read_rows(
            layout,
            bytes,
            first,
            self.first_line,
            verdicts,
            |candidate| {
                let row = (candidate.row_number() - self.first_row) as u32;
                while rows.next_if(|range| range.end <= row).is_some() {}
                if rows.peek().is_some_and(|range| range.contains(&row)) {
                    on_row(&candidate.row());
                }
            },
        );
    }
}

/// Returns the size of a row's texts in a response, in bytes.
pub(super) fn shown_bytes(row: &Transaction) -> u64 {
    let texts = [&row.transaction_id, &row.description, &row.error_message];
    texts
        .into_iter()
        .flatten()
        .map(|text| text.len() as u64)
        .sum()
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    spawn_blocking(work)
        .await
        .map_err(|error| Error::Internal(error.into()))
}
