//! Finds the rows of a file: first the header, then slices that are scanned independently and put together.
//!
//! Whether a byte of a CSV file is inside quotes depends on all bytes before it, so reading can't safely start in the
//! middle. But a line end outside quotes ends a record, and most line ends are outside quotes. So each slice is scanned
//! from its first line end, as if a record started there, on any core and in any order. The [`Planner`] then processes
//! the slices in file order. It continues the last record of each slice into the next one. If that record ends exactly
//! where the scan of the next slice began, the assumption was right. Otherwise the next slice is scanned again from the
//! position that is now known. The result equals that of a single pass from the beginning; only the time depends on how
//! often the assumption fails.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use super::{
    FileError, Layout,
    decode::{Decoder, by_first_bytes},
    encoding::Encoding,
    header,
    lines::Lines,
    record::Record,
    records::{EndOf, Records},
};
use crate::{
    Verdict,
    duplicates::IdHasher,
    format::{
        CompletedFormat, Decision, Evidence, Format, Question, Reading, Source, decide,
        encoding_question,
    },
    rules::{Rules, is_ignored, row_error},
    text_kind::TextKind,
};

/// A part of the stored file, from the first byte of a row to the end of a row. Bytes between two chunks or after the
/// last one are skipped records. If the last row of a chunk is too large, the chunk ends where the row exceeded the
/// limit, because the rest is never read.
///
/// Offsets are in bytes of the stored file, even if it is UTF-16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkRange {
    /// Counted from 0.
    pub number: u32,
    pub start: u64,
    /// Exclusive, and greater than `start`.
    pub end: u64,
    /// The number of the chunk's first row. The rows of a file are counted from 1.
    pub first_row: u64,
    /// The number of the line on which that row starts. The lines of a file are counted from 1. `None` in a plan of an
    /// earlier version.
    #[serde(default)]
    pub first_line: Option<u64>,
    /// The number of rows, at least 1, including ignored ones.
    pub rows: u32,
    /// The number of rows that are not transactions.
    #[serde(default)]
    pub ignored: u32,
}

/// The id of a row, in 16 bytes, because a slice may have a million rows: 96 bits of the hash, the row, and whether it
/// doesn't count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowId(u128);

impl RowId {
    /// The bits of the row and of whether it counts.
    const ROW_BITS: u32 = 32;

    /// `row` must be less than 2^31.
    pub fn new(hash: u128, row: u32, counts: bool) -> Self {
        let row = (row << 1) | u32::from(!counts);
        Self((hash >> Self::ROW_BITS << Self::ROW_BITS) | u128::from(row))
    }

    /// Returns the first 96 bits of the hash by the [`IdHasher`] with which the file is planned, followed by zeros.
    pub fn hash(self) -> u128 {
        self.0 >> Self::ROW_BITS << Self::ROW_BITS
    }

    /// Returns the number of the row, counted from the chunk's first row, which is 0.
    pub fn row(self) -> u32 {
        self.0 as u32 >> 1
    }

    /// Returns whether the id makes later rows with the same id duplicates. Otherwise it is only shown.
    pub fn counts(self) -> bool {
        self.0 & 1 == 0
    }
}

/// Receives the chunks of a file in their order.
pub trait PlanSink {
    /// `ids` are the ids of the chunk's rows, in their order.
    fn chunk(&mut self, chunk: ChunkRange, ids: Vec<RowId>);
}

/// The beginning of a stored file, up to the decision on its header. Memory is bounded by the limit for the header.
pub struct Head {
    format: CompletedFormat,
    decoder: Decoder,
    text: Vec<u8>,
    /// The number of bytes fed.
    bytes: u64,
}

/// The result of finding the header.
#[derive(Debug, Clone)]
pub struct HeadEnd {
    /// The layout without the decisions that need the rows.
    pub layout: Layout,
    /// The offset of the first record after the header, in bytes of the stored file.
    pub rows_start: u64,
    pub(super) decisions: Vec<Decision>,
    /// The kind of the text before the rows.
    pub(super) text: TextKind,
    /// The line ends of the text before the rows.
    pub(super) lines: Lines,
    pub(super) format: CompletedFormat,
}

