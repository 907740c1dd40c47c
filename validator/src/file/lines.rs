//! Counts line ends: LF, CRLF and CR.

use wide::u8x16;

/// Counts the line ends of a text that arrives in pieces, which may split a CRLF.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lines {
    /// Whether the text starts with an LF. After a text that ends with a CR, that LF isn't a line end of its own.
    starts_with_lf: bool,
    ends_with_cr: bool,
    is_begun: bool,
    count: u64,
}

impl Lines {
    pub(super) fn of(text: &[u8]) -> Self {
        let mut lines = Self::default();
        lines.push(text);
        lines
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Adds the next piece of the text.
    pub(super) fn push(&mut self, text: &[u8]) {
        self.begin(text);
        if let Some(last) = text.last() {
            self.count += count(text, self.ends_with_cr);
            self.ends_with_cr = *last == b'\r';
        }
    }

    /// Adds a record with its line end. The record must contain no other line end, and the text must have begun.
    #[inline]
    pub(super) fn push_line(&mut self, record: &[u8]) {
        debug_assert!(self.is_begun);
        // The scanner yields the LF of a CRLF as a record of its own.
        let second_half = self.ends_with_cr && record == b"\n";
        self.count += u64::from(!second_half);
        self.ends_with_cr = record.last() == Some(&b'\r');
    }

    /// Adds `count` records with their line ends if every line end is an LF. Otherwise adds nothing and returns
    /// `false`. The records must contain no other line ends, and the text must have begun.
    #[inline]
    pub(super) fn push_lf_lines(&mut self, records: &[u8], count: usize) -> bool {
        debug_assert!(self.is_begun);
        let are_lf = !self.ends_with_cr && memchr::memchr(b'\r', records).is_none();
        if are_lf {
            self.count += count as u64;
        }
        are_lf
    }

    /// Records how the text begins. `text` starts with the next piece.
    #[inline]
    pub(super) fn begin(&mut self, text: &[u8]) {
        if !self.is_begun && !text.is_empty() {
            self.is_begun = true;
            self.starts_with_lf = text[0] == b'\n';
        }
    }

    /// Returns the line ends of this text followed by another one.
    pub(super) fn followed_by(self, next: Self) -> Self {
        match (self.is_begun, next.is_begun) {
            (_, false) => self,
            (false, true) => next,
            (true, true) => {
                let cut = u64::from(self.ends_with_cr && next.starts_with_lf);
                Self {
                    starts_with_lf: self.starts_with_lf,
                    ends_with_cr: next.ends_with_cr,
                    is_begun: true,
                    count: self.count + next.count - cut,
                }
            }
        }
    }
}

/// Returns the number of line ends in a whole text.
pub(super) fn count_line_ends(text: &[u8]) -> usize {
    count(text, false) as usize
}

/// Returns the number of line ends in `text`, which may follow a CR.
fn count(text: &[u8], mut after_cr: bool) -> u64 {
    const BLOCK: usize = 64;
    let mut count = 0;
    let mut count_block = |block: &[u8; BLOCK]| {
        let (mut lf, mut cr) = (0_u64, 0_u64);
        for (at, vector) in block.as_chunks::<16>().0.iter().enumerate() {
            let vector = u8x16::new(*vector);
            let bits = |byte| {
                let equal = vector.simd_eq(u8x16::splat(byte));
                u64::from(equal.to_bitmask()) << (16 * at)
            };
            lf |= bits(b'\n');
            cr |= bits(b'\r');
        }
        let second_halves = lf & (cr << 1 | u64::from(after_cr));
        after_cr = cr >> 63 != 0;
        count += u64::from(((lf | cr) ^ second_halves).count_ones());
    };
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    blocks.iter().for_each(&mut count_block);
    if !rest.is_empty() {
        let mut block = [0; BLOCK];
        block[..rest.len()].copy_from_slice(rest);
        count_block(&block);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts byte by byte.
    fn trivial(text: &[u8]) -> u64 {
        let is_end = |at: usize| match text[at] {
            b'\r' => true,
            b'\n' => at == 0 || text[at - 1] != b'\r',
            _ => false,
        };
        (0..text.len()).filter(|at| is_end(*at)).count() as u64
    }

    /// Yields texts of CRs, LFs and other bytes, with many lengths around the block size.
    fn texts() -> impl Iterator<Item = Vec<u8>> {
        let mut state = 1_u32;
        (0..600_usize).map(move |length| {
            let next = |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                b"\r\n\nx"[(state >> 24) as usize % 4]
            };
            (0..length % 300).map(next).collect()
        })
    }

    #[test]
    fn all_ways_to_count_agree() {
        for text in texts() {
            let expect = trivial(&text);
            assert_eq!(count_line_ends(&text) as u64, expect, "{text:?}");
            let mut in_lines = Lines::default();
            for line in text.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
                match line.last() {
                    Some(b'\r' | b'\n') => {
                        in_lines.begin(line);
                        in_lines.push_line(line);
                    }
                    _ => in_lines.push(line),
                }
            }
            assert_eq!(in_lines, Lines::of(&text), "{text:?}");
            for cut in [0, 1, text.len() / 3, text.len() / 2, text.len()] {
                let (first, second) = text.split_at(cut.min(text.len()));
                let mut pushed = Lines::of(first);
                pushed.push(second);
                let joined = Lines::of(first).followed_by(Lines::of(second));
                assert_eq!((pushed.count(), joined), (expect, pushed), "{text:?}");
            }
        }
    }
}
