//! Stores the verdicts on the rows of one chunk, and where its rows are.
//!
//! This is what the ledger stores for a chunk. Most rows are valid and most files are uniform, so consecutive rows with
//! equal verdicts are stored as a run, which takes a byte or two at any length. A chunk with alternating verdicts takes
//! at most one byte per row, and a row takes at least two bytes in the file.

use std::ops::Range;

use crate::{
    RowFilter, Verdict,
    varint::{self, Malformed},
};

/// The verdicts on the rows of one chunk, counted from 0, and the positions of some of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// Adjacent runs differ.
    runs: Vec<Run>,
    rows: u32,
    /// One about every [`Self::MARK_BYTES`], the first at the chunk's first row. Rows and offsets ascend.
    marks: Vec<Mark>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    verdict: Verdict,
    rows: u32,
}

/// The position of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    row: u32,
    /// Relative to the start of the chunk, in bytes of the stored file.
    offset: u32,
    /// The number of line ends between the chunk's first row and this one. `None` if encoded by version 1.
    lines: Option<u32>,
}

impl Mark {
    /// The start of a chunk.
    const FIRST: Self = Self {
        row: 0,
        offset: 0,
        lines: Some(0),
    };
}

/// Rows that are read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The first row in it.
    pub first_row: u32,
    /// Relative to the start of the chunk, in bytes of the stored file. `end` is `None` at the end of the chunk.
    pub start: u32,
    pub end: Option<u32>,
    /// The number of line ends between the chunk's first row and this one. `None` if an earlier version validated the
    /// chunk.
    pub lines: Option<u32>,
}

impl Verdicts {
    /// The approximate number of bytes of the file between marks, which is also how much is read for a single row.
    pub const MARK_BYTES: u32 = 32 << 10;

    /// The version of the encoding.
    const VERSION: u8 = 2;
    /// The version without lines.
    const WITHOUT_LINES: u8 = 1;

    /// Adds the verdict on the next row. The row starts at `offset`, after `lines` line ends since the chunk's first
    /// row.
    #[inline]
    pub(crate) fn push(&mut self, verdict: Verdict, offset: u32, lines: u32) {
        match self.marks.last() {
            Some(last) if offset - last.offset < Self::MARK_BYTES => {}
            _ => self.marks.push(Mark {
                row: self.rows,
                offset,
                lines: Some(lines),
            }),
        }
        self.push_run(verdict, 1);
    }

    #[inline]
    fn push_run(&mut self, verdict: Verdict, rows: u32) {
        self.rows += rows;
        match self.runs.last_mut() {
            Some(last) if last.verdict == verdict => last.rows += rows,
            _ => self.runs.push(Run { verdict, rows }),
        }
    }

    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Yields the verdict on `row` and on each row after it.
    pub fn from_row(&self, row: u32) -> impl Iterator<Item = Verdict> {
        let mut skip = row;
        self.runs.iter().flat_map(move |run| {
            let skipped = skip.min(run.rows);
            skip -= skipped;
            std::iter::repeat_n(run.verdict, (run.rows - skipped) as usize)
        })
    }

    /// Returns the number of rows that the filter selects.
    pub fn count(&self, filter: RowFilter) -> u64 {
        let matching = self.runs.iter().filter(|run| filter.matches(run.verdict));
        matching.map(|run| u64::from(run.rows)).sum()
    }

    /// Numbers the rows that the filter selects from 0, and returns those in `wanted` as ascending ranges of rows.
    pub fn select(&self, filter: RowFilter, wanted: Range<u64>) -> Vec<Range<u32>> {
        let mut selected: Vec<Range<u32>> = Vec::new();
        let mut row = 0;
        let mut before = 0_u64;
        for run in &self.runs {
            if before >= wanted.end {
                break;
            }
            if filter.matches(run.verdict) {
                let rows = u64::from(run.rows);
                let skip = wanted.start.saturating_sub(before).min(rows) as u32;
                let until = (wanted.end - before).min(rows) as u32;
                match selected.last_mut() {
                    _ if skip >= until => {}
                    Some(last) if last.end == row + skip => last.end = row + until,
                    _ => selected.push(row + skip..row + until),
                }
                before += rows;
            }
            row += run.rows;
        }
        selected
    }

    /// Returns the segments to read for these ascending ranges of rows. They take as few bytes as the marks allow, and
    /// adjacent ones are merged.
    pub fn segments(&self, rows: &[Range<u32>]) -> Vec<Segment> {
        let mut segments: Vec<Segment> = Vec::new();
        for range in rows.iter().filter(|range| !range.is_empty()) {
            let first = self.marks.partition_point(|mark| mark.row <= range.start);
            let Some(start) = first.checked_sub(1).map(|first| self.marks[first]) else {
                continue;
            };
            let after = self.marks.partition_point(|mark| mark.row < range.end);
            let end = self.marks.get(after).map(|mark| mark.offset);
            match segments.last_mut() {
                Some(last) if last.end.is_none_or(|end| end >= start.offset) => {
                    last.end = last.end.and_then(|last| Some(end?.max(last)));
                }
                _ => segments.push(Segment {
                    first_row: start.row,
                    start: start.offset,
                    end,
                    lines: start.lines,
                }),
            }
        }
        segments
    }