/// How a file is to be read, based on its whole content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The number of rows, including ignored ones.
    pub rows: u64,
    /// The number of rows that are not transactions.
    pub ignored: u64,
    pub layout: Layout,
    pub reading: Reading,
}

impl HeadEnd {
    pub(super) fn find(
        (encoding, bom): (Encoding, u64),
        text: &[u8],
        completed: &CompletedFormat,
    ) -> Result<(Self, usize), FileError> {
        let format = completed.format();
        let mut found = header::find(encoding, text, format)?;
        found.layout.ask_about_saved(completed);
        let end = found.rows_start;
        let is_known = format.encoding.is_some() || encoding != Encoding::Utf8 || bom > 0;
        let mut kind = match is_known {
            true => TextKind::known(),
            false => TextKind::default(),
        };
        kind.push(&text[..end], false);
        let head = Self {
            layout: found.layout,
            rows_start: bom + encoding.stored_len(&text[..end]),
            decisions: found.decisions,
            text: kind,
            lines: Lines::of(&text[..end]),
            format: completed.clone(),
        };
        Ok((head, end))
    }

    /// Returns the layout with everything that the rows decide, and the reasons.
    pub(super) fn decide(
        &self,
        evidence: &Evidence,
        text: &TextKind,
    ) -> Result<(Layout, Reading), FileError> {
        let (layout, decided) = decide(&self.layout, evidence, text, &self.format)
            .map_err(|asked| FileError::Questions(asked.into()))?;
        let mut decisions = self.decisions.clone();
        decisions.extend(decided);
        let format = self.format.format();
        let mut reading = Reading {
            format: layout.format(format.container, format.sheet.clone()),
            decisions,
        };
        reading.mark_saved(self.format.given());
        Ok((layout, reading))
    }
}

impl Reading {
    /// Marks the keys that aren't given for the file itself as taken from a saved format.
    fn mark_saved(&mut self, given: &Format) {
        let given = given.to_value();
        for decision in &mut self.decisions {
            let value = match decision.key.split_once('.') {
                Some((outer, inner)) => given.get(outer).and_then(|it| it.get(inner)),
                None => given.get(&decision.key),
            };
            if decision.source == Source::Given && value.is_none() {
                decision.source = Source::Saved;
            }
        }
    }
}

/// Detects whether a file without a known header is in a legacy encoding, which then becomes a question.
pub struct EncodingProbe {
    text: TextKind,
    format: Format,
    /// The beginning of the file, as far as a header can reach.
    head: Vec<u8>,
}

impl EncodingProbe {
    pub fn new(format: &Format) -> Self {
        Self {
            text: match format.encoding {
                Some(_) => TextKind::known(),
                None => TextKind::default(),
            },
            format: format.clone(),
            head: Vec::new(),
        }
    }

    /// Adds the next bytes of the file. The first call needs at least 1,024 bytes unless the file is shorter.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.head.is_empty() && by_first_bytes(bytes).is_some() {
            self.text = TextKind::known();
        }
        let lacking = header::HEADER_BYTES.saturating_sub(self.head.len());
        self.head
            .extend_from_slice(bytes.get(..lacking).unwrap_or(bytes));
        self.text.push(bytes, false);
    }

    /// Returns the error. If it has questions, the question for the encoding comes first.
    pub fn finish(mut self, error: FileError) -> FileError {
        self.text.finish();
        match error {
            FileError::Questions(questions)
                if self.text.is_legacy() && questions.iter().all(|it| it.key != "encoding") =>
            {
                let mut questions = Vec::from(questions);
                let encoding = encoding_question(&[], &self.text);
                if let Some(asked) = questions.iter_mut().find(|it| it.key == "columns")
                    && let Some(readable) = self.columns_under(&encoding)
                {
                    *asked = readable;
                }
                questions.insert(0, encoding);
                FileError::Questions(questions.into())
            }
            error => error,
        }
    }

    /// Returns the question for the columns under the suggested encoding, in which their names are readable.
    fn columns_under(&self, encoding: &Question) -> Option<Question> {
        let label = encoding.suggestion.as_ref()?.as_str()?;
        let encoding = Encoding::from_label(label)?;
        let format = Format {
            encoding: Some(encoding),
            ..self.format.clone()
        };
        let text = header::text_of(&self.head, Some(encoding));
        let error = header::find(encoding, &text, &format).err()?;
        let asked = error.questions().iter().find(|it| it.key == "columns");
        asked.cloned()
    }
}

