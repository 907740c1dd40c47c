//! A record and the values of its fields.

use std::{borrow::Cow, ops::Range, str};

use wide::u8x16;

use super::{clean::is_clean, lines::count_line_ends};
use crate::trim::trim_bytes;

/// A record that is not skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// The offset of the record in the stored file.
    pub(super) start: u64,
    /// The offset after its line end in the stored file. For a record that is too large, the offset where it exceeded
    /// the limit.
    pub(super) end: u64,
    /// The number of line ends in the text before it, as far as its reader knows the text.
    pub(super) lines: u64,
    /// The record, possibly with surrounding text. Empty if it is too large.
    pub(super) bytes: &'a [u8],
    /// The start of each field in `bytes`, then the position where another field would start. Each field ends a byte
    /// before the next start. Empty if the record is too large.
    pub(super) starts: &'a [u32],
    pub(super) is_clean: bool,
    pub(super) too_large: bool,
    /// Whether a quoted field is still open at its end.
    pub(super) is_unclosed: bool,
    /// Whether its quoted fields may contain line ends.
    pub(super) may_have_lines: bool,
}

impl<'a> Record<'a> {
    /// Returns the first record of `text`, whose end is known.
    pub(super) fn first(bytes: &'a [u8], starts: &'a [u32], is_unclosed: bool) -> Self {
        Self {
            start: 0,
            end: bytes.len() as u64,
            lines: 0,
            bytes,
            starts,
            is_clean: is_clean(bytes),
            too_large: false,
            is_unclosed,
            may_have_lines: true,
        }
    }

    pub(crate) fn is_unclosed(&self) -> bool {
        self.is_unclosed
    }

    /// Returns whether a quoted field may contain a line end.
    #[inline]
    pub(crate) fn may_have_lines(&self) -> bool {
        self.may_have_lines && self.has_line_end()
    }

    #[inline(never)]
    fn has_line_end(&self) -> bool {
        let (Some(first), Some(last)) = (self.starts.first(), self.starts.last()) else {
            return false;
        };
        let bytes = &self.bytes[*first as usize..*last as usize - 1];
        memchr::memchr2(b'\n', b'\r', bytes).is_some()
    }

