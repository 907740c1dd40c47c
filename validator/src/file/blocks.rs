//! Finds the records that end within a text, 64 bytes at a time.
//!
//! Each block of 64 bytes becomes three bit masks with one bit per byte: quotes, delimiters and line ends. In regular
//! quoting, a byte is inside quotes if an odd number of quotes precedes it, itself included, and a doubled quote closes
//! and reopens the field. This takes a few shifts and no branch (Langdale and Lemire, "Parsing Gigabytes of JSON per
//! Second", 2019). A quote can open a field only directly after a delimiter, after a line end, or after a quote that
//! closed one. A block in which a quote elsewhere would open a field is walked quote by quote instead.
//!
//! The masks of a window of many blocks become a list of positions before any record is examined. This avoids branches
//! that depend on how records align with blocks, which no processor can predict.
//!
//! The result equals that of the [`Scanner`](super::scan::Scanner), which takes over for a record that continues after
//! the text.

use std::ops::{ControlFlow, Range};

use wide::u8x16;

use super::scan::MAX_RECORD_BYTES;

const BLOCK: usize = 64;
const WINDOW: usize = 64 * BLOCK;

/// Positions are written in groups of this size, even if fewer are needed.
const GROUP: usize = 4;

/// Reusable memory for the records of a window.
#[derive(Default)]
pub(super) struct Memory {
    starts: Vec<u32>,
    bounds: Vec<usize>,
    /// Whether any byte seen so far isn't ASCII.
    pub has_non_ascii: bool,
}

/// Records that were found together.
pub(super) struct Batch<'a> {
    /// The text, from some point before the records to its end.
    pub bytes: &'a [u8],
    /// The offset of `bytes` in the text.
    pub base: usize,
    /// Whether any of the records may have a line end inside quotes.
    pub may_have_lines: bool,
    /// The start of each field in `bytes`, and the position after the last field.
    starts: &'a [u32],
    /// The index in `starts` at which each record begins and the last one ends.
    bounds: &'a [usize],
}

impl<'a> Batch<'a> {
    /// Returns the number of records.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Returns the range of the records in `bytes`.
    #[inline]
    pub(super) fn range(&self) -> Range<usize> {
        let (first, last) = (self.bounds[0], self.bounds[self.len()]);
        self.starts[first] as usize..self.starts[last] as usize
    }

    /// Yields, for each record, what [`Record`](super::Record) calls `starts`.
    #[inline]
    pub(super) fn records(&self) -> impl Iterator<Item = &'a [u32]> {
        let starts = self.starts;
        let pairs = self.bounds.iter().zip(&self.bounds[1..]);
        pairs.map(move |(&first, &last)| &starts[first..last + 1])
    }
}

