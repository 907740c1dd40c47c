//! Decodes the encodings of the WHATWG Encoding Standard whose characters have up to four bytes: Big5, EUC-JP, EUC-KR,
//! GB18030 and Shift_JIS. In each of them a byte below 0x30 is always that ASCII character. So line ends can be found
//! without decoding, and the byte after a line end always starts a character.

use std::sync::OnceLock;

use encoding_rs::{BIG5, DecoderResult, EUC_JP, EUC_KR, Encoding, GB18030, GBK, SHIFT_JIS};

use super::decode::NOT_UTF8;

/// ISO-2022-JP isn't supported, because the meaning of a byte depends on all bytes before it.
pub(super) const ENCODINGS: [&Encoding; 6] = [BIG5, EUC_JP, EUC_KR, GB18030, GBK, SHIFT_JIS];

/// The number of bytes that each character takes in the stored file.
#[derive(Clone, Copy)]
pub(super) struct Lengths {
    /// For the characters up to U+FFFF.
    basic: &'static [u8],
    /// For all other characters.
    other: u8,
}

impl Lengths {
    /// Returns the lengths for one of [`ENCODINGS`].
    pub(super) fn of(encoding: &'static Encoding) -> Self {
        // Each encoding has its own cell, because every core reads them and would contend for a lock.
        static KNOWN: [OnceLock<Lengths>; ENCODINGS.len()] =
            [const { OnceLock::new() }; ENCODINGS.len()];
        let known = ENCODINGS.iter().position(|it| *it == encoding);
        let known = known.expect("callers pass one of ENCODINGS");
        *KNOWN[known].get_or_init(|| Self::find(encoding))
    }

    /// Some characters have two forms of different lengths. Only the usual one, of two bytes, is decoded, so that the
    /// length in bytes can be computed from the text.
    fn find(encoding: &'static Encoding) -> Self {
        let other = match encoding.name() {
            "Big5" => 2,
            "EUC-JP" => 3,
            _ => 4,
        };
        let mut basic = vec![other; 1 << 16];
        basic[..0x80].fill(1);
        let mut set = |bytes: &[u8]| {
            let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
            let mut left = bytes.len() as u8;
            for character in text.iter().flat_map(|text| text.chars()) {
                if let Some(length) = basic.get_mut(character as usize) {
                    // In Big5 a letter and an accent can be one sequence.
                    *length = std::mem::take(&mut left);
                }
            }
            text.is_some()
        };
        let lead: Vec<u8> = (0x80..=0xFF).filter(|byte| !set(&[*byte])).collect();
        for pair in lead
            .iter()
            .flat_map(|lead| (0x40..=0xFF).map(|trail| [*lead, trail]))
        {
            set(&pair);
        }
        Self {
            basic: basic.leak(),
            other,
        }
    }

    fn length(self, character: char) -> u8 {
        let basic = self.basic.get(character as usize);
        basic.copied().unwrap_or(self.other)
    }

    /// Does the same as [`Encoding::stored_len`](super::encoding::Encoding::stored_len). The last character must be
    /// whole.
    pub(super) fn stored_len(self, text: &[u8]) -> u64 {
        let of_piece = |piece: &str| match piece.is_ascii() {
            true => piece.len() as u64,
            false => piece
                .chars()
                .map(|c| u64::from(self.length(c)))
                .sum::<u64>(),
        };
        let invalid = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == NOT_UTF8).count() as u64;
        text.utf8_chunks()
            .map(|chunk| of_piece(chunk.valid()) + invalid(chunk.invalid()))
            .sum()
    }
}

/// Decodes one of [`ENCODINGS`]. Each invalid byte becomes [`NOT_UTF8`].
pub(super) struct MultiByte {
    decoder: encoding_rs::Decoder,
    lengths: Lengths,
    /// The number of bytes that were consumed and are not yet in the text.
    held: u8,
}

impl MultiByte {
    pub(super) fn new(encoding: &'static Encoding) -> Self {
        Self {
            decoder: encoding.new_decoder_without_bom_handling(),
            lengths: Lengths::of(encoding),
            held: 0,
        }
    }

    pub(super) fn decode(&mut self, mut block: &[u8], text: &mut Vec<u8>) {
        while !block.is_empty() {
            if self.held == 0 {
                let ascii = Encoding::ascii_valid_up_to(block);
                text.extend_from_slice(&block[..ascii]);
                block = &block[ascii..];
            }
            // Byte by byte, to know which bytes became which character.
            if let Some((byte, rest)) = block.split_first()
                && self.decode_byte(*byte, text)
            {
                block = rest;
            }
        }
    }

