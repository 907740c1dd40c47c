//! Finds the records that end within a text, 64 bytes at a time.
//!
//! Each block of 64 bytes becomes three bit masks, one bit per byte: quotes, delimiters, line ends. Where every quote
//! does what quotes are for, the bytes inside quotes are those with an odd number of quotes up to them, and a doubled
//! quote closes a field and opens it again. That takes a few shifts and no branch (Langdale and Lemire, "Parsing
//! Gigabytes of JSON per Second", 2019). A quote opens a field only directly after a delimiter, a line end or a quote
//! that closed one; a block in which some quote would open a field elsewhere is walked quote by quote.
//!
//! The result is that of the [`Scanner`](super::scan::Scanner), which takes over where a record goes on after the text.

use std::ops::Range;

use wide::u8x16;

use super::scan::MAX_RECORD_BYTES;

const BLOCK: usize = 64;

pub(super) struct Blocks<'a> {
    text: &'a [u8],
    needles: Needles,
    /// Where the current block starts.
    block: usize,
    /// Where the next one does. Beyond the text if there is none.
    next_block: usize,
    /// The delimiters outside quotes in the current block, without those of records that were found.
    delimiters: u64,
    /// The line ends outside quotes, likewise.
    line_ends: u64,
    quoting: Quoting,
    /// Where the record that is found next starts.
    record: usize,
}

impl<'a> Blocks<'a> {
    /// For text that starts at the beginning of a record.
    pub(super) fn new(delimiter: u8, text: &'a [u8]) -> Self {
        Self {
            text,
            needles: Needles::new(delimiter),
            block: 0,
            next_block: 0,
            delimiters: 0,
            line_ends: 0,
            quoting: Quoting::AT_RECORD,
            record: 0,
        }
    }

    /// Where the record starts that [`Self::next_record`] finds next.
    pub(super) fn position(&self) -> usize {
        self.record
    }

    /// Finds the next record, and where each of its fields ends, counted from its start. Returns where it is, without
    /// its line end. `None` if it is too large or doesn't end in the text: its beginning is at [`Self::position`].
    #[inline]
    pub(super) fn next_record(&mut self, ends: &mut Vec<u32>) -> Option<Range<usize>> {
        ends.clear();
        let start = self.record;
        while self.line_ends == 0 {
            // What is pushed below fits into 32 bits because of this.
            if self.next_block >= self.text.len() || self.block > start + MAX_RECORD_BYTES {
                return None;
            }
            push_ends(ends, self.delimiters, self.block, start);
            self.load();
        }
        let line_end = self.line_ends & self.line_ends.wrapping_neg();
        push_ends(ends, self.delimiters & (line_end - 1), self.block, start);
        let end = self.block + line_end.trailing_zeros() as usize;
        if end - start > MAX_RECORD_BYTES {
            return None;
        }
        ends.push((end - start) as u32);
        self.delimiters &= !(line_end - 1);
        self.line_ends ^= line_end;
        self.record = end + 1;
        Some(start..end)
    }

    #[inline]
    fn load(&mut self) {
        self.block = self.next_block;
        self.next_block += BLOCK;
        let masks = match self.text[self.block..].first_chunk::<BLOCK>() {
            Some(block) => self.needles.find(block),
            None => {
                let rest = &self.text[self.block..];
                // No needle is NUL.
                let mut block = [0; BLOCK];
                block[..rest.len()].copy_from_slice(rest);
                self.needles.find(&block)
            }
        };
        let outside = self.quoting.outside(&masks);
        self.delimiters = masks.delimiters & outside;
        self.line_ends = masks.line_ends & outside;
    }
}

#[inline]
fn push_ends(ends: &mut Vec<u32>, mut mask: u64, block: usize, record: usize) {
    while mask != 0 {
        let end = block + mask.trailing_zeros() as usize;
        ends.push((end - record) as u32);
        mask &= mask - 1;
    }
}

