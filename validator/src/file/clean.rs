//! UTF-8 without NUL.

use std::ops::Range;

use simdutf8::{basic, compat};

/// `bytes` as text if they are UTF-8 without NUL.
pub(super) fn clean(bytes: &[u8]) -> Option<&str> {
    basic::from_utf8(bytes)
        .ok()
        .filter(|_| memchr::memchr(0, bytes).is_none())
}

/// The clean parts of a text. Looks at it piece by piece, as far ahead as it stays clean.
pub(super) struct CleanText<'a> {
    text: &'a [u8],
    /// Where `clean` starts in `text`.
    start: usize,
    clean: &'a str,
    /// Bytes that are looked at next.
    piece: usize,
}

impl<'a> CleanText<'a> {
    /// The first piece, and the next one after bytes that are not clean.
    const MIN_PIECE: usize = 256;
    /// Still in the processor's cache when the records in it are read.
    const MAX_PIECE: usize = 16 << 10;

    pub(super) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            start: 0,
            clean: "",
            piece: Self::MIN_PIECE,
        }
    }

    /// The text in `range` if it is UTF-8 without NUL. Ranges must be asked for in ascending order.
    #[inline]
    pub(super) fn get(&mut self, range: Range<usize>) -> Option<&'a str> {
        if range.end > self.start + self.clean.len() {
            self.look_ahead(&range);
        }
        self.clean
            .get(range.start - self.start..range.end - self.start)
    }

    #[inline(never)]
    fn look_ahead(&mut self, range: &Range<usize>) {
        let rest = &self.text[range.start..];
        let piece = rest.get(..self.piece.max(range.len())).unwrap_or(rest);
        let (clean, goes_on) = clean_beginning(piece);
        self.start = range.start;
        self.clean = clean;
        self.piece = match goes_on {
            true => (4 * self.piece).min(Self::MAX_PIECE),
            false => Self::MIN_PIECE,
        };
    }
}

/// As much of the beginning of `bytes` as is clean, and whether what follows `bytes` may be clean, too.
fn clean_beginning(bytes: &[u8]) -> (&str, bool) {
    let nul = memchr::memchr(0, bytes);
    let bytes = nul.map_or(bytes, |nul| &bytes[..nul]);
    match compat::from_utf8(bytes) {
        Ok(text) => (text, nul.is_none()),
        Err(error) => {
            let text = basic::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
            (text, nul.is_none() && error.error_len().is_none())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every range that could be a record's is clean or not as it is by itself.
    #[test]
    fn every_part_is_clean_or_not_by_itself() {
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
                        let expect = clean(&text[start..end]);
                        assert_eq!(clean_text.get(start..end), expect, "{start}..{end}");
                        start = end + 1;
                    }
                }
            }
        }
    }
}