    /// Returns the largest number of fields on any line of a quoted value, when it is split at every delimiter. The
    /// first line of each value doesn't count. Zero if there are no other lines.
    #[cold]
    pub(crate) fn most_fields_of_a_line(&self, delimiter: u8) -> usize {
        let values = (0..self.field_count()).filter_map(|field| {
            let raw = &self.bytes[self.range(field)?];
            raw.starts_with(b"\"").then(|| self.value_bytes(field))?
        });
        let most = |value: Cow<'_, [u8]>| {
            // A CRLF produces an empty line between its two characters.
            let lines = value.split(|byte| matches!(byte, b'\n' | b'\r')).skip(1);
            lines
                .map(|line| 1 + memchr::memchr_iter(delimiter, line).count())
                .max()
        };
        values.filter_map(most).max().unwrap_or_default()
    }

    /// Returns whether one of those lines has this number of fields, not counting empty fields after them.
    #[cold]
    pub(crate) fn has_line_of_fields(&self, delimiter: u8, fields: usize) -> bool {
        (0..self.field_count())
            .filter(|field| {
                self.range(*field)
                    .is_some_and(|it| self.bytes[it].starts_with(b"\""))
            })
            .filter_map(|field| self.value_bytes(field))
            .any(|value| {
                let mut lines = value.split(|byte| matches!(byte, b'\n' | b'\r')).skip(1);
                lines.any(|line| has_fields(line, delimiter, fields))
            })
    }

    /// Returns the field and the number of lines of a quoted value, for a message. The value is the one that is never
    /// closed, or else the first one with a line end.
    #[cold]
    pub(crate) fn lines_of_quoted(&self) -> Option<(usize, usize)> {
        let first = match self.is_unclosed {
            true => self.field_count().saturating_sub(1),
            false => 0,
        };
        (first..self.field_count()).find_map(|field| {
            let value = self.value_bytes(field)?;
            let line_ends = count_line_ends(&value);
            (line_ends > 0 || self.is_unclosed).then_some((field, line_ends + 1))
        })
    }

    /// Returns the number of line ends before the field.
    pub(crate) fn lines_before(&self, field: usize) -> usize {
        let (Some(first), Some(range)) = (self.starts.first(), self.range(field)) else {
            return 0;
        };
        count_line_ends(&self.bytes[*first as usize..range.start])
    }

    /// Returns whether all fields from this one on are empty after trimming.
    #[cold]
    pub(crate) fn is_empty_from(&self, field: usize) -> bool {
        (field..self.field_count()).all(|field| self.is_empty_at(field))
    }

    /// Returns whether the field is empty after trimming.
    pub(super) fn is_empty_at(&self, field: usize) -> bool {
        let value = self.value_bytes(field).unwrap_or_default();
        trim_bytes(&value).is_empty()
    }

    /// Returns whether the record is longer than [`super::scan::MAX_RECORD_BYTES`]. Nothing else is known of such a
    /// record.
    pub(crate) fn is_too_large(&self) -> bool {
        self.too_large
    }

    /// Returns the record's text.
    #[cold]
    pub(crate) fn text(&self) -> Cow<'_, str> {
        let (Some(first), Some(last)) = (self.starts.first(), self.starts.last()) else {
            return Cow::Borrowed("");
        };
        String::from_utf8_lossy(&self.bytes[*first as usize..*last as usize - 1])
    }

    pub(crate) fn field_count(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Returns whether it has this number of fields, which is at least one, and isn't too large.
    #[inline]
    pub(crate) fn has_fields(&self, count: usize) -> bool {
        self.starts.len() == count + 1
    }

    /// Returns whether it has this number of fields and no row error.
    #[inline]
    pub(crate) fn is_whole(&self, fields: usize) -> bool {
        let is_usual = self.is_clean & !self.too_large & !self.is_unclosed & !self.may_have_lines;
        is_usual && self.has_fields(fields)
    }

    /// Returns whether its raw bytes, quotes included, are UTF-8 without NUL. Then every value is, too. The reverse may
    /// not hold, because a quote can be within a character.
    pub(crate) fn is_clean(&self) -> bool {
        self.is_clean
    }

    pub(crate) fn contains_nul(&self) -> bool {
        (0..self.field_count())
            .filter_map(|field| self.range(field))
            .any(|range| self.bytes[range].contains(&0))
    }

    /// Returns a field as it is in the text, including its quotes.
    #[inline]
    pub(crate) fn raw(&self, field: usize) -> Option<&'a [u8]> {
        self.range(field).map(|range| &self.bytes[range])
    }

    /// Returns the unquoted value of a field as bytes.
    pub(crate) fn value_bytes(&self, field: usize) -> Option<Cow<'a, [u8]>> {
        let raw = &self.bytes[self.range(field)?];
        let [b'"', inner @ ..] = raw else {
            return Some(Cow::Borrowed(raw));
        };
        Some(borrowed(inner).map_or_else(|| Cow::Owned(unquoted(inner)), Cow::Borrowed))
    }

    /// Does the same, using `scratch` if the value can't be borrowed.
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

    /// Returns the value of a field that begins with a quote.
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

    /// Does the same as [`Self::value`], but as bytes and always in `scratch`.
    #[cold]
    pub(crate) fn text_in<'s>(&self, field: usize, scratch: &'s mut Vec<u8>) -> Option<&'s [u8]> {
        let mut text = String::new();
        *scratch = self.value(field, &mut text)?.as_bytes().to_vec();
        Some(scratch)
    }

    /// Returns the unquoted value of a field. Bytes that aren't UTF-8 and NULs become U+FFFD. Uses `scratch` if the
    /// value can't be borrowed.
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

/// Returns the value of a quoted field without other quotes and without text after the closing quote. `inner` is what
/// follows the opening quote.
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

/// Passes on the pieces that make up the value of a quoted field. `inner` is what follows the opening quote.
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

/// Returns whether any field is non-empty after unquoting, in a record that ends with a line end. `starts` is the field
/// of [`Record`].
#[inline]
pub(super) fn has_character(bytes: &[u8], starts: &[u32]) -> bool {
    let (first, last) = (starts[0], starts[starts.len() - 1]);
    // A field without characters takes at most two bytes, plus the one that ends it.
    (last - first) as usize > 3 * (starts.len() - 1)
        || starts.windows(2).any(|field| {
            let field = &bytes[field[0] as usize..field[1] as usize - 1];
            !matches!(field, b"" | b"\"\"")
        })
}

/// Returns whether a line that is split at every delimiter has this number of fields, not counting empty fields after
/// them.
fn has_fields(line: &[u8], delimiter: u8, fields: usize) -> bool {
    let mut split = line.split(|byte| *byte == delimiter);
    split.by_ref().take(fields).count() == fields && split.all(|field| trim_bytes(field).is_empty())
}
