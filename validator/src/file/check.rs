//! Validates the rows of a chunk or of a whole file, and reads rows whose verdicts are known.

use std::{collections::VecDeque, convert::Infallible};

use super::{
    FileError, Layout,
    decode::Decoder,
    reader::{Given, Presumed, Reader, RowSink},
    record::Record,
    records::{EndOf, Records},
};
use crate::{
    Counts, DateOrder, Decimal, RowSet, Summary, Verdict, Verdicts,
    csv::{Cell, CsvForm, row_cells},
    duplicates::{IdHasher, SeenIds},
    format::{CompletedFormat, Evidence, Reading},
    row::{Row, Texts},
    rules::Rules,
    summary::Tally,
};

/// Validates one chunk of the stored file. `bytes` are exactly the bytes of the chunk. `duplicates` are the rows of the
/// chunk whose id occurs in an earlier row of the file.
pub fn validate_chunk(layout: &Layout, bytes: &[u8], duplicates: &RowSet) -> (Summary, Verdicts) {
    let mut tally = Tally::new();
    let mut verdicts = Verdicts::default();
    let mut rules = Rules::default();
    let mut duplicates = duplicates.cursor();
    read_records(layout, bytes, |record: &Record<'_>| {
        let row = verdicts.rows();
        let validated = rules.validate(layout, record, |_| duplicates.contains(row));
        tally.add(&validated);
        // A chunk has far fewer than 2^32 bytes.
        verdicts.push(validated.verdict, record.start as u32, record.lines as u32);
    });
    (tally.summary(), verdicts)
}

/// Reads rows whose verdicts are known. `bytes` start with the row `first_row`, which begins on the line `first_line`,
/// if known. `verdicts` yields the verdict on that row and on each row after it. Rows beyond the last verdict are
/// omitted.
pub fn read_rows(
    layout: &Layout,
    bytes: &[u8],
    first_row: u64,
    first_line: Option<u64>,
    verdicts: impl IntoIterator<Item = Verdict>,
    mut on_row: impl FnMut(&mut Candidate<'_>),
) {
    let mut row_number = first_row;
    let mut verdicts = verdicts.into_iter();
    let mut texts = Texts::default();
    read_records(layout, bytes, |record: &Record<'_>| {
        if let Some(verdict) = verdicts.next() {
            on_row(&mut Candidate {
                layout,
                record,
                row_number,
                line: first_line.map(|first| first + record.lines),
                verdict,
                texts: &mut texts,
            });
            row_number += 1;
        }
    });
}

/// Passes on the records of a part of a file that begins and ends at record boundaries.
fn read_records(layout: &Layout, bytes: &[u8], mut on_record: impl FnMut(&Record<'_>)) {
    let mut decoder = Decoder::within(layout.encoding);
    let mut records = Records::new(layout.delimiter, layout.encoding, 0);
    let mut on_text = |_, text: &[u8]| {
        records.push(text, &mut on_record);
        Ok::<(), Infallible>(())
    };
    let Ok(()) = decoder.push(bytes, &mut on_text);
    let Ok(()) = decoder.finish(&mut on_text);
    records.finish(EndOf::Chunk, &mut on_record);
}

/// A row that a reader may want. Its verdict is known; everything else is read on demand.
pub struct Candidate<'a> {
    layout: &'a Layout,
    record: &'a Record<'a>,
    row_number: u64,
    line: Option<u64>,
    verdict: Verdict,
    texts: &'a mut Texts,
}

impl Candidate<'_> {
    pub fn row_number(&self) -> u64 {
        self.row_number
    }

    /// Returns the line on which the row starts, counted from 1, or `None` if unknown.
    pub fn line(&self) -> Option<u64> {
        self.line
    }

    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    pub fn layout(&self) -> &Layout {
        self.layout
    }

    /// Returns the id and the description that [`Self::row`] shows.
    pub fn texts(&mut self) -> (Option<&str>, Option<&str>) {
        self.texts.read(self.layout, self.record, self.verdict)
    }

    /// Appends the row to `out` in the given format of `results.csv`.
    pub fn write_csv(&mut self, form: CsvForm, out: &mut Vec<u8>) {
        let layout = self.layout;
        form.write_row(layout, &self.row(), out);
    }

    /// Passes the row's cells in a download to `on_cell`. `with_read` is that of [`header_cells`](crate::header_cells).
    pub fn cells(&mut self, with_read: bool, on_cell: impl FnMut(Cell<'_>)) {
        let layout = self.layout;
        row_cells(layout, &self.row(), with_read, on_cell);
    }

    pub fn row(&mut self) -> Row<'_> {
        Row::new(
            self.layout,
            self.record,
            (self.row_number, self.line),
            self.verdict,
            self.texts,
        )
    }
}

/// Returns the same verdicts from a single pass over a file that is fed in slices of any size. Holds the seen ids in
/// memory, at 16 bytes per row plus the overhead of a hash table. After an error nothing more may be fed.
///
/// What only all rows together can decide is presumed at first. If the rows prove otherwise, the file must be fed once
/// more to a checker that presumes what they proved.
pub struct Checker {
    reader: Reader,
    rows: Rows,
}

struct Rows {
    seen: SeenIds,
    /// Hashes of the ids that count in the rows seen ahead.
    hashes: VecDeque<Option<u128>>,
    rules: Rules,
    texts: Texts,
    tally: Tally,
    evidence: Evidence,
    scratch: Vec<u8>,
}