/// Signals that there is enough text to decide on the header.
struct Enough;

impl Head {
    pub fn new(format: impl Into<CompletedFormat>) -> Self {
        let format = format.into();
        Self {
            decoder: Decoder::new(format.format().encoding),
            format,
            text: Vec::new(),
            bytes: 0,
        }
    }

    /// Adds the next bytes of the file. Returns `None` while more are needed. After `Some` nothing more may be fed.
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

    /// Marks the end of the file.
    pub fn finish(mut self) -> Result<HeadEnd, FileError> {
        let decoder = std::mem::replace(&mut self.decoder, Decoder::new(None));
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

    fn decide(&self, found: (Encoding, u64)) -> Result<HeadEnd, FileError> {
        let (mut end, _) = HeadEnd::find(found, &self.text, &self.format)?;
        // An odd last byte of UTF-16 was counted as two.
        end.rows_start = end.rows_start.min(self.bytes);
        Ok(end)
    }
}

/// The rows found in a slice of the stored file, and the record that continues after it.
pub struct ScannedSlice {
    /// The offset of the slice in the stored file.
    start: u64,
    /// Where the scan began. `None` if it couldn't begin for lack of a line end.
    from: Option<u64>,
    /// Whether the slice was scanned and is ASCII.
    is_ascii: bool,
    decoder: Decoder,
    records: Records,
    rows: Rows,
}

/// The rows of a future chunk.
struct Rows {
    rules: Rules,
    hasher: IdHasher,
    start: u64,
    end: u64,
    /// The number of line ends before the first row, from where the scan began.
    lines: u64,
    count: u32,
    ignored: u32,
    ids: Vec<RowId>,
    evidence: Evidence,
    scratch: Vec<u8>,
}

impl Rows {
    #[inline]
    fn add(&mut self, layout: &Layout, record: &Record<'_>) {
        if self.count == 0 {
            self.start = record.start;
            self.lines = record.lines;
        }
        self.end = record.end;
        let row = self.count;
        // A slice and a record have far fewer than 2^31 bytes.
        self.count += 1;
        if !layout.ignore().is_empty() && is_ignored(layout, record) {
            self.ignored += 1;
            return;
        }
        let error = row_error(layout, record);
        match error {
            None => self
                .evidence
                .add(layout, record, row.into(), &mut self.scratch),
            Some(error) => {
                let verdict = Verdict::VALID.with_error(error);
                self.evidence.add_broken(record, row.into(), verdict);
            }
        }
        if let Some((id, counts)) = self.rules.shown_id(layout, record, error.is_none()) {
            let hash = self.hasher.hash(id);
            self.ids.push(RowId::new(hash, row, counts));
        }
    }
}

/// Scans a slice of the stored file that starts at byte `start`. If `at_record` is set, a record starts there;
/// otherwise it may be any position, which in UTF-16 must lie between two units.
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
        is_ascii: false,
        decoder: Decoder::within(layout.encoding),
        records: Records::new(layout.delimiter, layout.encoding, from.unwrap_or(start)),
        rows: Rows {
            rules: Rules::default(),
            hasher: hasher.clone(),
            start: 0,
            end: 0,
            lines: 0,
            count: 0,
            ignored: 0,
            evidence: Evidence::default(),
            scratch: Vec::new(),
            // A single allocation for rows of 32 bytes and more.
            ids: Vec::with_capacity(bytes.len() / 32),
        },
    };
    if let Some(skipped) = skipped {
        slice.read_on(layout, &bytes[skipped..], u64::MAX);
        slice.is_ascii = bytes[..skipped].is_ascii() && slice.records.are_ascii();
    }
    slice
}

