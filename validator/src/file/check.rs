//! The verdicts on the rows of one chunk, or of a whole file.

use std::{
    convert::Infallible,
    iter::{Copied, Peekable},
    slice,
};

use super::{
    FileError, Layout,
    decode::Decoder,
    reader::Reader,
    records::{EndOf, Record, Records},
};
use crate::{
    Summary,
    duplicates::{IdHasher, SeenIds},
    row::{Judge, Row},
};

/// Validates one chunk of the stored file. `bytes` are exactly the bytes from its start to its end,
/// `first_row` is the number of its first row, and `duplicates` are the numbers of those of its rows
/// whose id stands in an earlier row of the file, ascending.
pub fn validate_chunk(
    layout: &Layout,
    bytes: &[u8],
    first_row: u64,
    duplicates: &[u64],
    mut on_row: impl FnMut(&Row<'_>),
) -> Summary {
    let mut findings = Summary::default();
    let mut chunk = Chunk::new(layout, duplicates);
    read_chunk(layout, bytes, first_row, |record, row_number| {
        let row = chunk.row(record, row_number);
        findings.add(&row);
        on_row(&row);
    });
    findings
}

/// Validates of one chunk only those rows that are wanted for their id and their description, as the row shows
/// them. The arguments are those of [`validate_chunk`].
pub fn validate_some(
    layout: &Layout,
    bytes: &[u8],
    first_row: u64,
    duplicates: &[u64],
    mut is_wanted: impl FnMut(Option<&str>, Option<&str>) -> bool,
    mut on_row: impl FnMut(&Row<'_>),
) {
    let mut chunk = Chunk::new(layout, duplicates);
    read_chunk(layout, bytes, first_row, |record, row_number| {
        let (id, description) = chunk.judge.texts(layout, record);
        if is_wanted(id, description) {
            on_row(&chunk.row(record, row_number));
        }
    });
}

/// Hands on the records of a chunk with their row numbers.
fn read_chunk(
    layout: &Layout,
    bytes: &[u8],
    first_row: u64,
    mut on_record: impl FnMut(&Record<'_>, u64),
) {
    let mut next_row = first_row;
    let mut on_record = |record: &Record<'_>| {
        on_record(record, next_row);
        next_row += 1;
    };
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

/// Gives the verdicts on rows of one chunk, in their order.
struct Chunk<'c> {
    layout: &'c Layout,
    judge: Judge,
    duplicates: Peekable<Copied<slice::Iter<'c, u64>>>,
}

impl<'c> Chunk<'c> {
    fn new(layout: &'c Layout, duplicates: &'c [u64]) -> Self {
        Self {
            layout,
            judge: Judge::default(),
            duplicates: duplicates.iter().copied().peekable(),
        }
    }

    fn row<'a>(&'a mut self, record: &'a Record<'_>, row_number: u64) -> Row<'a> {
        let duplicates = &mut self.duplicates;
        while duplicates
            .next_if(|&duplicate| duplicate < row_number)
            .is_some()
        {}
        let is_duplicate = |_: &str| duplicates.peek() == Some(&row_number);
        self.judge
            .judge(self.layout, record, row_number, is_duplicate)
    }
}

/// The same verdicts in a single pass over a file that is fed in slices of any size, with the seen
/// ids in memory: 16 bytes a row and what a hash table adds to them. After an error nothing more may
/// be fed.
pub struct Checker {
    reader: Reader,
    verdicts: Verdicts,
}

struct Verdicts {
    seen: SeenIds,
    judge: Judge,
    findings: Summary,
}

impl Checker {
    /// With a random `hash_key` nobody can write a file whose ids collide.
    pub fn new(hash_key: [u8; 16]) -> Self {
        Self {
            reader: Reader::new(),
            verdicts: Verdicts {
                seen: SeenIds::new(IdHasher::new(hash_key)),
                judge: Judge::default(),
                findings: Summary::default(),
            },
        }
    }

    /// `None` until enough was fed to decide on the header.
    pub fn layout(&self) -> Option<&Layout> {
        self.reader.layout()
    }

    /// Of the rows that were read so far.
    pub fn findings(&self) -> &Summary {
        &self.verdicts.findings
    }

    pub fn push(
        &mut self,
        bytes: &[u8],
        on_row: &mut impl FnMut(&Layout, &Row<'_>),
    ) -> Result<(), FileError> {
        let verdicts = &mut self.verdicts;
        self.reader.push(bytes, &mut |layout, record| {
            verdicts.row(layout, record, on_row);
        })
    }

    pub fn finish(
        self,
        on_row: &mut impl FnMut(&Layout, &Row<'_>),
    ) -> Result<(Layout, Summary), FileError> {
        let mut verdicts = self.verdicts;
        let layout = self.reader.finish(&mut |layout, record| {
            verdicts.row(layout, record, on_row);
        })?;
        Ok((layout, verdicts.findings))
    }
}

impl Verdicts {
    fn row(
        &mut self,
        layout: &Layout,
        record: &Record<'_>,
        on_row: &mut impl FnMut(&Layout, &Row<'_>),
    ) {
        let row_number = self.findings.counts.processed + 1;
        let is_duplicate = |id: &str| !self.seen.insert(id.as_bytes());
        let row = self.judge.judge(layout, record, row_number, is_duplicate);
        self.findings.add(&row);
        on_row(layout, &row);
    }
}
