//! The verdicts on the rows of one chunk, or of a whole file.

use std::convert::Infallible;

use super::{
    FileError, Layout,
    decode::Decoder,
    reader::Reader,
    records::{EndOf, Record, Records},
};
use crate::{
    Counts,
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
) -> Counts {
    let mut judge = Judge::default();
    let mut counts = Counts::default();
    let mut duplicates = duplicates.iter().copied().peekable();
    let mut on_record = |record: &Record<'_>| {
        let row_number = first_row + counts.processed;
        while duplicates
            .next_if(|&duplicate| duplicate < row_number)
            .is_some()
        {}
        let is_duplicate = |_: &str| duplicates.peek() == Some(&row_number);
        let row = judge.judge(layout, record, row_number, is_duplicate);
        count(&mut counts, &row);
        on_row(&row);
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
    counts
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
    counts: Counts,
}

impl Checker {
    /// With a random `hash_key` nobody can write a file whose ids collide.
    pub fn new(hash_key: [u8; 16]) -> Self {
        Self {
            reader: Reader::new(),
            verdicts: Verdicts {
                seen: SeenIds::new(IdHasher::new(hash_key)),
                judge: Judge::default(),
                counts: Counts::default(),
            },
        }
    }

    /// The rows that were read so far.
    pub fn counts(&self) -> Counts {
        self.verdicts.counts
    }

    pub fn push(
        &mut self,
        bytes: &[u8],
        on_row: &mut impl FnMut(&Row<'_>),
    ) -> Result<(), FileError> {
        let verdicts = &mut self.verdicts;
        self.reader.push(bytes, &mut |layout, record| {
            verdicts.row(layout, record, on_row);
        })
    }

    pub fn finish(self, on_row: &mut impl FnMut(&Row<'_>)) -> Result<(Layout, Counts), FileError> {
        let mut verdicts = self.verdicts;
        let layout = self.reader.finish(&mut |layout, record| {
            verdicts.row(layout, record, on_row);
        })?;
        Ok((layout, verdicts.counts))
    }
}

impl Verdicts {
    fn row(&mut self, layout: &Layout, record: &Record<'_>, on_row: &mut impl FnMut(&Row<'_>)) {
        let row_number = self.counts.processed + 1;
        let is_duplicate = |id: &str| !self.seen.insert(id.as_bytes());
        let row = self.judge.judge(layout, record, row_number, is_duplicate);
        count(&mut self.counts, &row);
        on_row(&row);
    }
}

fn count(counts: &mut Counts, row: &Row<'_>) {
    counts.processed += 1;
    if row.is_valid() {
        counts.valid += 1;
    } else {
        counts.invalid += 1;
    }
    counts.suspicious += u64::from(row.is_suspicious);
}