    /// Returns whether the byte was consumed. Otherwise it must be passed again.
    fn decode_byte(&mut self, byte: u8, text: &mut Vec<u8>) -> bool {
        let mut out = [0; 16];
        let (result, read, written) =
            self.decoder
                .decode_to_utf8_without_replacement(&[byte], &mut out, false);
        self.held += read as u8;
        self.take(&out[..written], text);
        if let DecoderResult::Malformed(bad, _) = result {
            let bad = bad.min(self.held);
            text.extend(std::iter::repeat_n(NOT_UTF8, bad.into()));
            self.held -= bad;
        }
        read == 1
    }

    fn take(&mut self, decoded: &[u8], text: &mut Vec<u8>) {
        let decoded = str::from_utf8(decoded).unwrap_or_default();
        let length: u8 = decoded.chars().map(|c| self.lengths.length(c)).sum();
        // ASCII after invalid bytes leaves some of them held.
        if decoded.is_ascii() || length == self.held {
            text.extend_from_slice(decoded.as_bytes());
            self.held -= length.min(self.held);
        } else {
            text.extend(std::iter::repeat_n(NOT_UTF8, self.held.into()));
            self.held = 0;
        }
    }

    /// Marks the end of the file.
    pub(super) fn finish(&mut self, text: &mut Vec<u8>) {
        text.extend(std::iter::repeat_n(NOT_UTF8, self.held.into()));
        self.held = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(encoding: &'static Encoding, bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut decoder = MultiByte::new(encoding);
        let mut text = Vec::new();
        for piece in bytes.chunks(piece) {
            decoder.decode(piece, &mut text);
        }
        decoder.finish(&mut text);
        text
    }

    /// Checks what must hold for any bytes.
    fn check(encoding: &'static Encoding, bytes: &[u8]) {
        let text = decode(encoding, bytes, usize::MAX);
        assert_eq!(
            Lengths::of(encoding).stored_len(&text),
            bytes.len() as u64,
            "{} {bytes:x?}",
            encoding.name()
        );
        for piece in 1..4 {
            assert_eq!(decode(encoding, bytes, piece), text, "{bytes:x?}");
        }
        if !text.contains(&NOT_UTF8) {
            let expect = encoding.decode_without_bom_handling_and_without_replacement(bytes);
            assert_eq!(Some(&*String::from_utf8(text).unwrap()), expect.as_deref());
        }
        let ends = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(ends(&decode(encoding, bytes, 1)), ends(bytes), "{bytes:x?}");
    }

    #[test]
    fn the_stored_length_follows_from_the_text() {
        for encoding in ENCODINGS {
            for first in 0..=0xFF {
                for second in 0..=0xFF {
                    check(encoding, &[b'a', first, second, b'\n', b'1']);
                }
            }
        }
    }

    #[test]
    fn ordinary_text_is_read() {
        for (encoding, text) in [
            (BIG5, "交易 €1,250.00 臺灣"),
            (EUC_JP, "振込 ﾌﾘｺﾐ 東京都"),
            (EUC_KR, "입금 서울특별시"),
            (GB18030, "交易时间 €5 龘 𠀀 ü"),
            (GBK, "微信支付账单明细 工商银行"),
            (SHIFT_JIS, "振込 ﾌﾘｺﾐ ソ能表 ¥"),
        ] {
            let (bytes, _, is_lossy) = encoding.encode(text);
            assert!(!is_lossy || text.contains('¥'));
            check(encoding, &bytes);
            let decoded = decode(encoding, &bytes, 1);
            assert!(!decoded.contains(&NOT_UTF8), "{}", encoding.name());
        }
    }

    proptest! {
        #[test]
        fn the_stored_length_follows_from_any_text(
            encoding in proptest::sample::select(&ENCODINGS[..]),
            bytes in prop::collection::vec(
                prop_oneof![
                    3 => 0x80_u8..,
                    1 => 0x30_u8..0x3A,
                    1 => proptest::sample::select(&b"\n,\x8F\x8E\xA2\x80\xFF"[..]),
                    1 => any::<u8>(),
                ],
                0..40,
            ),
        ) {
            check(encoding, &bytes);
        }
    }
}
