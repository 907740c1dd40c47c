//! Sets of rows of one chunk.

use std::ops::Range;

use crate::varint::{self, Malformed};

/// A set of rows of one chunk, counted from 0, stored as ascending ranges that don't touch. A range of fewer than 128
/// rows after a gap of fewer than 128 rows takes at most two bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowSet {
    ranges: Vec<Range<u32>>,
}

impl RowSet {
    /// The version of the encoding.
    const RANGES: u8 = 1;
    /// The previous version: four bytes per row, little-endian.
    const LIST: u8 = 0;

    /// Adds a row that comes after all others.
    pub fn push(&mut self, row: u32) {
        match self.ranges.last_mut() {
            Some(last) if last.end == row => last.end += 1,
            _ => self.ranges.push(row..row + 1),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub fn rows(&self) -> impl Iterator<Item = u32> {
        self.ranges.iter().cloned().flatten()
    }

    /// Returns a cursor for queries in ascending order.
    pub(crate) fn cursor(&self) -> RowSetCursor<'_> {
        RowSetCursor {
            ranges: &self.ranges,
        }
    }

    /// Encodes the set. An empty set has no bytes. Otherwise the version comes first, followed by two numbers for each
    /// range: the rows since the end of the previous range, and the rows in the range.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut end = 0;
        for range in &self.ranges {
            if out.is_empty() {
                out.push(Self::RANGES);
            }
            varint::write(&mut out, range.start - end);
            varint::write(&mut out, range.end - range.start);
            end = range.end;
        }
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut set = Self::default();
        match bytes.split_first() {
            None => {}
            Some((&Self::RANGES, mut rest)) => {
                let mut end = 0_u32;
                while !rest.is_empty() {
                    let start = end.checked_add(varint::read(&mut rest)?).ok_or(Malformed)?;
                    end = start
                        .checked_add(varint::read(&mut rest)?)
                        .ok_or(Malformed)?;
                    set.ranges.push(start..end);
                }
            }
            Some((&Self::LIST, rest)) => {
                let (rows, []) = rest.as_chunks() else {
                    return Err(Malformed);
                };
                for row in rows {
                    let row = u32::from_le_bytes(*row);
                    let end = set.ranges.last().map_or(0, |last| last.end);
                    if row < end || row == u32::MAX {
                        return Err(Malformed);
                    }
                    set.push(row);
                }
            }
            Some(_) => return Err(Malformed),
        }
        Ok(set)
    }
}

impl FromIterator<u32> for RowSet {
    /// Requires ascending rows.
    fn from_iter<I: IntoIterator<Item = u32>>(rows: I) -> Self {
        let mut set = Self::default();
        rows.into_iter().for_each(|row| set.push(row));
        set
    }
}

pub(crate) struct RowSetCursor<'a> {
    ranges: &'a [Range<u32>],
}

impl RowSetCursor<'_> {
    /// Returns whether the row is in the set. Rows must be queried in ascending order.
    #[inline]
    pub(crate) fn contains(&mut self, row: u32) -> bool {
        while let Some((first, rest)) = self.ranges.split_first() {
            if row < first.end {
                return row >= first.start;
            }
            self.ranges = rest;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: &[u32], encoded: &[u8]) {
        let set: RowSet = rows.iter().copied().collect();
        assert_eq!(set.encode(), encoded);
        let decoded = RowSet::decode(encoded).unwrap();
        assert_eq!(decoded, set);
        assert_eq!(decoded.rows().collect::<Vec<_>>(), rows);
        let mut cursor = decoded.cursor();
        for row in 0..600 {
            assert_eq!(cursor.contains(row), rows.contains(&row), "{row}");
        }
    }

    #[test]
    fn sets_round_trip() {
        check(&[], &[]);
        check(&[0], &[1, 0, 1]);
        check(&[3, 4, 5, 9], &[1, 3, 3, 3, 1]);
        check(&[500], &[1, 0xF4, 3, 1]);
    }

    #[test]
    fn the_previous_version_is_read() {
        let decoded = RowSet::decode(&[0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 1, 0, 0]).unwrap();
        assert_eq!(decoded.rows().collect::<Vec<_>>(), [3, 4, 256]);
    }

    #[test]
    fn malformed_sets_are_refused() {
        for bytes in [
            &[2][..],
            &[0, 1],
            &[0, 5, 0, 0, 0, 3, 0, 0, 0],
            &[0, 0xFF, 0xFF, 0xFF, 0xFF],
            &[1, 3],
            &[1, 0x80],
            &[1, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0xF],
        ] {
            assert_eq!(RowSet::decode(bytes), Err(Malformed), "{bytes:?}");
        }
    }
}