    /// Encodes the verdicts: the version; the number of distinct verdicts and their bits; the number of runs; for each
    /// run its verdict's index in that list and its length minus one, combined into one number; then, from each mark to
    /// the next, the rows, the bytes, and the number of line ends minus the number of rows. Version 1 has no line ends
    /// and is written if they are unknown.
    pub fn encode(&self) -> Vec<u8> {
        let mut kinds: Vec<Verdict> = Vec::new();
        let mut runs = Vec::with_capacity(2 * self.runs.len());
        for run in &self.runs {
            let kind = kinds.iter().position(|kind| *kind == run.verdict);
            let kind = kind.unwrap_or_else(|| {
                kinds.push(run.verdict);
                kinds.len() - 1
            });
            runs.push((kind as u32, run.rows - 1));
        }
        let has_lines = self.marks.iter().all(|mark| mark.lines.is_some());
        let mut out = vec![match has_lines {
            true => Self::VERSION,
            false => Self::WITHOUT_LINES,
        }];
        varint::write(&mut out, kinds.len() as u32);
        for kind in &kinds {
            varint::write(&mut out, kind.bits());
        }
        varint::write(&mut out, runs.len() as u32);
        for (kind, more) in runs {
            varint::write_product(&mut out, kind, kinds.len() as u32, more);
        }
        let mut last = Mark::FIRST;
        for mark in &self.marks {
            varint::write(&mut out, mark.row - last.row);
            varint::write(&mut out, mark.offset - last.offset);
            if has_lines && let (Some(lines), Some(before)) = (mark.lines, last.lines) {
                varint::write(&mut out, lines - before - (mark.row - last.row));
            }
            last = *mark;
        }
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let (has_lines, mut rest) = match bytes.split_first() {
            Some((&Self::VERSION, rest)) => (true, rest),
            Some((&Self::WITHOUT_LINES, rest)) => (false, rest),
            _ => return Err(Malformed),
        };
        let kinds = varint::read(&mut rest)?;
        let kinds: Vec<Verdict> = (0..kinds)
            .map(|_| Verdict::from_bits(varint::read(&mut rest)?).ok_or(Malformed))
            .collect::<Result<_, _>>()?;
        let mut verdicts = Self::default();
        for _ in 0..varint::read(&mut rest)? {
            let (kind, more) = varint::read_product(&mut rest, kinds.len() as u32)?;
            let verdict = *kinds.get(kind as usize).ok_or(Malformed)?;
            let rows = more.checked_add(1).ok_or(Malformed)?;
            verdicts.rows.checked_add(rows).ok_or(Malformed)?;
            verdicts.push_run(verdict, rows);
        }
        let mut mark = Mark::FIRST;
        while !rest.is_empty() {
            let (row, offset) = (varint::read(&mut rest)?, varint::read(&mut rest)?);
            let lines = match (has_lines, mark.lines) {
                (true, Some(before)) => {
                    let more = varint::read(&mut rest)?;
                    let lines = row.checked_add(more).ok_or(Malformed)?;
                    Some(before.checked_add(lines).ok_or(Malformed)?)
                }
                _ => None,
            };
            mark = Mark {
                row: mark.row.checked_add(row).ok_or(Malformed)?,
                offset: mark.offset.checked_add(offset).ok_or(Malformed)?,
                lines,
            };
            verdicts.marks.push(mark);
        }
        Ok(verdicts)
    }
}

#[cfg(test)]
#[expect(
    clippy::single_range_in_vec_init,
    reason = "a list of ranges may have one element"
)]
mod tests {
    use super::*;
    use crate::{ErrorCode, Field};

    const SUSPICIOUS: Verdict = Verdict::VALID.with_suspicion(true);
    const NO_DATE: Verdict = Verdict::VALID.with_error(ErrorCode::DateMissing);

    /// Returns verdicts on rows of `bytes` bytes each.
    fn verdicts(rows: &[(Verdict, u32)], bytes: u32) -> Verdicts {
        let mut verdicts = Verdicts::default();
        for (verdict, count) in rows {
            for _ in 0..*count {
                verdicts.push(*verdict, verdicts.rows() * bytes, 2 * verdicts.rows());
            }
        }
        assert_eq!(Verdicts::decode(&verdicts.encode()).as_ref(), Ok(&verdicts));
        verdicts
    }

