//! Where a file's rows are: the header, then slices that are scanned independently of each other and put together.
//!
//! Whether a byte of a CSV file is inside quotes depends on all bytes before it, so nobody can start reading in the
//! middle and be certain. But a line end that isn't inside quotes is the end of a record, and most are not. So each
//! slice is scanned from its first line end on, as if a record started there, on any core and in any order. The
//! [`Planner`] then takes the slices in the order of the file: it reads the last record of one slice on into the next,
//! and if that record ends exactly where the next slice began to scan, the assumption was right. Otherwise the next
//! slice is scanned once more from the place that is known now. The result is that of one pass from the beginning;
//! only the time depends on how often the assumption fails.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use super::{
    FileError, Layout,
    decode::Decoder,
    header,
    record::Record,
    records::{EndOf, Records},
};
use crate::{duplicates::IdHasher, rules::Rules};

/// A part of the stored file from the first byte of a row to the end of a row. What lies between
/// two chunks, or after the last one, are skipped records. If the last row of a chunk is too large, the chunk ends
/// where the row became so: nobody needs to read the rest of it.
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
    pub rows: u32,
}

/// The id of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowId {
    /// By the [`IdHasher`] that the file is planned with.
    pub hash: u128,
    /// Counted from the chunk's first row, which is 0.
    pub row: u32,
    /// Whether the id makes later rows with the same id duplicates. Otherwise it is shown, and nothing else.
    pub counts: bool,
}

/// Receives the chunks of a file in their order.
pub trait PlanSink {
    /// `ids` has the ids of the chunk's rows, in their order.
    fn chunk(&mut self, chunk: ChunkRange, ids: Vec<RowId>);
}

/// The beginning of a stored file, up to the decision on its header. What it keeps is bounded by the limit for the
/// header.
pub struct Head {
    decoder: Decoder,
    text: Vec<u8>,
    /// Bytes that were fed.
    bytes: u64,
}

/// Where the header ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadEnd {
    pub layout: Layout,
    /// Where the records after the header start, in bytes of the stored file.
    pub rows_start: u64,
}

/// There is enough text to decide on the header.
struct Enough;

impl Head {
    #[expect(
        clippy::new_without_default,
        reason = "an empty head is a beginning, not a default"
    )]
    pub fn new() -> Self {
        Self {
            decoder: Decoder::new(),
            text: Vec::new(),
            bytes: 0,
        }
    }

    /// Takes the next bytes of the file. Returns `None` while more are needed; after `Some` nothing more may be fed.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<HeadEnd>, FileError> {
        self.bytes += bytes.len() as u64;
        let head = &mut self.text;
        let pushed = self.decoder.push(bytes, &mut |_, text| {
            let lacking = header::ENOUGH_TEXT - head.len();
            head.extend_from_slice(text.get(..lacking).unwrap_or(text));
            match head.len() {
                header::ENOUGH_TEXT => Err(Enough),
                _ => Ok(()),
            }
        });
        match pushed {
            Ok(()) => Ok(None),
            Err(Enough) => self.end().map(Some),
        }
    }

    /// The file has no more bytes.
    pub fn finish(mut self) -> Result<HeadEnd, FileError> {
        let decoder = std::mem::replace(&mut self.decoder, Decoder::new());
        let mut found = decoder.found();
        let text = &mut self.text;
        let Ok(()) = decoder.finish(&mut |at_the_end, rest| {
            found = at_the_end;
            text.extend_from_slice(rest);
            Ok::<(), Infallible>(())
        });
        self.decide(found)
    }

    fn end(&self) -> Result<HeadEnd, FileError> {
        self.decide(self.decoder.found())
    }

    fn decide(&self, (encoding, mark): (super::Encoding, u64)) -> Result<HeadEnd, FileError> {
        let (layout, end) = header::find(encoding, &self.text)?;
        let rows_start = mark + encoding.stored_len(&self.text[..end]);
        Ok(HeadEnd {
            layout,
            // An odd last byte of UTF-16 was counted as two.
            rows_start: rows_start.min(self.bytes),
        })
    }
}

/// What was found in a slice of the stored file, and the record that goes on after it.
pub struct ScannedSlice {
    /// Where the slice starts in the stored file.
    start: u64,
    /// Where the scan began. `None` if it didn't, for want of a line end.
    from: Option<u64>,
    decoder: Decoder,
    records: Records,
    rows: Rows,
}

/// The rows of a chunk to be.
struct Rows {
    rules: Rules,
    hasher: IdHasher,
    start: u64,
    end: u64,
    count: u32,
    ids: Vec<RowId>,
}

