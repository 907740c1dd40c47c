//! Finds the boundaries of records and fields, by RFC 4180 as csv-core reads it.
//!
//! Every record in this crate was found here.

/// The maximum length of a record in bytes of UTF-8, without its line end.
pub(crate) const MAX_RECORD_BYTES: usize = 1_048_576;

const QUOTE: u8 = b'"';

/// The position of the scan within a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the start of a field, in an unquoted one, or in text after a closing quote.
    Plain,
    Quoted,
    /// Directly after a quote in a quoted field. It closes the field unless another quote follows.
    AfterQuote,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The record ends with a line end. The number of bytes includes it.
    End(usize),
    /// After this number of bytes the record is too large. It continues.
    TooLarge(usize),
    /// The record continues after the input.
    More,
}

/// Scans one record after the other, in pieces of any size. Keeps only the field starts of the current record, and not
/// even those once the record is too large.
pub(super) struct Scanner {
    needles: Needles,
    state: State,
    /// The number of bytes scanned of the record, without its line end once it has ended.
    length: u64,
    /// The start of the current field, relative to the start of the record.
    field_start: u64,
    /// The start of each field, relative to the start of the record, and the position where another one would start.
    starts: Vec<u32>,
    has_character: bool,
    too_large: bool,
}

impl Scanner {
    pub(super) fn new(delimiter: u8) -> Self {
        Self {
            needles: Needles::new(delimiter),
            state: State::Plain,
            length: 0,
            field_start: 0,
            starts: vec![0],
            has_character: false,
            too_large: false,
        }
    }

    /// Prepares for the next record.
    pub(super) fn next_record(&mut self) {
        self.state = State::Plain;
        self.length = 0;
        self.field_start = 0;
        self.starts.clear();
        self.starts.push(0);
        self.has_character = false;
        self.too_large = false;
    }

    /// Returns the start of each field, relative to the start of the record, and the position where another one would
    /// start. Each field ends a byte before the next start. Empty if the record is too large.
    pub(super) fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// Returns whether the record is within a quoted field.
    pub(super) fn is_in_quotes(&self) -> bool {
        self.state == State::Quoted
    }

    /// Returns whether any field is non-empty after unquoting.
    pub(super) fn has_character(&self) -> bool {
        self.has_character
    }

    pub(super) fn is_too_large(&self) -> bool {
        self.too_large
    }

    /// Continues to scan the current record.
    pub(super) fn scan(&mut self, input: &[u8]) -> Step {
        if self.too_large {
            return match self.scan_window(input) {
                Some(end) => Step::End(end + 1),
                None => Step::More,
            };
        }
        // `length` is at most MAX_RECORD_BYTES here. A line end directly after the longest record is still in the
        // window.
        let room = MAX_RECORD_BYTES + 1 - self.length as usize;
        let window = input.get(..room).unwrap_or(input);
        match self.scan_window(window) {
            Some(end) => Step::End(end + 1),
            None if window.len() == room => {
                self.too_large = true;
                self.starts = Vec::new();
                Step::TooLarge(room)
            }
            None => Step::More,
        }
    }

    /// Ends the current record at the end of the text. Returns `false` if none has begun.
    pub(super) fn finish(&mut self) -> bool {
        if self.length == 0 {
            return false;
        }
        match self.state {
            State::Plain => self.end_plain_field(self.length),
            State::Quoted | State::AfterQuote => self.end_field(self.length),
        }
        true
    }

    /// Returns the index of the line end that ends the record.
    fn scan_window(&mut self, window: &[u8]) -> Option<usize> {
        let base = self.length;
        let mut at = 0;
        while at < window.len() {
            match self.state {
                State::Plain if window[at] == QUOTE && self.field_start == base + at as u64 => {
                    self.state = State::Quoted;
                    at += 1;
                }
                State::Plain => match self.scan_plain(window, at, base) {
                    Plain::LineEnd(end) => {
                        self.length = base + end as u64;
                        return Some(end);
                    }
                    Plain::Quote(quote) => at = quote,
                    Plain::More => break,
                },
                State::Quoted => match memchr::memchr(QUOTE, &window[at..]) {
                    Some(before) => {
                        self.has_character |= before > 0;
                        self.state = State::AfterQuote;
                        at += before + 1;
                    }
                    None => {
                        self.has_character = true;
                        break;
                    }
                },
                State::AfterQuote => {
                    let byte = window[at];
                    if byte == QUOTE {
                        self.has_character = true;
                        self.state = State::Quoted;
                        at += 1;
                    } else if byte == self.needles.delimiter {
                        self.end_field(base + at as u64);
                        self.state = State::Plain;
                        at += 1;
                    } else if is_line_end(byte) {
                        self.end_field(base + at as u64);
                        self.length = base + at as u64;
                        return Some(at);
                    } else {
                        self.has_character = true;
                        self.state = State::Plain;
                    }
                }
            }
        }
        self.length = base + window.len() as u64;
        None
    }

    /// Scans unquoted fields, eight bytes at a time.
    #[inline]
    fn scan_plain(&mut self, window: &[u8], start: usize, base: u64) -> Plain {
        let mut at = start;
        while let Some(word) = window[at..].first_chunk::<8>() {
            let mut hits = self.needles.find(u64::from_le_bytes(*word));
            while hits != 0 {
                let hit = at + (hits.trailing_zeros() / 8) as usize;
                hits &= hits - 1;
                self.end_plain_field(base + hit as u64);
                if window[hit] != self.needles.delimiter {
                    return Plain::LineEnd(hit);
                }
                if window.get(hit + 1) == Some(&QUOTE) {
                    return Plain::Quote(hit + 1);
                }
            }
            at += 8;
        }
        for (hit, &byte) in window.iter().enumerate().skip(at) {
            if byte == self.needles.delimiter {
                self.end_plain_field(base + hit as u64);
                if window.get(hit + 1) == Some(&QUOTE) {
                    return Plain::Quote(hit + 1);
                }
            } else if is_line_end(byte) {
                self.end_plain_field(base + hit as u64);
                return Plain::LineEnd(hit);
            }
        }
        Plain::More
    }

    #[inline]
    fn end_plain_field(&mut self, end: u64) {
        self.has_character |= end > self.field_start;
        self.end_field(end);
    }

    #[inline]
    fn end_field(&mut self, end: u64) {
        if !self.too_large {
            // The record isn't too large, so it fits.
            self.starts.push(end as u32 + 1);
        }
        self.field_start = end + 1;
    }
}

enum Plain {
    LineEnd(usize),
    /// The next field starts here, with a quote.
    Quote(usize),
    More,
}

const fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// The bytes that end an unquoted field, each repeated across a word.
struct Needles {
    delimiter: u8,
    delimiters: u64,
}

impl Needles {
    const LOW_BITS: u64 = u64::from_le_bytes([0x7F; 8]);
    const LF: u64 = u64::from_le_bytes([b'\n'; 8]);
    const CR: u64 = u64::from_le_bytes([b'\r'; 8]);

    fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            delimiters: u64::from_le_bytes([delimiter; 8]),
        }
    }

    /// Returns a word with the top bit of each matching byte set, and no other bit.
    #[inline]
    fn find(&self, word: u64) -> u64 {
        let differs = |needle: u64| {
            let difference = word ^ needle;
            // The sum can't carry from one byte into the next.
            ((difference & Self::LOW_BITS) + Self::LOW_BITS) | difference
        };
        !(differs(self.delimiters) & differs(Self::LF) & differs(Self::CR)) & !Self::LOW_BITS
    }
}