/// Whether any field has a character after unquoting, in a record that ends with a line end.
#[inline]
pub(super) fn has_character(record: &[u8], ends: &[u32]) -> bool {
    // A field without characters has at most two bytes.
    record.len() >= 3 * ends.len() || has_field_with_character(record, ends)
}

fn has_field_with_character(record: &[u8], ends: &[u32]) -> bool {
    let mut start = 0;
    ends.iter().any(|&end| {
        let field = &record[start..end as usize];
        start = end as usize + 1;
        !matches!(field, b"" | b"\"\"")
    })
}

/// The bytes that mean something, each repeated over a vector.
struct Needles {
    delimiter: u8x16,
}

/// One bit for each byte of a block, the first byte's the lowest.
#[derive(Default)]
struct Masks {
    quotes: u64,
    delimiters: u64,
    line_ends: u64,
}

impl Needles {
    fn new(delimiter: u8) -> Self {
        Self {
            delimiter: u8x16::splat(delimiter),
        }
    }

    #[inline]
    fn find(&self, block: &[u8; BLOCK]) -> Masks {
        let mut masks = Masks::default();
        let (vectors, _) = block.as_chunks::<16>();
        for (at, vector) in vectors.iter().enumerate() {
            let vector = u8x16::new(*vector);
            let equal = |needle: u8x16| vector.simd_eq(needle);
            let bits = |lanes: u8x16| u64::from(lanes.to_bitmask()) << (16 * at);
            masks.quotes |= bits(equal(u8x16::splat(b'"')));
            masks.delimiters |= bits(equal(self.delimiter));
            masks.line_ends |= bits(equal(u8x16::splat(b'\n')) | equal(u8x16::splat(b'\r')));
        }
        masks
    }
}

/// What quotes before a block mean for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Quoting {
    /// All bits if the block begins inside quotes, otherwise none.
    inside: u64,
    /// 1 if a quote that is the block's first byte opens a field, or opens it again. Otherwise 0.
    may_open: u64,
}

impl Quoting {
    const AT_RECORD: Self = Self {
        inside: 0,
        may_open: 1,
    };

    /// The bytes of the block outside quotes; closing quotes are, opening ones aren't. Goes on to the next block.
    #[inline]
    fn outside(&mut self, masks: &Masks) -> u64 {
        let inside = prefix_xor(masks.quotes) ^ self.inside;
        // Closing quotes, and the ends of fields.
        let before_opening = (masks.quotes | masks.delimiters | masks.line_ends) & !inside;
        let opening = masks.quotes & inside;
        if opening & !((before_opening << 1) | self.may_open) != 0 {
            return self.outside_by_quote(masks);
        }
        self.inside = ((inside as i64) >> 63) as u64;
        self.may_open = before_opening >> 63;
        !inside
    }

    /// The same where some quotes are ordinary characters.
    #[cold]
    fn outside_by_quote(&mut self, masks: &Masks) -> u64 {
        let mut is_inside = self.inside != 0;
        // The bytes inside quotes that have closed, where the current ones opened, and where others would open.
        let mut inside = 0_u64;
        let mut opened_at = 0;
        let mut may_open_at = (self.may_open != 0).then_some(0);
        let mut rest = masks.quotes | masks.delimiters | masks.line_ends;
        while rest != 0 {
            let at = rest.trailing_zeros();
            rest &= rest - 1;
            let is_quote = masks.quotes >> at & 1 != 0;
            match (is_inside, is_quote) {
                (true, true) => {
                    inside |= (1 << at) - (1 << opened_at);
                    is_inside = false;
                    may_open_at = Some(at + 1);
                }
                (true, false) => {}
                (false, true) if may_open_at == Some(at) => {
                    is_inside = true;
                    opened_at = at;
                }
                (false, true) => {}
                (false, false) => may_open_at = Some(at + 1),
            }
        }
        if is_inside {
            inside |= u64::MAX << opened_at;
        }
        self.inside = if is_inside { u64::MAX } else { 0 };
        self.may_open = u64::from(may_open_at == Some(u64::BITS));
        !inside
    }
}

/// Each bit becomes the parity of itself and all lower ones.
#[inline]
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}
