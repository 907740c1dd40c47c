//! The records of a text that comes in slices.

use std::{borrow::Cow, mem, ops::Range};

use super::{
    blocks::{Blocks, has_character},
    clean::{CleanText, clean},
    decode::Encoding,
    scan::{Scanner, Step},
};

/// A record that is not skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// Where it starts in the stored file.
    pub(super) start: u64,
    /// Where its line end has ended in the stored file; if it is too large, where it became so.
    pub(super) end: u64,
    /// Without its line end; nothing if it is too large.
    bytes: &'a [u8],
    /// `bytes`, if they are UTF-8 without NUL.
    text: Option<&'a str>,
    /// Where each field ends in `bytes`.
    ends: &'a [u32],
    too_large: bool,
}

impl<'a> Record<'a> {
    /// The first record of `text`, where it is known to end.
    pub(super) fn first(bytes: &'a [u8], ends: &'a [u32]) -> Self {
        Self {
            start: 0,
            end: bytes.len() as u64,
            bytes,
            text: clean(bytes),
            ends,
            too_large: false,
        }
    }

    /// Longer than [`super::scan::MAX_RECORD_BYTES`]: nothing else is known of it.
    pub(crate) fn is_too_large(&self) -> bool {
        self.too_large
    }

    pub(crate) fn field_count(&self) -> usize {
        self.ends.len()
    }

    /// Whether its bytes as they stand, quotes and all, are UTF-8 without NUL. Then every value is
    /// so too. The reverse may not hold: a quote can stand within a character.
    pub(crate) fn is_clean(&self) -> bool {
        self.text.is_some()
    }

    pub(crate) fn contains_nul(&self) -> bool {
        memchr::memchr(0, self.bytes).is_some()
    }

    /// The value of a field, after unquoting, as bytes.
    pub(crate) fn value_bytes(&self, field: usize) -> Option<Cow<'a, [u8]>> {
        let raw = &self.bytes[self.range(field)?];
        let [b'"', inner @ ..] = raw else {
            return Some(Cow::Borrowed(raw));
        };
        Some(borrowed(inner).map_or_else(|| Cow::Owned(unquoted(inner)), Cow::Borrowed))
    }

    /// The same. Where it can't be borrowed it is put into `scratch`.
    #[inline]
    pub(crate) fn value_in<'s>(
        &'s self,
        field: usize,
        scratch: &'s mut Vec<u8>,
    ) -> Option<&'s [u8]> {
        let raw = &self.bytes[self.range(field)?];
        let [b'"', inner @ ..] = raw else {
            return Some(raw);
        };
        if let Some(value) = borrowed(inner) {
            return Some(value);
        }
        *scratch = unquoted(inner);
        Some(scratch)
    }

    /// As [`Self::value`], but as bytes and always in `scratch`.
    #[cold]
    pub(crate) fn text_in<'s>(&self, field: usize, scratch: &'s mut Vec<u8>) -> Option<&'s [u8]> {
        let mut text = String::new();
        *scratch = self.value(field, &mut text)?.as_bytes().to_vec();
        Some(scratch)
    }

    /// The value of a field, after unquoting; bytes that are not UTF-8 and NULs are U+FFFD. Where
    /// it can't be borrowed it is put into `scratch`.
    pub(crate) fn value<'s>(&'s self, field: usize, scratch: &'s mut String) -> Option<&'s str> {
        let Some(text) = self.text else {
            let bytes = self.value_bytes(field)?;
            *scratch = String::from_utf8_lossy(&bytes).replace('\0', "\u{FFFD}");
            return Some(scratch);
        };
        let raw = &text[self.range(field)?];
        let Some(inner) = raw.strip_prefix('"') else {
            return Some(raw);
        };
        match memchr::memchr(b'"', inner.as_bytes()) {
            None => Some(inner),
            Some(last) if last + 1 == inner.len() => Some(&inner[..last]),
            Some(_) => {
                scratch.clear();
                unquote(inner.as_bytes(), |piece| scratch.push_str(&inner[piece]));
                Some(scratch)
            }
        }
    }

    #[inline]
    fn range(&self, field: usize) -> Option<Range<usize>> {
        let end = *self.ends.get(field)? as usize;
        let start = match field {
            0 => 0,
            _ => self.ends[field - 1] as usize + 1,
        };
        Some(start..end)
    }
}

/// The value of a quoted field, if nothing follows its closing quote and it has no other. `inner` is what follows the
/// opening quote.
#[inline]
fn borrowed(inner: &[u8]) -> Option<&[u8]> {
    match memchr::memchr(b'"', inner) {
        None => Some(inner),
        Some(last) if last + 1 == inner.len() => Some(&inner[..last]),
        Some(_) => None,
    }
}

#[cold]
fn unquoted(inner: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(inner.len());
    unquote(inner, |piece| value.extend_from_slice(&inner[piece]));
    value
}

/// Hands on the pieces that the value of a quoted field consists of. `inner` is what follows the
/// opening quote.
fn unquote(inner: &[u8], mut piece: impl FnMut(Range<usize>)) {
    let mut start = 0;
    while let Some(quote) = memchr::memchr(b'"', &inner[start..]).map(|quote| start + quote) {
        if inner.get(quote + 1) == Some(&b'"') {
            piece(start..quote + 1);
            start = quote + 2;
        } else {
            piece(start..quote);
            piece(quote + 1..inner.len());
            return;
        }
    }
    piece(start..inner.len());
}

