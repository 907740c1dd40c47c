//! Splits a text that arrives in slices into records.

use std::{mem, ops::ControlFlow};

use super::{
    blocks::{Memory, for_each_batch},
    clean::{CleanText, is_clean},
    encoding::Encoding,
    lines::Lines,
    record::{Record, has_character},
    scan::{Scanner, Step},
};

/// What ends where the text ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum EndOf {
    File,
    /// Such a part ends with a record that is not skipped, or within one that is too large.
    Chunk,
}

/// Receives records that are not skipped, in their order.
pub(super) trait RecordSink {
    fn record(&mut self, record: &Record<'_>);

    /// Receives the next few records in advance, so that it can prefetch what they need. Not every record is announced.
    /// Their positions, and whether they are clean, aren't known yet.
    #[inline]
    fn ahead<'a, I: Iterator<Item = Record<'a>>>(&mut self, _records: impl FnOnce() -> I) {}
}

impl<F: FnMut(&Record<'_>)> RecordSink for F {
    #[inline]
    fn record(&mut self, record: &Record<'_>) {
        self(record);
    }
}

/// Splits text in slices of any size into records and passes on those that are not skipped. Between slices it keeps at
/// most one record, and nothing of one that is too large.
pub(super) struct Records {
    delimiter: u8,
    /// For a record that spans slices.
    scanner: Scanner,
    /// For all other records.
    memory: Memory,
    /// The encoding of the stored file, needed for the positions of records in it.
    encoding: Encoding,
    /// The beginning of a record whose end hasn't arrived.
    carry: Vec<u8>,
    /// Where the current record starts in the stored file.
    start: u64,
    /// Where the text scanned so far ends in the stored file.
    end: u64,
    /// The line ends of the text scanned so far and, if known, of the text before it.
    lines: Lines,
    /// The number of line ends before the current record.
    lines_before: u64,
    /// Where the current record exceeded the limit.
    too_large_at: u64,
    /// Whether the text has ended.
    is_at_end: bool,
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
            lines: Lines::default(),
            lines_before: 0,
            too_large_at: 0,
            is_at_end: false,
        }
    }

    /// Sets the line ends of the text before, if they are known.
    pub(super) fn after(self, lines: Lines) -> Self {
        Self {
            lines,
            lines_before: lines.count(),
            ..self
        }
    }

    /// Returns whether all text so far is known to be ASCII.
    pub(super) fn are_ascii(&self) -> bool {
        !self.memory.has_non_ascii
    }

    /// Returns the line ends of the text scanned so far.
    pub(super) fn lines(&self) -> Lines {
        self.lines
    }

    pub(super) fn push(&mut self, text: &[u8], sink: &mut impl RecordSink) {
        self.push_until(text, u64::MAX, sink);
    }

    /// Does the same as [`Self::push`], but stops after the first record, skipped or not, that ends at byte `until` of
    /// the stored file or after it. Returns that end, or `None` if the text ends first.
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
            // The rest isn't a whole record, or is too large.
            if at < text.len() {
                at += self.push_on(&text[at..], sink)?;
                if self.start >= until {
                    return Some(self.start);
                }
            }
        }
        None
    }

    /// Passes on the records that end within `text`, up to the first one that is too large. Returns where they end.
    #[inline]
    fn push_whole(&mut self, text: &[u8], until: u64, sink: &mut impl RecordSink) -> usize {
        let mut clean = CleanText::new(text);
        let mut memory = mem::take(&mut self.memory);
        let encoding = self.encoding;
        let (mut start, mut lines) = (self.start, self.lines);
        lines.begin(text);
        let position = for_each_batch(self.delimiter, text, &mut memory, |batch| {
            let (bytes, may_have_lines) = (batch.bytes, batch.may_have_lines);
            let mut record = Record {
                start: 0,
                end: 0,
                lines: lines.count(),
                bytes,
                starts: &[],
                is_clean: false,
                too_large: false,
                is_unclosed: false,
                may_have_lines,
            };
            sink.ahead(|| {
                let records = batch.records();
                let records = records.filter(|starts| has_character(bytes, starts));
                records.map(|starts| Record {
                    starts,
                    ..record.clone()
                })
            });
            let (range, count) = (batch.range(), batch.len());
            let length = range.len() as u64;
            // Most batches satisfy this and take the fastest path for each record.
            let is_usual = encoding == Encoding::Utf8
                && !may_have_lines
                && start + length < until
                && clean.is_clean(batch.base + range.start..batch.base + range.end)
                && lines.push_lf_lines(&bytes[range.clone()], count);
            if is_usual {
                record.is_clean = true;
                let origin = start - range.start as u64;
                for starts in batch.records() {
                    let [first, .., last] = *starts else {
                        continue;
                    };
                    record.starts = starts;
                    record.start = origin + u64::from(first);
                    record.end = origin + u64::from(last);
                    if has_character(bytes, starts) {
                        sink.record(&record);
                    }
                    record.lines += 1;
                }
                start += length;
                return ControlFlow::Continue(());
            }
            for starts in batch.records() {
                let [first, .., last] = *starts else {
                    continue;
                };
                let range = first as usize..last as usize;
                let after = batch.base + range.end;
                let text = &bytes[range.clone()];
                let end = start
                    + match encoding {
                        Encoding::Utf8 => text.len() as u64,
                        encoding => encoding.stored_len(text),
                    };
                record.lines = lines.count();
                match may_have_lines {
                    true => lines.push(text),
                    false => lines.push_line(text),
                }
                if has_character(bytes, starts) {
                    record.starts = starts;
                    (record.start, record.end) = (start, end);
                    record.is_clean = clean.is_clean(batch.base + range.start..after - 1);
                    sink.record(&record);
                }
                start = end;
                if start >= until {
                    return ControlFlow::Break(after);
                }
            }
            ControlFlow::Continue(())
        });
        self.memory = memory;
        (self.start, self.end, self.lines) = (start, start, lines);
        self.lines_before = lines.count();
        position
    }

    /// Continues the current record slice by slice. Returns how many bytes of `text` belong to it, or `None` if it
    /// continues after them.
    fn push_on(&mut self, text: &[u8], sink: &mut impl RecordSink) -> Option<usize> {
        let mut at = 0;
        loop {
            let rest = &text[at..];
            match self.scanner.scan(rest) {
                Step::End(length) => {
                    self.advance(rest, length);
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
                    self.lines_before = self.lines.count();
                    return Some(at + length);
                }
                Step::TooLarge(length) => {
                    self.advance(rest, length);
                    self.too_large_at = self.end;
                    self.carry.clear();
                    at += length;
                }
                Step::More => {
                    self.advance(rest, rest.len());
                    if !self.scanner.is_too_large() {
                        self.carry.extend_from_slice(rest);
                    }
                    return None;
                }
            }
        }
    }

    /// Marks the end of the text.
    pub(super) fn finish(mut self, end_of: EndOf, sink: &mut impl RecordSink) {
        if !self.scanner.finish() {
            return;
        }
        self.is_at_end = true;
        let is_skipped = match end_of {
            EndOf::File => !self.scanner.has_character(),
            EndOf::Chunk => !self.scanner.has_character() && !self.scanner.is_too_large(),
        };
        if !is_skipped {
            sink.record(&self.record());
        }
    }

    /// Accounts for `length` scanned bytes of `text`.
    #[inline]
    fn advance(&mut self, text: &[u8], length: usize) {
        let continues = |byte: &&u8| (0x80..=0xBF).contains(*byte);
        let cut = text[length..].iter().take_while(continues).count();
        self.end += match self.encoding {
            Encoding::Utf8 => length as u64,
            // A character that has begun counts in full.
            encoding => encoding.stored_len(&text[..length + cut]),
        };
        self.lines.push(&text[..length]);
        self.memory.has_non_ascii |= !text[..length].is_ascii();
    }

    /// Returns the record that was scanned piece by piece.
    fn record(&self) -> Record<'_> {
        let too_large = self.scanner.is_too_large();
        Record {
            start: self.start,
            end: if too_large {
                self.too_large_at
            } else {
                self.end
            },
            lines: self.lines_before,
            bytes: &self.carry,
            starts: self.scanner.starts(),
            is_clean: is_clean(&self.carry),
            too_large,
            is_unclosed: self.is_at_end && self.scanner.is_in_quotes(),
            may_have_lines: true,
        }
    }
}

#[cfg(test)]
mod tests;
