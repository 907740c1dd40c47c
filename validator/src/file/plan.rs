//! One pass over a stored file that cuts it into chunks.

use serde::{Deserialize, Serialize};

use super::{FileError, Layout, reader::Reader, records::Record};
use crate::row::Judge;

/// A part of the stored file from the first byte of a row to the end of a row. What lies between
/// two chunks, or after the last one, are skipped records. A row that is too large is the last of
/// its chunk, and the chunk ends where the row became so: nobody needs to read the rest of it.
///
/// Offsets are in bytes of the stored file, also for UTF-16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkRange {
    /// Counts from 0.
    pub number: u32,
    pub start: u64,
    /// Exclusive, and greater than `start`.
    pub end: u64,
    /// Number of the chunk's first row; a file's rows count from 1.
    pub first_row: u64,
    /// At least 1.
    pub rows: u64,
}

/// Receives what planning finds. First come the ids of a chunk's rows, then the chunk.
pub trait PlanSink {
    /// The trimmed id of a row, if it counts for duplicates.
    fn id(&mut self, row_number: u64, id: &[u8]);
    fn chunk(&mut self, chunk: ChunkRange);
}

/// What a file's plan is besides the chunks and ids, which went to the sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub layout: Layout,
    /// Data rows; without any there are no chunks.
    pub rows: u64,
}

/// One pass over a stored file, fed in slices of any size. What it keeps is bounded by the limits for
/// the header and for records, however long the file or a record is. After an error nothing more may
/// be fed.
pub struct Planner {
    reader: Reader,
    cutter: Cutter,
}

impl Planner {
    /// A chunk has at most `target_chunk_bytes`, unless it is a single row.
    pub fn new(target_chunk_bytes: u64) -> Self {
        Self {
            reader: Reader::new(),
            cutter: Cutter {
                target_chunk_bytes,
                stored_bytes: 0,
                rows: 0,
                open: None,
                next_number: 0,
                judge: Judge::default(),
            },
        }
    }

    pub fn push(&mut self, bytes: &[u8], sink: &mut impl PlanSink) -> Result<(), FileError> {
        self.cutter.stored_bytes += bytes.len() as u64;
        let cutter = &mut self.cutter;
        self.reader.push(bytes, &mut |layout, record| {
            cutter.row(layout, record, sink)
        })
    }

    pub fn finish(self, sink: &mut impl PlanSink) -> Result<Plan, FileError> {
        let mut cutter = self.cutter;
        let layout = self
            .reader
            .finish(&mut |layout, record| cutter.row(layout, record, sink))?;
        cutter.close(sink);
        Ok(Plan {
            layout,
            rows: cutter.rows,
        })
    }
}

struct Cutter {
    target_chunk_bytes: u64,
    /// Bytes of the file that were fed.
    stored_bytes: u64,
    rows: u64,
    open: Option<ChunkRange>,
    next_number: u32,
    judge: Judge,
}

impl Cutter {
    fn row(&mut self, layout: &Layout, record: &Record<'_>, sink: &mut impl PlanSink) {
        // An odd last byte of UTF-16 was counted as two.
        let end = record.end.min(self.stored_bytes);
        if self
            .open
            .is_some_and(|open| end - open.start > self.target_chunk_bytes)
        {
            self.close(sink);
        }
        self.rows += 1;
        if let Some(id) = self.judge.id_for_duplicates(layout, record) {
            sink.id(self.rows, id.as_bytes());
        }
        let chunk = self.open.get_or_insert(ChunkRange {
            number: self.next_number,
            start: record.start,
            end,
            first_row: self.rows,
            rows: 0,
        });
        chunk.end = end;
        chunk.rows += 1;
        if record.is_too_large() {
            self.close(sink);
        }
    }

    fn close(&mut self, sink: &mut impl PlanSink) {
        if let Some(chunk) = self.open.take() {
            self.next_number += 1;
            sink.chunk(chunk);
        }
    }
}