/// The result at the end of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    Done(Box<(Layout, Reading, Summary)>),
    /// The rows were read under another assumption than this, which they prove.
    Again(Presumed),
}

impl Checker {
    /// A random `hash_key` prevents anyone from constructing a file with colliding ids.
    pub fn new(hash_key: [u8; 16], format: impl Into<CompletedFormat>, presumed: Presumed) -> Self {
        let format = format.into();
        Self {
            reader: Reader::new(Given { format, presumed }),
            rows: Rows {
                seen: SeenIds::new(IdHasher::new(hash_key)),
                hashes: VecDeque::new(),
                rules: Rules::default(),
                texts: Texts::default(),
                tally: Tally::new(),
                evidence: Evidence::default(),
                scratch: Vec::new(),
            },
        }
    }

    /// Returns `None` until enough was fed to decide on the header.
    pub fn layout(&self) -> Option<&Layout> {
        self.reader.head().map(|head| &head.layout)
    }

    /// Returns what the rows prove so far, if they were read under another assumption.
    pub fn contradiction(&self) -> Option<Presumed> {
        contradiction(self.layout()?, &self.rows.evidence)
    }

    /// Reserves memory for `times` as many ids as were seen so far, to avoid growing step by step.
    pub fn make_room(&mut self, times: f64) {
        self.rows.seen.make_room(times);
    }

    /// Returns the summary of the rows read so far.
    pub fn summary(&self) -> Summary {
        self.rows.tally.summary()
    }

    /// Returns the counts in [`Self::summary`].
    pub fn counts(&self) -> Counts {
        self.rows.tally.counts()
    }

    pub fn push(
        &mut self,
        bytes: &[u8],
        on_row: &mut impl FnMut(&mut Candidate<'_>),
    ) -> Result<(), FileError> {
        self.push_to(bytes, on_row)
    }

    // Not generic, so that it is compiled in this crate, which is optimized for speed. The calling crate is optimized
    // for size in the browser.
    fn push_to(&mut self, bytes: &[u8], on_row: OnRow<'_>) -> Result<(), FileError> {
        let rows = &mut self.rows;
        self.reader.push(bytes, &mut RowsTo { rows, on_row })
    }

    pub fn finish(self, on_row: &mut impl FnMut(&mut Candidate<'_>)) -> Result<Checked, FileError> {
        self.finish_to(on_row)
    }

    fn finish_to(self, on_row: OnRow<'_>) -> Result<Checked, FileError> {
        let mut rows = self.rows;
        let sink = &mut RowsTo {
            rows: &mut rows,
            on_row,
        };
        let mut head = self.reader.finish(sink)?;
        head.text.finish();
        if let Some(presumed) = contradiction(&head.layout, &rows.evidence) {
            return Ok(Checked::Again(presumed));
        }
        let (layout, reading) = head.decide(&rows.evidence, &head.text)?;
        let summary = rows.tally.summary();
        Ok(Checked::Done(Box::new((layout, reading, summary))))
    }
}

fn contradiction(layout: &Layout, evidence: &Evidence) -> Option<Presumed> {
    // Without evidence, or with evidence for both, the assumption stays, because reading the file again would gain
    // nothing.
    let decimal = match (&evidence.point, &evidence.comma) {
        (Some(_), None) => Decimal::Point,
        (None, Some(_)) => Decimal::Comma,
        _ => layout.decimal(),
    };
    let date_order = match (&evidence.day_first, &evidence.month_first) {
        (Some(_), None) => Some(DateOrder::Dmy),
        (None, Some(_)) => Some(DateOrder::Mdy),
        _ => layout.date_order(),
    };
    let is_other = (layout.asks_for_decimal() && decimal != layout.decimal())
        || (layout.asks_for_date_order() && date_order != layout.date_order());
    is_other.then_some(Presumed {
        decimal: Some(decimal),
        date_order,
    })
}

type OnRow<'a> = &'a mut dyn FnMut(&mut Candidate<'_>);

/// Passes rows on with their verdicts.
struct RowsTo<'a> {
    rows: &'a mut Rows,
    on_row: OnRow<'a>,
}

impl RowSink for RowsTo<'_> {
    #[inline]
    fn row(&mut self, layout: &Layout, record: &Record<'_>) {
        let Rows {
            seen,
            hashes,
            rules,
            texts,
            tally,
            evidence,
            scratch,
        } = &mut *self.rows;
        let hash = hashes.pop_front().flatten();
        let validated = rules.validate(layout, record, |id| {
            !seen.insert_hash(hash.unwrap_or_else(|| seen.hash(id)))
        });
        tally.add(&validated);
        if !validated.verdict.is_broken() && !validated.verdict.is_ignored() {
            evidence.add(layout, record, tally.rows(), scratch);
        } else {
            evidence.add_broken(record, tally.rows(), validated.verdict);
        }
        (self.on_row)(&mut Candidate {
            layout,
            record,
            row_number: tally.rows(),
            line: Some(1 + record.lines),
            verdict: validated.verdict,
            texts,
        });
    }

    #[inline]
    fn ahead<'r>(&mut self, layout: &Layout, records: impl Iterator<Item = Record<'r>>) {
        let Rows {
            seen,
            hashes,
            rules,
            ..
        } = &mut *self.rows;
        hashes.clear();
        hashes.extend(records.map(|record| {
            let id = rules.id_ahead(layout, &record)?;
            Some(seen.hash(id))
        }));
        seen.fetch(hashes.iter().flatten());
    }
}