impl ScannedSlice {
    /// Continues in the bytes that follow, until a record ends at byte `until` of the stored file or after it. Returns
    /// that end, or `None` if the bytes end first.
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

/// Puts the slices of a file together. Keeps the ids of one slice, and one record.
pub struct Planner {
    head: HeadEnd,
    text: TextKind,
    evidence: Evidence,
    ignored: u64,
    hasher: IdHasher,
    /// The slice whose last record is still open.
    open: Option<ScannedSlice>,
    /// The line ends of the text before the open slice.
    lines: Lines,
    rows: u64,
    chunks: u32,
    /// Where the bytes fed so far end.
    end: u64,
}

impl Planner {
    pub fn new(head: HeadEnd, hasher: IdHasher) -> Self {
        Self {
            text: head.text.clone(),
            lines: head.lines,
            head,
            evidence: Evidence::default(),
            ignored: 0,
            hasher,
            open: None,
            rows: 0,
            chunks: 0,
            end: 0,
        }
    }

    /// Adds the next slice and its bytes. The first one must start at the first record after the header.
    pub fn push(&mut self, slice: ScannedSlice, bytes: &[u8], sink: &mut impl PlanSink) {
        self.end = slice.start + bytes.len() as u64;
        self.text.push(bytes, slice.is_ascii);
        let Some(open) = &mut self.open else {
            self.open = Some(slice);
            return;
        };
        let until = slice.from.unwrap_or(u64::MAX);
        let Some(end) = open.read_on(&self.head.layout, bytes, until) else {
            // The last record of the open slice continues after this slice, too.
            return;
        };
        let next = if end == until {
            slice
        } else {
            let rest = &bytes[(end - slice.start) as usize..];
            scan_slice(&self.head.layout, &self.hasher, end, true, rest)
        };
        self.close(sink);
        self.open = Some(next);
    }

    /// Marks the end of the file.
    pub fn finish(mut self, sink: &mut impl PlanSink) -> Result<Plan, FileError> {
        if let Some(open) = self.open.take() {
            let (mut records, mut rows) = (open.records, open.rows);
            let layout = &self.head.layout;
            let mut on_record = |record: &Record<'_>| rows.add(layout, record);
            let Ok(()) = open.decoder.finish(&mut |_, text| {
                records.push(text, &mut on_record);
                Ok::<(), Infallible>(())
            });
            let lines = records.lines();
            records.finish(EndOf::File, &mut on_record);
            self.emit(rows, lines, sink);
        }
        self.text.finish();
        let (layout, reading) = self.head.decide(&self.evidence, &self.text)?;
        Ok(Plan {
            rows: self.rows,
            ignored: self.ignored,
            layout,
            reading,
        })
    }

    fn close(&mut self, sink: &mut impl PlanSink) {
        if let Some(open) = self.open.take() {
            let lines = open.records.lines();
            self.emit(open.rows, lines, sink);
        }
    }

    /// `lines` are the line ends of the text with the rows, from where its scan began.
    fn emit(&mut self, rows: Rows, lines: Lines, sink: &mut impl PlanSink) {
        let before = self.lines;
        self.lines = before.followed_by(lines);
        // An LF that completes a CRLF begun earlier is counted on neither side.
        let first_line = 1 + rows.lines + self.lines.count() - lines.count();
        if rows.count == 0 {
            return;
        }
        let chunk = ChunkRange {
            number: self.chunks,
            start: rows.start,
            // An odd last byte of UTF-16 was counted as two.
            end: rows.end.min(self.end),
            first_row: self.rows + 1,
            first_line: Some(first_line),
            rows: rows.count,
            ignored: rows.ignored,
        };
        self.evidence.append(self.rows, rows.evidence);
        self.ignored += u64::from(rows.ignored);
        self.chunks += 1;
        self.rows += u64::from(rows.count);
        sink.chunk(chunk, rows.ids);
    }
}
