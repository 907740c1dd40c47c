//! Finds out which bytes are clean, that is, UTF-8 without NUL.

use std::ops::Range;

use simdutf8::{basic, compat};

pub(super) fn is_clean(bytes: &[u8]) -> bool {
    basic::from_utf8(bytes).is_ok() && memchr::memchr(0, bytes).is_none()
}

/// Tells which ranges of a text are clean. Examines the text piece by piece, as far ahead as it stays clean.
pub(super) struct CleanText<'a> {
    text: &'a [u8],
    /// The piece examined last is clean up to here.
    end: usize,
    /// The size of the next piece, in bytes.
    piece: usize,
}

impl<'a> CleanText<'a> {
    /// The size of the first piece, and of the next one after unclean bytes.
    const MIN_PIECE: usize = 256;
    /// Small enough to stay in the processor's cache until the records in it are read.
    const MAX_PIECE: usize = 16 << 10;

    pub(super) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            end: 0,
            piece: Self::MIN_PIECE,
        }
    }

    /// Returns whether the text in `range` is clean. Ranges must be passed in ascending order and must neither begin
    /// nor end within a character.
    #[inline]
    pub(super) fn is_clean(&mut self, range: Range<usize>) -> bool {
        range.end <= self.end || self.look_ahead(range)
    }

    #[inline(never)]
    fn look_ahead(&mut self, range: Range<usize>) -> bool {
        let rest = &self.text[range.start..];
        let piece = rest.get(..self.piece.max(range.len())).unwrap_or(rest);
        let (clean, goes_on) = clean_beginning(piece);
        self.end = range.start + clean;
        self.piece = match goes_on {
            true => (4 * self.piece).min(Self::MAX_PIECE),
            false => Self::MIN_PIECE,
        };
        range.end <= self.end
    }
}

/// Returns how many bytes at the start of `bytes` are clean, and whether the text after `bytes` may still be clean.
fn clean_beginning(bytes: &[u8]) -> (usize, bool) {
    let nul = memchr::memchr(0, bytes);
    let bytes = nul.map_or(bytes, |nul| &bytes[..nul]);
    match compat::from_utf8(bytes) {
        Ok(_) => (bytes.len(), nul.is_none()),
        Err(error) => {
            let goes_on = nul.is_none() && error.error_len().is_none();
            (error.valid_up_to(), goes_on)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every range that could be a record's is as clean as its bytes alone.
    #[test]
    fn whether_a_range_is_clean_depends_on_it_alone() {
        for unclean in [&b"\xFF"[..], b"\0", b"\xC3", b"\xE2\x82", b"\xF0\x9D\x84"] {
            for at in [0, 1, 7, 255, 256, 257, 1000, 1279, 1280, 9999] {
                let mut text = "é𝄞€abcdefg\n".repeat(1000).into_bytes();
                let at = at.min(text.len());
                text.splice(at..at, unclean.iter().copied());
                for records in [1, 2, 50] {
                    let mut clean_text = CleanText::new(&text);
                    let ends = (0..text.len()).filter(|&end| text[end] == b'\n');
                    let mut start = 0;
                    for end in ends.step_by(records) {
                        let expect = is_clean(&text[start..end]);
                        assert_eq!(clean_text.is_clean(start..end), expect, "{start}..{end}");
                        start = end + 1;
                    }
                }
            }
        }
    }
}