    #[test]
    fn runs_of_equal_verdicts_take_little_space() {
        let valid = verdicts(&[(Verdict::VALID, 100_000)], 1);
        assert!(valid.encode().len() < 40, "{:?}", valid.encode());
        let mixed = [(Verdict::VALID, 19), (NO_DATE, 1)].repeat(1000);
        assert!(verdicts(&mixed, 0).encode().len() < 2012);
    }

    #[test]
    fn a_row_never_takes_more_than_a_byte() {
        // Every possible kind: ignored, a row error, and every combination of at most one error per other field.
        let of = |field: Field| {
            let codes = ErrorCode::ALL.iter().copied();
            codes.filter(move |code| code.field() == field)
        };
        let choices = |field: Field| of(field).map(Some).chain([None]);
        let with = |verdict: Verdict, code: Option<ErrorCode>| match code {
            Some(code) => verdict.with_error(code),
            None => verdict,
        };
        let mut kinds: Vec<Verdict> = of(Field::Row)
            .map(|code| Verdict::VALID.with_error(code))
            .chain([Verdict::IGNORED])
            .collect();
        for id in choices(Field::TransactionId) {
            for date in choices(Field::Date) {
                let verdict = with(with(Verdict::VALID, id), date);
                kinds.extend(choices(Field::Amount).map(|amount| with(verdict, amount)));
                kinds.push(verdict.with_suspicion(true));
            }
        }
        assert!(kinds.len() >= 86);
        let rows: Vec<_> = kinds
            .repeat(1000)
            .into_iter()
            .map(|kind| (kind, 1))
            .collect();
        let encoded = verdicts(&rows, 2).encode().len();
        assert!(encoded < rows.len() + 300, "{encoded} bytes");
    }

    #[test]
    fn rows_are_selected_by_filter_and_position() {
        let verdicts = verdicts(
            &[
                (Verdict::VALID, 3),
                (NO_DATE, 2),
                (SUSPICIOUS, 1),
                (NO_DATE, 4),
            ],
            10,
        );
        let select = |filter, wanted| verdicts.select(filter, wanted);
        assert_eq!(select(RowFilter::All, 2..7), [2..7]);
        assert_eq!(select(RowFilter::Invalid, 1..4), [4..5, 6..8]);
        assert_eq!(select(RowFilter::Valid, 2..9), [2..3, 5..6]);
        assert_eq!(select(RowFilter::Suspicious, 0..9), [5..6]);
        assert_eq!(select(RowFilter::Suspicious, 1..9), [0..0; 0]);
        assert_eq!(
            select(RowFilter::Problem(ErrorCode::DateMissing), 5..6),
            [9..10]
        );
        assert_eq!(verdicts.count(RowFilter::Invalid), 6);
        assert_eq!(verdicts.count(RowFilter::Valid), 4);
        let from = verdicts.from_row(4).collect::<Vec<_>>();
        assert_eq!(from, [&[NO_DATE, SUSPICIOUS][..], &[NO_DATE; 4]].concat());
    }

    #[test]
    fn segments_are_as_small_as_the_marks_allow() {
        // A mark at every fourth row.
        let verdicts = verdicts(&[(Verdict::VALID, 12)], Verdicts::MARK_BYTES / 4);
        let mark = Verdicts::MARK_BYTES;
        let segment = |first_row, start, end| Segment {
            first_row,
            start,
            end,
            lines: Some(2 * first_row),
        };
        let found = |rows: &[Range<u32>]| verdicts.segments(rows);
        assert_eq!(found(&[1..2]), [segment(0, 0, Some(mark))]);
        assert_eq!(found(&[1..4]), [segment(0, 0, Some(mark))]);
        assert_eq!(found(&[1..5]), [segment(0, 0, Some(2 * mark))]);
        assert_eq!(
            found(&[1..2, 9..10]),
            [segment(0, 0, Some(mark)), segment(8, 2 * mark, None)]
        );
        assert_eq!(found(&[1..2, 5..6, 11..12]), [segment(0, 0, None)]);
        assert_eq!(found(&[]), []);
    }

    #[test]
    fn lines_are_unknown_in_version_1() {
        let stored = [1, 1, 0, 1, 5, 0, 0, 3, 9];
        let verdicts = Verdicts::decode(&stored).unwrap();
        let segments = verdicts.segments(&[4..5]);
        assert_eq!(
            segments,
            [Segment {
                first_row: 3,
                start: 9,
                end: None,
                lines: None
            }]
        );
        assert_eq!(verdicts.encode(), stored);
    }

    #[test]
    fn malformed_verdicts_are_refused() {
        for bytes in [
            &[][..],
            &[3],
            &[2],
            &[2, 1, 0, 1, 0, 1, 1],
            &[1, 1],
            &[1, 0, 1, 0],
            &[1, 1, 0x80, 0x80, 0x80, 0x80, 0x04, 0],
            &[1, 1, 0, 1, 0, 1],
            &[1, 1, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xF],
        ] {
            assert_eq!(Verdicts::decode(bytes), Err(Malformed), "{bytes:?}");
        }
    }
}
