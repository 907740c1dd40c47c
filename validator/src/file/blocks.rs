//! Finds the records that end within a text, 64 bytes at a time.
//!
//! Each block of 64 bytes becomes three bit masks, one bit per byte: quotes, delimiters, line ends. Where every quote
//! does what quotes are for, the bytes inside quotes are those with an odd number of quotes up to them, and a doubled
//! quote closes a field and opens it again. That takes a few shifts and no branch (Langdale and Lemire, "Parsing
//! Gigabytes of JSON per Second", 2019). A quote opens a field only directly after a delimiter, a line end or a quote
//! that closed one; a block in which some quote would open a field elsewhere is walked quote by quote.
//!
//! The masks of a window of many blocks become a list of places before any record is looked at, so that nothing depends
//! on how records lie in blocks, which no processor can predict.
//!
//! The result is that of the [`Scanner`](super::scan::Scanner), which takes over where a record goes on after the text.

use std::ops::{ControlFlow, Range};

use wide::u8x16;

use super::scan::MAX_RECORD_BYTES;

const BLOCK: usize = 64;
const WINDOW: usize = 64 * BLOCK;

/// Places are written in groups of this many, whether there are as many or not.
const GROUP: usize = 4;

/// Memory for the records of a window, to be used again.
#[derive(Default)]
pub(super) struct Memory {
    starts: Vec<u32>,
    bounds: Vec<usize>,
    /// Whether some byte of the texts so far isn't ASCII.
    pub has_non_ascii: bool,
}

/// Records that were found together.
pub(super) struct Batch<'a> {
    /// The text from somewhere before the records to its end.
    pub bytes: &'a [u8],
    /// Where `bytes` starts in the text.
    pub base: usize,
    /// Whether any of the records may have a line end inside quotes.
    pub may_have_lines: bool,
    /// Where each field starts in `bytes`, and another one would after the last.
    starts: &'a [u32],
    /// Where in `starts` each record begins, and the last one ends.
    bounds: &'a [usize],
}

impl<'a> Batch<'a> {
    /// How many records there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Where the records are in `bytes`.
    #[inline]
    pub(super) fn range(&self) -> Range<usize> {
        let (first, last) = (self.bounds[0], self.bounds[self.len()]);
        self.starts[first] as usize..self.starts[last] as usize
    }

    /// What [`Record`](super::Record) calls `starts`, for each record.
    #[inline]
    pub(super) fn records(&self) -> impl Iterator<Item = &'a [u32]> {
        let starts = self.starts;
        let pairs = self.bounds.iter().zip(&self.bounds[1..]);
        pairs.map(move |(&first, &last)| &starts[first..last + 1])
    }
}

/// Calls `on_batch` with the records that end in `text`, which starts at the beginning of a record, until one is too
/// large. Returns where the records end that were found, or the place where `on_batch` breaks off.
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
    // Where in `text` the current record starts, or an earlier one. `starts` counts from there.
    let mut base = 0;
    // In `starts`, where the current record begins, what was not looked at yet, and the end.
    let (mut first, mut next, mut filled) = (0, 1, 1);
    let mut window_start = 0;
    // Whether the current record may have a line end inside quotes in the windows before.
    let mut had_lines = false;
    for window in text.chunks(WINDOW) {
        if first > 0 {
            // The current record goes to the front.
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
        // Every byte can be a delimiter. The first start is 0.
        let room = filled + WINDOW + GROUP;
        if starts.len() < room {
            starts.resize(room, 0);
        }
        // All of this is below 2^32 because the current record is not too large.
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
            // A record is too large.
            break;
        }
        window_start += WINDOW;
    }
    base + starts.get(first).map_or(0, |&start| start as usize)
}

/// Writes the places after the field ends of a window to `starts`, from `filled` on. Returns where they end there.
// Counting and finding bits take one instruction each on processors of the last ten years, and many on older ones.
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
        // No needle is NUL.
        let mut block = [0; BLOCK];
        block[..rest.len()].copy_from_slice(rest);
        let ends = needles.field_ends(&block, quoting, seen);
        filled = push_starts(starts, filled, offset, ends);
    }
    filled
}

/// Writes the place after each byte whose bit is set to `starts`, from `filled` on. Returns where they end there.
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

/// The bytes that mean something, each repeated over a vector.
struct Needles {
    delimiter: u8x16,
}

/// What was seen in a window.
#[derive(Default)]
struct Seen {
    /// A line end inside quotes.
    has_lines: bool,
    /// The bits that are set in some byte.
    all_bits: u8x16,
}

/// One bit for each byte of a block, the first byte's the lowest.
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

    /// The delimiters and line ends of the next block that are not inside quotes.
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

/// Whether one of the bytes of these bits is a line end.
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
        let before_opening = (masks.quotes | masks.ends) & !inside;
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

/// Each bit becomes the parity of itself and all lower ones.
#[inline]
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}
