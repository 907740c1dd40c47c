//! Decodes the stored bytes to UTF-8 text.

use encoding_rs::DecoderResult;

use super::{encoding::Encoding, multi_byte::MultiByte};

/// Replaces an unpaired surrogate, an odd last byte, and a byte that a legacy encoding doesn't define. UTF-8 text never
/// contains it.
pub(super) const NOT_UTF8: u8 = 0xFF;

/// The number of bytes decoded at once, for text that isn't UTF-8.
const BLOCK: usize = 32 * 1024;

/// Decodes the stored file from slices of any size and passes its text on. The text of a UTF-8 file is its bytes, valid
/// or not.
pub(super) struct Decoder {
    given: Option<Encoding>,
    /// `None` until the encoding is decided.
    encoding: Option<Encoding>,
    /// The first bytes of the file, until the encoding is decided.
    start: Vec<u8>,
    /// The length of the BOM in bytes.
    mark: u64,
    /// The first byte of a UTF-16 unit whose second byte hasn't arrived.
    half: Option<u8>,
    /// A high surrogate whose low surrogate hasn't arrived.
    high: Option<u16>,
    legacy: Option<LegacyDecoder>,
    decoded: Vec<u8>,
}

enum LegacyDecoder {
    SingleByte(encoding_rs::Decoder),
    MultiByte(MultiByte),
}

impl LegacyDecoder {
    fn new(encoding: Encoding) -> Option<Self> {
        let Encoding::Legacy(encoding) = encoding else {
            return None;
        };
        Some(match encoding.is_single_byte() {
            true => Self::SingleByte(encoding.new_decoder_without_bom_handling()),
            false => Self::MultiByte(MultiByte::new(encoding)),
        })
    }
}

/// The number of bytes that decide whether a file without a BOM is UTF-16.
pub(super) const UTF16_BYTES: usize = 1_024;

impl Decoder {
    /// Returns a decoder for a file from its beginning, in the given encoding, if any.
    pub(super) fn new(given: Option<Encoding>) -> Self {
        Self {
            given,
            encoding: None,
            start: Vec::new(),
            mark: 0,
            half: None,
            high: None,
            legacy: None,
            decoded: Vec::new(),
        }
    }

    /// Returns a decoder for a part of a file, which has no BOM of its own.
    pub(super) fn within(encoding: Encoding) -> Self {
        Self {
            encoding: Some(encoding),
            legacy: LegacyDecoder::new(encoding),
            ..Self::new(None)
        }
    }

    fn decide(&mut self, encoding: Encoding, bom: u64) {
        self.encoding = Some(encoding);
        self.legacy = LegacyDecoder::new(encoding);
        self.mark = bom;
    }

    /// Returns the encoding and the length of the BOM. Valid once text was passed on, or at the end.
    pub(super) fn found(&self) -> (Encoding, u64) {
        (
            self.encoding.or(self.given).unwrap_or(Encoding::Utf8),
            self.mark,
        )
    }

    pub(super) fn push<E>(
        &mut self,
        mut bytes: &[u8],
        on_text: &mut impl FnMut((Encoding, u64), &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.encoding.is_none() {
            let lacking = UTF16_BYTES - self.start.len();
            let (taken, rest) = bytes.split_at(lacking.min(bytes.len()));
            self.start.extend_from_slice(taken);
            if self.start.len() < UTF16_BYTES {
                return Ok(());
            }
            bytes = rest;
            self.begin(on_text)?;
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if self.encoding == Some(Encoding::Utf8) {
            return on_text(self.found(), bytes);
        }
        for block in bytes.chunks(BLOCK) {
            self.decoded.clear();
            match &mut self.legacy {
                Some(LegacyDecoder::SingleByte(decoder)) => {
                    decode_single_bytes(decoder, block, &mut self.decoded);
                }
                Some(LegacyDecoder::MultiByte(decoder)) => decoder.decode(block, &mut self.decoded),
                None => self.decode_utf16(block),
            }
            on_text(self.found(), &self.decoded)?;
        }
        Ok(())
    }

    /// Decides on the encoding by the file's first bytes and passes on their text.
    fn begin<E>(
        &mut self,
        on_text: &mut impl FnMut((Encoding, u64), &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = std::mem::take(&mut self.start);
        let (encoding, bom) = by_first_bytes(&start).unwrap_or((Encoding::Utf8, 0));
        match self.given {
            // In the given encoding, the BOM of another encoding is text.
            Some(given) => self.decide(given, if given == encoding { bom } else { 0 }),
            None => self.decide(encoding, bom),
        }
        self.push(&start[self.mark as usize..], on_text)
    }

    /// Passes on the text that depends on where the file ends.
    pub(super) fn finish<E>(
        mut self,
        on_text: &mut impl FnMut((Encoding, u64), &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.encoding.is_none() {
            self.begin(on_text)?;
        }
        self.decoded.clear();
        self.decoded.extend(self.high.map(|_| NOT_UTF8));
        self.decoded.extend(self.half.map(|_| NOT_UTF8));
        if let Some(LegacyDecoder::MultiByte(decoder)) = &mut self.legacy {
            decoder.finish(&mut self.decoded);
        }
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
            // A low surrogate without a preceding high one.
            None => self.decoded.push(NOT_UTF8),
        }
    }
}

/// Replaces every undefined byte with [`NOT_UTF8`], so that the length in bytes can be computed from the text.
fn decode_single_bytes(decoder: &mut encoding_rs::Decoder, mut block: &[u8], text: &mut Vec<u8>) {
    // A character of a single-byte encoding takes at most three bytes in UTF-8.
    text.resize(3 * block.len() + 16, 0);
    let mut at = 0;
    while !block.is_empty() {
        let out = &mut text[at..];
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(block, out, false);
        block = &block[read..];
        at += written;
        if let DecoderResult::Malformed(..) = result {
            text[at] = NOT_UTF8;
            at += 1;
        }
    }
    text.truncate(at);
}

/// Returns the encoding that the first [`UTF16_BYTES`] of a file decide on, and the length of the BOM in bytes.
pub(super) fn by_first_bytes(start: &[u8]) -> Option<(Encoding, u64)> {
    match *start {
        [0xFE, 0xFF, ..] => Some((Encoding::Utf16Be, 2)),
        [0xFF, 0xFE, ..] => Some((Encoding::Utf16Le, 2)),
        [0xEF, 0xBB, 0xBF, ..] => Some((Encoding::Utf8, 3)),
        _ => utf16_without_bom(start).map(|encoding| (encoding, 0)),
    }
}

/// Detects UTF-16: at least a quarter of the high bytes are NUL, as in Latin letters, and there is no NUL elsewhere.
fn utf16_without_bom(start: &[u8]) -> Option<Encoding> {
    let start = start.get(..UTF16_BYTES).unwrap_or(start);
    let (mut even, mut odd) = (0, 0);
    for [first, second] in start.as_chunks::<2>().0 {
        even += usize::from(*first == 0);
        odd += usize::from(*second == 0);
    }
    even += usize::from(start.as_chunks::<2>().1 == [0]);
    match (even, odd) {
        (0, nuls) if nuls > 0 && 4 * nuls >= start.len() / 2 => Some(Encoding::Utf16Le),
        (nuls, 0) if nuls > 0 && 4 * nuls >= start.len().div_ceil(2) => Some(Encoding::Utf16Be),
        _ => None,
    }
}

const fn is_high(unit: u16) -> bool {
    matches!(unit, 0xD800..=0xDBFF)
}

const fn is_low(unit: u16) -> bool {
    matches!(unit, 0xDC00..=0xDFFF)
}