/// What the end of the text is the end of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum EndOf {
    File,
    /// Such a part ends with a record that is not skipped, or within one that is too large.
    Chunk,
}

/// Takes text in slices of any size and hands on each record that is not skipped. What it keeps
/// between slices is never more than one record, and nothing of one that is too large.
pub(super) struct Records {
    delimiter: u8,
    /// For a record that is not whole in one slice.
    scanner: Scanner,
    /// Where each field of the other records ends: memory to be used again.
    ends: Vec<u32>,
    /// How the stored file is encoded, to know the places of records in it.
    encoding: Encoding,
    /// What came of a record whose end has not come yet.
    carry: Vec<u8>,
    /// Where the current record starts in the stored file.
    start: u64,
    /// Where the text scanned so far ends in the stored file.
    end: u64,
    /// Where the current record became too large.
    too_large_at: u64,
}

impl Records {
    /// For text that starts at byte `start` of the stored file, at the beginning of a record.
    pub(super) fn new(delimiter: u8, encoding: Encoding, start: u64) -> Self {
        Self {
            delimiter,
            scanner: Scanner::new(delimiter),
            ends: Vec::new(),
            encoding,
            carry: Vec::new(),
            start,
            end: start,
            too_large_at: 0,
        }
    }

    pub(super) fn push(&mut self, text: &[u8], on_record: &mut impl FnMut(&Record<'_>)) {
        self.push_until(text, u64::MAX, on_record);
    }

    /// As [`Self::push`], but stops after the first record, skipped or not, that ends at byte `until` of the stored file
    /// or after it. Returns where that is; `None` if the text ends before.
    pub(super) fn push_until(
        &mut self,
        text: &[u8],
        until: u64,
        on_record: &mut impl FnMut(&Record<'_>),
    ) -> Option<u64> {
        let mut at = 0;
        while at < text.len() {
            if self.start == self.end {
                at += self.push_whole(&text[at..], until, on_record);
                if self.start >= until {
                    return Some(self.start);
                }
            }
            // What is left is not a whole record, or too large.
            if at < text.len() {
                at += self.push_on(&text[at..], on_record)?;
                if self.start >= until {
                    return Some(self.start);
                }
            }
        }
        None
    }

    /// Hands on the records that end within `text`, as far as none is too large. What is left of it goes to [`Self::push_on`]. Returns how many bytes
    /// they take.
    fn push_whole(
        &mut self,
        text: &[u8],
        until: u64,
        on_record: &mut impl FnMut(&Record<'_>),
    ) -> usize {
        let mut blocks = Blocks::new(self.delimiter, text);
        let mut clean = CleanText::new(text);
        let mut ends = mem::take(&mut self.ends);
        while self.start < until
            && let Some(range) = blocks.next_record(&mut ends)
        {
            self.advance(&text[range.start..=range.end]);
            let bytes = &text[range.clone()];
            if has_character(bytes, &ends) {
                on_record(&Record {
                    start: self.start,
                    end: self.end,
                    bytes,
                    text: clean.get(range),
                    ends: &ends,
                    too_large: false,
                });
            }
            self.start = self.end;
        }
        self.ends = ends;
        blocks.position()
    }

    /// Goes on with the current record, slice by slice. Returns how many bytes of `text` it takes; `None` if it goes on
    /// after them.
    fn push_on(&mut self, text: &[u8], on_record: &mut impl FnMut(&Record<'_>)) -> Option<usize> {
        let mut at = 0;
        loop {
            let rest = &text[at..];
            match self.scanner.scan(rest) {
                Step::End(length) => {
                    self.advance(&rest[..length]);
                    if !self.scanner.has_character() {
                        // skipped
                    } else if self.scanner.is_too_large() {
                        on_record(&self.record());
                    } else {
                        self.carry.extend_from_slice(&rest[..length - 1]);
                        on_record(&self.record());
                    }
                    self.scanner.next_record();
                    self.carry.clear();
                    self.start = self.end;
                    return Some(at + length);
                }
                Step::TooLarge(length) => {
                    self.advance(&rest[..length]);
                    self.too_large_at = self.end;
                    self.carry.clear();
                    at += length;
                }
                Step::More => {
                    self.advance(rest);
                    if !self.scanner.is_too_large() {
                        self.carry.extend_from_slice(rest);
                    }
                    return None;
                }
            }
        }
    }

    /// The text is over.
    pub(super) fn finish(mut self, end_of: EndOf, on_record: &mut impl FnMut(&Record<'_>)) {
        if !self.scanner.finish() {
            return;
        }
        let is_skipped = match end_of {
            EndOf::File => !self.scanner.has_character(),
            EndOf::Chunk => !self.scanner.has_character() && !self.scanner.is_too_large(),
        };
        if !is_skipped {
            on_record(&self.record());
        }
    }

    #[inline]
    fn advance(&mut self, text: &[u8]) {
        self.end += self.encoding.stored_len(text);
    }

    /// The record that was scanned piece by piece.
    fn record(&self) -> Record<'_> {
        let too_large = self.scanner.is_too_large();
        Record {
            start: self.start,
            end: if too_large {
                self.too_large_at
            } else {
                self.end
            },
            bytes: &self.carry,
            text: clean(&self.carry),
            ends: self.scanner.ends(),
            too_large,
        }
    }
}

#[cfg(test)]
mod tests;