/// Calls `on_batch` with the records that end in `text`, until a record is too large. `text` must start at the
/// beginning of a record. Returns the end of the last record found, or the position at which `on_batch` breaks.
#[inline]
pub(super) fn for_each_batch(
    delimiter: u8,
    text: &[u8],
    memory: &mut Memory,
    mut on_batch: impl FnMut(Batch<'_>) -> ControlFlow<usize>,
) -> usize {
    let needles = Needles::new(delimiter);
    let mut quoting = Quoting::AT_RECORD;
    let Memory {
        starts,
        bounds,
        has_non_ascii,
    } = memory;
    // The position in `text` where the current record or an earlier one starts. Entries of `starts` are relative to it.
    let mut base = 0;
    // Indices in `starts`: where the current record begins, the first entry not examined yet, and the end.
    let (mut first, mut next, mut filled) = (0, 1, 1);
    let mut window_start = 0;
    // Whether the current record may have a line end inside quotes in an earlier window.
    let mut had_lines = false;
    for window in text.chunks(WINDOW) {
        if first > 0 {
            // Moves the current record to the front.
            let shift = starts[first];
            starts.copy_within(first..filled, 0);
            (next, filled, first) = (next - first, filled - first, 0);
            starts[..filled]
                .iter_mut()
                .for_each(|start| *start -= shift);
            base += shift as usize;
        }
        if window_start - base > MAX_RECORD_BYTES {
            return base;
        }
        // Any byte can be a delimiter. The first start is 0.
        let room = filled + WINDOW + GROUP;
        if starts.len() < room {
            starts.resize(room, 0);
        }
        // All of this is below 2^32 because the current record isn't too large.
        let offset = (window_start - base) as u32;
        let mut seen = Seen::default();
        filled = push_window(
            &needles,
            &mut quoting,
            &mut seen,
            window,
            starts,
            filled,
            offset,
        );
        let has_lines = seen.has_lines;
        *has_non_ascii |= seen.all_bits.to_bitmask() != 0;

        let starts = &starts[..filled];
        bounds.clear();
        bounds.push(first);
        let bytes = &text[base..];
        for &after in &starts[next..] {
            if bytes[after as usize - 1] != delimiter {
                if (after - 1 - starts[first]) as usize > MAX_RECORD_BYTES {
                    break;
                }
                bounds.push(next);
                first = next;
            }
            next += 1;
        }
        let batch = Batch {
            bytes,
            base,
            may_have_lines: had_lines || has_lines,
            starts,
            bounds,
        };
        had_lines = has_lines || had_lines && batch.bounds.len() == 1;
        if let ControlFlow::Break(position) = on_batch(batch) {
            return position;
        }
        if next < filled {
            // The record is too large.
            break;
        }
        window_start += WINDOW;
    }
    base + starts.get(first).map_or(0, |&start| start as usize)
}

/// Appends the position after each field end of a window to `starts`, from index `filled` on. Returns the new end.
// Counting and finding bits takes one instruction each on processors of the last ten years, and many on older ones.
#[multiversion::multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
fn push_window(
    needles: &Needles,
    quoting: &mut Quoting,
    seen: &mut Seen,
    window: &[u8],
    starts: &mut [u32],
    mut filled: usize,
    mut offset: u32,
) -> usize {
    let (blocks, rest) = window.as_chunks::<BLOCK>();
    for block in blocks {
        let ends = needles.field_ends(block, quoting, seen);
        filled = push_starts(starts, filled, offset, ends);
        offset += BLOCK as u32;
    }
    if !rest.is_empty() {
        // NUL is never a needle.
        let mut block = [0; BLOCK];
        block[..rest.len()].copy_from_slice(rest);
        let ends = needles.field_ends(&block, quoting, seen);
        filled = push_starts(starts, filled, offset, ends);
    }
    filled
}

/// Appends the position after each byte whose bit is set to `starts`, from index `filled` on. Returns the new end.
#[inline]
fn push_starts(starts: &mut [u32], filled: usize, block: u32, mut ends: u64) -> usize {
    let count = ends.count_ones() as usize;
    for group in starts[filled..].as_chunks_mut::<GROUP>().0 {
        for start in group {
            *start = block + ends.trailing_zeros() + 1;
            ends &= ends.wrapping_sub(1);
        }
        if ends == 0 {
            break;
        }
    }
    filled + count
}

/// The bytes with a meaning, each repeated across a vector.
struct Needles {
    delimiter: u8x16,
}

/// What a window contained.
#[derive(Default)]
struct Seen {
    /// Whether there was a line end inside quotes.
    has_lines: bool,
    /// The bitwise OR of all bytes.
    all_bits: u8x16,
}

/// Masks with one bit for each byte of a block, the first byte's in the lowest bit.
#[derive(Default)]
struct Masks {
    quotes: u64,
    /// Delimiters and line ends.
    ends: u64,
}

impl Needles {
    fn new(delimiter: u8) -> Self {
        Self {
            delimiter: u8x16::splat(delimiter),
        }
    }

    /// Returns the mask of the delimiters and line ends outside quotes in the next block.
    #[inline]
    fn field_ends(&self, block: &[u8; BLOCK], quoting: &mut Quoting, seen: &mut Seen) -> u64 {
        let masks = self.find(block, &mut seen.all_bits);
        let ends = masks.ends & quoting.outside(&masks);
        if ends != masks.ends && !seen.has_lines {
            seen.has_lines = has_line_end(block, masks.ends ^ ends);
        }
        ends
    }

    #[inline]
    fn find(&self, block: &[u8; BLOCK], all_bits: &mut u8x16) -> Masks {
        let mut masks = Masks::default();
        let (vectors, _) = block.as_chunks::<16>();
        for (at, vector) in vectors.iter().enumerate() {
            let vector = u8x16::new(*vector);
            *all_bits |= vector;
            let equal = |needle: u8x16| vector.simd_eq(needle);
            let bits = |lanes: u8x16| u64::from(lanes.to_bitmask()) << (16 * at);
            masks.quotes |= bits(equal(u8x16::splat(b'"')));
            let line_ends = equal(u8x16::splat(b'\n')) | equal(u8x16::splat(b'\r'));
            masks.ends |= bits(equal(self.delimiter) | line_ends);
        }
        masks
    }
}

/// Returns whether any byte selected by `bits` is a line end.
#[inline(never)]
fn has_line_end(block: &[u8; BLOCK], mut bits: u64) -> bool {
    while bits != 0 {
        if matches!(block[bits.trailing_zeros() as usize], b'\n' | b'\r') {
            return true;
        }
        bits &= bits - 1;
    }
    false
}

/// What the quotes before a block mean for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Quoting {
    /// All ones if the block starts inside quotes, otherwise zero.
    inside: u64,
    /// 1 if a quote in the block's first byte would open or reopen a field, otherwise 0.
    may_open: u64,
}

impl Quoting {
    const AT_RECORD: Self = Self {
        inside: 0,
        may_open: 1,
    };

    /// Returns the mask of the bytes outside quotes, which includes closing quotes but not opening ones. Advances to
    /// the next block.
    #[inline]
    fn outside(&mut self, masks: &Masks) -> u64 {
        let inside = prefix_xor(masks.quotes) ^ self.inside;
        // Closing quotes and field ends.
        let before_opening = (masks.quotes | masks.ends) & !inside;
        let opening = masks.quotes & inside;
        if opening & !((before_opening << 1) | self.may_open) != 0 {
            return self.outside_by_quote(masks);
        }
        self.inside = ((inside as i64) >> 63) as u64;
        self.may_open = before_opening >> 63;
        !inside
    }

    /// Does the same for a block in which some quotes are ordinary characters.
    #[cold]
    fn outside_by_quote(&mut self, masks: &Masks) -> u64 {
        let mut is_inside = self.inside != 0;
        // The bytes inside quotes that have closed, the position of the last opening quote, and the position where a
        // quote would open.
        let mut inside = 0_u64;
        let mut opened_at = 0;
        let mut may_open_at = (self.may_open != 0).then_some(0);
        let mut rest = masks.quotes | masks.ends;
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

/// Sets each bit to the parity of itself and all lower bits.
#[inline]
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}