impl Rows {
    #[inline]
    fn add(&mut self, layout: &Layout, record: &Record<'_>) {
        if self.count == 0 {
            self.start = record.start;
        }
        self.end = record.end;
        if let Some((id, counts)) = self.rules.shown_id(layout, record) {
            self.ids.push(RowId {
                hash: self.hasher.hash(id),
                row: self.count,
                counts,
            });
        }
        // A slice and a record have far fewer than 2^32 bytes.
        self.count += 1;
    }
}

/// Scans a slice of the stored file. It starts at byte `start`, with a record if `at_record` says so and anywhere
/// otherwise; in UTF-16 between two units.
pub fn scan_slice(
    layout: &Layout,
    hasher: &IdHasher,
    start: u64,
    at_record: bool,
    bytes: &[u8],
) -> ScannedSlice {
    let skipped = match at_record {
        true => Some(0),
        false => layout.encoding.after_line_end(bytes),
    };
    let from = skipped.map(|skipped| start + skipped as u64);
    let mut slice = ScannedSlice {
        start,
        from,
        decoder: Decoder::within(layout.encoding),
        records: Records::new(layout.delimiter, layout.encoding, from.unwrap_or(start)),
        rows: Rows {
            rules: Rules::default(),
            hasher: hasher.clone(),
            start: 0,
            end: 0,
            count: 0,
            // One allocation for rows of 32 bytes and more.
            ids: Vec::with_capacity(bytes.len() / 32),
        },
    };
    if let Some(skipped) = skipped {
        slice.read_on(layout, &bytes[skipped..], u64::MAX);
    }
    slice
}

impl ScannedSlice {
    /// Reads on in the bytes that follow, until a record has ended at byte `until` of the stored file or after it.
    /// Returns where, or `None` if the bytes end before.
    fn read_on(&mut self, layout: &Layout, bytes: &[u8], until: u64) -> Option<u64> {
        let (records, rows) = (&mut self.records, &mut self.rows);
        let pushed = self
            .decoder
            .push(bytes, &mut |_, text| match records.push_until(
                text,
                until,
                &mut |record: &Record<'_>| rows.add(layout, record),
            ) {
                Some(end) => Err(end),
                None => Ok(()),
            });
        pushed.err()
    }
}

/// Puts the slices of a file together. What it keeps is one slice's ids and one record.
pub struct Planner {
    layout: Layout,
    hasher: IdHasher,
    /// The slice that goes on.
    open: Option<ScannedSlice>,
    rows: u64,
    chunks: u32,
    /// Where the bytes end that were fed.
    end: u64,
}

impl Planner {
    pub fn new(layout: Layout, hasher: IdHasher) -> Self {
        Self {
            layout,
            hasher,
            open: None,
            rows: 0,
            chunks: 0,
            end: 0,
        }
    }

    /// Takes the next slice and its bytes. The first one starts where the records after the header do.
    pub fn push(&mut self, slice: ScannedSlice, bytes: &[u8], sink: &mut impl PlanSink) {
        self.end = slice.start + bytes.len() as u64;
        let Some(open) = &mut self.open else {
            self.open = Some(slice);
            return;
        };
        let until = slice.from.unwrap_or(u64::MAX);
        let Some(end) = open.read_on(&self.layout, bytes, until) else {
            // Its last record goes on after this slice, too.
            return;
        };
        let next = if end == until {
            slice
        } else {
            let rest = &bytes[(end - slice.start) as usize..];
            scan_slice(&self.layout, &self.hasher, end, true, rest)
        };
        self.close(sink);
        self.open = Some(next);
    }

    /// The file has no more slices. Returns the number of its rows.
    pub fn finish(mut self, sink: &mut impl PlanSink) -> u64 {
        if let Some(open) = self.open.take() {
            let (mut records, mut rows) = (open.records, open.rows);
            let layout = &self.layout;
            let mut on_record = |record: &Record<'_>| rows.add(layout, record);
            let Ok(()) = open.decoder.finish(&mut |_, text| {
                records.push(text, &mut on_record);
                Ok::<(), Infallible>(())
            });
            records.finish(EndOf::File, &mut on_record);
            self.emit(rows, sink);
        }
        self.rows
    }

    fn close(&mut self, sink: &mut impl PlanSink) {
        if let Some(open) = self.open.take() {
            self.emit(open.rows, sink);
        }
    }

    fn emit(&mut self, rows: Rows, sink: &mut impl PlanSink) {
        if rows.count == 0 {
            return;
        }
        let chunk = ChunkRange {
            number: self.chunks,
            start: rows.start,
            // An odd last byte of UTF-16 was counted as two.
            end: rows.end.min(self.end),
            first_row: self.rows + 1,
            rows: rows.count,
        };
        self.chunks += 1;
        self.rows += u64::from(rows.count);
        sink.chunk(chunk, rows.ids);
    }
}
