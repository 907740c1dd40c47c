//! The stored bytes as UTF-8 text.

use serde::{Deserialize, Serialize};

/// How the text is encoded in the stored file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

impl Encoding {
    /// The usual name, for messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le | Self::Utf16Be => "UTF-16",
        }
    }

    /// Bytes that decoded `text` takes in the stored file; what is cut off at its end of a character
    /// that has begun counts in full. An odd last byte of the file counts as two.
    pub(super) fn stored_len(self, text: &[u8]) -> u64 {
        if self == Self::Utf8 {
            return text.len() as u64;
        }
        let units = |&byte: &u8| match byte {
            0x80..=0xBF => 0,
            0xF0..=0xF4 => 2,
            _ => 1,
        };
        2 * text.iter().map(units).sum::<u64>()
    }

    /// Where in the stored `bytes` the first line end has ended. In UTF-16 they begin with a whole unit.
    pub(super) fn after_line_end(self, bytes: &[u8]) -> Option<usize> {
        let is_line_end = |unit: u16| unit == u16::from(b'\n') || unit == u16::from(b'\r');
        let units = || bytes.as_chunks::<2>().0.iter().copied();
        let unit = match self {
            Self::Utf8 => return memchr::memchr2(b'\n', b'\r', bytes).map(|at| at + 1),
            Self::Utf16Le => units().position(|unit| is_line_end(u16::from_le_bytes(unit))),
            Self::Utf16Be => units().position(|unit| is_line_end(u16::from_be_bytes(unit))),
        };
        unit.map(|at| 2 * at + 2)
    }
}

/// Stands for an unpaired surrogate and for an odd last byte: no UTF-8 text contains it.
const NOT_UTF8: u8 = 0xFF;

/// UTF-16 is decoded in blocks of this many bytes.
const BLOCK: usize = 32 * 1024;

/// Takes the stored file in slices of any size and hands its text on. The text of a UTF-8 file is
/// its bytes, valid or not.
pub(super) struct Decoder {
    /// `None` until the mark at the start of the file is decided on.
    encoding: Option<Encoding>,
    /// The file's first bytes, up to that decision.
    start: Vec<u8>,
    /// Bytes of the mark.
    mark: u64,
    /// First byte of a UTF-16 unit whose second is not there yet.
    half: Option<u8>,
    /// High surrogate whose partner is not there yet.
    high: Option<u16>,
    decoded: Vec<u8>,
}

impl Decoder {
    /// For a file from its beginning.
    pub(super) fn new() -> Self {
        Self {
            encoding: None,
            start: Vec::new(),
            mark: 0,
            half: None,
            high: None,
            decoded: Vec::new(),
        }
    }

    /// For a part of a file, which has no mark of its own.
    pub(super) fn within(encoding: Encoding) -> Self {
        Self {
            encoding: Some(encoding),
            ..Self::new()
        }
    }

    /// The encoding and the length of the mark; to be asked once there is text, or at the end.
    pub(super) fn found(&self) -> (Encoding, u64) {
        (self.encoding.unwrap_or(Encoding::Utf8), self.mark)
    }

    pub(super) fn push<E>(
        &mut self,
        mut bytes: &[u8],
        on_text: &mut impl FnMut((Encoding, u64), &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while self.encoding.is_none() {
            let Some((&byte, rest)) = bytes.split_first() else {
                return Ok(());
            };
            bytes = rest;
            self.start.push(byte);
            let (encoding, mark) = match *self.start {
                [0xFE] | [0xFF] | [0xEF] | [0xEF, 0xBB] => continue,
                [0xFE, 0xFF] => (Encoding::Utf16Be, 2),
                [0xFF, 0xFE] => (Encoding::Utf16Le, 2),
                [0xEF, 0xBB, 0xBF] => (Encoding::Utf8, 3),
                _ => (Encoding::Utf8, 0),
            };
            self.encoding = Some(encoding);
            self.mark = mark;
            if mark == 0 {
                on_text(self.found(), &self.start)?;
            }
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if self.encoding == Some(Encoding::Utf8) {
            return on_text(self.found(), bytes);
        }
        for block in bytes.chunks(BLOCK) {
            self.decoded.clear();
            self.decode_utf16(block);
            on_text(self.found(), &self.decoded)?;
        }
        Ok(())
    }

    /// The text that only the end of the file decides on.
    pub(super) fn finish<E>(
        mut self,
        on_text: &mut impl FnMut((Encoding, u64), &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.encoding.is_none() {
            return on_text(self.found(), &self.start);
        }
        self.decoded.clear();
        self.decoded.extend(self.high.map(|_| NOT_UTF8));
        self.decoded.extend(self.half.map(|_| NOT_UTF8));
        on_text(self.found(), &self.decoded)
    }

    fn decode_utf16(&mut self, mut block: &[u8]) {
        if let (Some(first), Some((&second, rest))) = (self.half, block.split_first()) {
            self.half = None;
            block = rest;
            self.decode_unit([first, second]);
        }
        let (units, odd) = block.as_chunks::<2>();
        for &unit in units {
            self.decode_unit(unit);
        }
        if let [half] = *odd {
            self.half = Some(half);
        }
    }

    fn decode_unit(&mut self, bytes: [u8; 2]) {
        let unit = match self.encoding {
            Some(Encoding::Utf16Be) => u16::from_be_bytes(bytes),
            _ => u16::from_le_bytes(bytes),
        };
        if let Some(high) = self.high.take() {
            if is_low(unit) {
                let pair = (u32::from(high & 0x3FF) << 10) | u32::from(unit & 0x3FF);
                self.push_character(0x1_0000 + pair);
                return;
            }
            self.decoded.push(NOT_UTF8);
        }
        if is_high(unit) {
            self.high = Some(unit);
        } else {
            self.push_character(u32::from(unit));
        }
    }

    fn push_character(&mut self, code_point: u32) {
        match char::from_u32(code_point) {
            Some(character) => {
                let mut utf8 = [0; 4];
                self.decoded
                    .extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
            }
            // A low surrogate without a high one before it.
            None => self.decoded.push(NOT_UTF8),
        }
    }
}

const fn is_high(unit: u16) -> bool {
    matches!(unit, 0xD800..=0xDBFF)
}

const fn is_low(unit: u16) -> bool {
    matches!(unit, 0xDC00..=0xDFFF)
}
