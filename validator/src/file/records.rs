//! The records of a text that comes in slices.

use std::{
    borrow::Cow,
    mem,
    ops::{ControlFlow, Range},
    str,
};

use wide::u8x16;

use super::{
    blocks::{Memory, for_each_batch},
    clean::{CleanText, is_clean},
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
    /// The record, with what may be before and after it in the text. Nothing if it is too large.
    bytes: &'a [u8],
    /// Where each field starts in `bytes`, and after them where another one would: each field ends a byte before the next
    /// one starts. Nothing if it is too large.
    starts: &'a [u32],
    is_clean: bool,
    too_large: bool,
}

impl<'a> Record<'a> {
    /// The first record of `text`, where it is known to end.
    pub(super) fn first(bytes: &'a [u8], starts: &'a [u32]) -> Self {
        Self {
            start: 0,
            end: bytes.len() as u64,
            bytes,
            starts,
            is_clean: is_clean(bytes),
            too_large: false,
        }
    }

    /// Longer than [`super::scan::MAX_RECORD_BYTES`]: nothing else is known of it.
    pub(crate) fn is_too_large(&self) -> bool {
        self.too_large
    }

    pub(crate) fn field_count(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Whether it has so many fields: at least one, and it isn't too large.
    #[inline]
    pub(crate) fn has_fields(&self, count: usize) -> bool {
        self.starts.len() == count + 1
    }

    /// Whether its bytes as they stand, quotes and all, are UTF-8 without NUL. Then every value is
    /// so too. The reverse may not hold: a quote can stand within a character.
    pub(crate) fn is_clean(&self) -> bool {
        self.is_clean
    }

    pub(crate) fn contains_nul(&self) -> bool {
        (0..self.field_count())
            .filter_map(|field| self.range(field))
            .any(|range| self.bytes[range].contains(&0))
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
        let range = self.range(field)?;
        let raw = &self.bytes[range.clone()];
        Some(match raw {
            [b'"', ..] => self.quoted_in(range, scratch),
            _ => raw,
        })
    }

    /// The value of a field that begins with a quote.
    #[inline(never)]
    fn quoted_in<'s>(&'s self, range: Range<usize>, scratch: &'s mut Vec<u8>) -> &'s [u8] {
        let after_quote = &self.bytes[range.start + 1..];
        let inner = &after_quote[..range.len() - 1];
        // In most quoted fields the next quote is the last byte, and it is near.
        if let Some(near) = after_quote.first_chunk() {
            let quotes = u8x16::new(*near).simd_eq(u8x16::splat(b'"'));
            let quote = quotes.to_bitmask().trailing_zeros() as usize;
            if quote + 1 == inner.len() {
                return &inner[..quote];
            }
        }
        borrowed(inner).unwrap_or_else(|| {
            *scratch = unquoted(inner);
            scratch
        })
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
        let value = self.value_bytes(field)?;
        if let Cow::Borrowed(bytes) = value
            && let Ok(text) = str::from_utf8(bytes)
            && (self.is_clean || !text.contains('\0'))
        {
            return Some(text);
        }
        *scratch = String::from_utf8_lossy(&value).replace('\0', "\u{FFFD}");
        Some(scratch)
    }

    #[inline]
    fn range(&self, field: usize) -> Option<Range<usize>> {
        let next = *self.starts.get(field + 1)?;
        Some(self.starts[field] as usize..next as usize - 1)
    }
}

/// The value of a quoted field, if nothing follows its closing quote and it has no other. `inner` is what follows the
/// opening quote.
#[inline(never)]
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

/// Whether any field has a character after unquoting, in a record that ends with a line end. `starts` are those of
/// [`Record`].
#[inline]
fn has_character(bytes: &[u8], starts: &[u32]) -> bool {
    let (first, last) = (starts[0], starts[starts.len() - 1]);
    // A field without characters has at most two bytes, and one more that ends it.
    (last - first) as usize > 3 * (starts.len() - 1)
        || starts.windows(2).any(|field| {
            let field = &bytes[field[0] as usize..field[1] as usize - 1];
            !matches!(field, b"" | b"\"\"")
        })
}

/// What the end of the text is the end of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum EndOf {
    File,
    /// Such a part ends with a record that is not skipped, or within one that is too large.
    Chunk,
}

/// Receives records that are not skipped, in their order.
pub(super) trait RecordSink {
    fn record(&mut self, record: &Record<'_>);

    /// Sees the next few records before they come, so that it can have the processor fetch what it will need for them.
    /// Not every record is seen so. Nothing is known of their places, nor whether they are clean.
    #[inline]
    fn ahead<'a, I: Iterator<Item = Record<'a>>>(&mut self, _records: impl FnOnce() -> I) {}
}

impl<F: FnMut(&Record<'_>)> RecordSink for F {
    #[inline]
    fn record(&mut self, record: &Record<'_>) {
        self(record);
    }
}

/// Takes text in slices of any size and hands on each record that is not skipped. What it keeps
/// between slices is never more than one record, and nothing of one that is too large.
pub(super) struct Records {
    delimiter: u8,
    /// For a record that is not whole in one slice.
    scanner: Scanner,
    /// For all other records.
    memory: Memory,
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
            memory: Memory::default(),
            encoding,
            carry: Vec::new(),
            start,
            end: start,
            too_large_at: 0,
        }
    }

    pub(super) fn push(&mut self, text: &[u8], sink: &mut impl RecordSink) {
        self.push_until(text, u64::MAX, sink);
    }

    /// As [`Self::push`], but stops after the first record, skipped or not, that ends at byte `until` of the stored file
    /// or after it. Returns where that is; `None` if the text ends before.
    pub(super) fn push_until(
        &mut self,
        text: &[u8],
        until: u64,
        sink: &mut impl RecordSink,
    ) -> Option<u64> {
        let mut at = 0;
        while at < text.len() {
            if self.start == self.end {
                at += self.push_whole(&text[at..], until, sink);
                if self.start >= until {
                    return Some(self.start);
                }
            }
            // What is left is not a whole record, or too large.
            if at < text.len() {
                at += self.push_on(&text[at..], sink)?;
                if self.start >= until {
                    return Some(self.start);
                }
            }
        }
        None
    }

    /// Hands on the records that end within `text`, as far as none is too large. Returns where they end.
    #[inline]
    fn push_whole(&mut self, text: &[u8], until: u64, sink: &mut impl RecordSink) -> usize {
        let mut clean = CleanText::new(text);
        let mut memory = mem::take(&mut self.memory);
        let position = for_each_batch(self.delimiter, text, &mut memory, |batch| {
            let bytes = batch.bytes;
            sink.ahead(|| {
                let records = batch.records();
                let records = records.filter(|starts| has_character(bytes, starts));
                records.map(|starts| Record {
                    start: 0,
                    end: 0,
                    bytes,
                    starts,
                    is_clean: false,
                    too_large: false,
                })
            });
            for starts in batch.records() {
                let [first, .., last] = *starts else {
                    continue;
                };
                let range = first as usize..last as usize;
                self.end += match self.encoding {
                    Encoding::Utf8 => range.len() as u64,
                    encoding => encoding.stored_len(&bytes[range.clone()]),
                };
                let after = batch.base + range.end;
                if has_character(bytes, starts) {
                    sink.record(&Record {
                        start: self.start,
                        end: self.end,
                        bytes,
                        starts,
                        is_clean: clean.is_clean(batch.base + range.start..after - 1),
                        too_large: false,
                    });
                }
                self.start = self.end;
                if self.start >= until {
                    return ControlFlow::Break(after);
                }
            }
            ControlFlow::Continue(())
        });
        self.memory = memory;
        position
    }

    /// Goes on with the current record, slice by slice. Returns how many bytes of `text` it takes; `None` if it goes on
    /// after them.
    fn push_on(&mut self, text: &[u8], sink: &mut impl RecordSink) -> Option<usize> {
        let mut at = 0;
        loop {
            let rest = &text[at..];
            match self.scanner.scan(rest) {
                Step::End(length) => {
                    self.advance(&rest[..length]);
                    if !self.scanner.has_character() {
                        // skipped
                    } else if self.scanner.is_too_large() {
                        sink.record(&self.record());
                    } else {
                        self.carry.extend_from_slice(&rest[..length - 1]);
                        sink.record(&self.record());
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
    pub(super) fn finish(mut self, end_of: EndOf, sink: &mut impl RecordSink) {
        if !self.scanner.finish() {
            return;
        }
        let is_skipped = match end_of {
            EndOf::File => !self.scanner.has_character(),
            EndOf::Chunk => !self.scanner.has_character() && !self.scanner.is_too_large(),
        };
        if !is_skipped {
            sink.record(&self.record());
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
            starts: self.scanner.starts(),
            is_clean: is_clean(&self.carry),
            too_large,
        }
    }
}

#[cfg(test)]
mod tests;
