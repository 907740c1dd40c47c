//! Finds out whether a file's text is UTF-8, based on all of its bytes.

use simdutf8::compat;

use crate::Encoding;

/// What is known of the bytes fed so far. The result doesn't depend on how they are split.
#[derive(Debug, Clone, Default)]
pub(crate) struct TextKind {
    /// Whether the file itself or the format declares the encoding.
    is_known: bool,
    /// Whether any byte isn't UTF-8.
    is_broken: bool,
    /// Whether there is a multi-byte character.
    has_multi_byte: bool,
    /// The beginning of a character whose end hasn't arrived.
    pending: Vec<u8>,
    /// Some of the bytes that aren't UTF-8, with those around them.
    sample: Vec<u8>,
    /// The number of following bytes that the sample still needs.
    wanted: usize,
    /// The last bytes seen that aren't in the sample, at most [`AROUND`].
    before: Vec<u8>,
}

/// The number of bytes that are enough for a detector.
const SAMPLE_BYTES: usize = 16 << 10;

/// The number of bytes to sample before and after each byte that isn't UTF-8. They may be parts of the same character.
const AROUND: usize = 24;

impl TextKind {
    pub(crate) fn known() -> Self {
        Self {
            is_known: true,
            ..Self::default()
        }
    }

    /// Adds the next bytes. Set `are_ascii` only if all of them are known to be ASCII.
    pub(crate) fn push(&mut self, mut bytes: &[u8], are_ascii: bool) {
        // A single multi-byte character of UTF-8 decides.
        if self.is_known || self.has_multi_byte {
            return;
        }
        while !self.pending.is_empty() && !bytes.is_empty() {
            self.pending.push(bytes[0]);
            bytes = &bytes[1..];
            let pending = std::mem::take(&mut self.pending);
            self.look(&pending);
        }
        match are_ascii {
            true => self.keep(bytes),
            false => self.look(bytes),
        }
    }

    /// Marks the end of the file.
    pub(crate) fn finish(&mut self) {
        if !std::mem::take(&mut self.pending).is_empty() {
            self.is_broken = true;
        }
    }

    fn look(&mut self, mut bytes: &[u8]) {
        if bytes.is_ascii() {
            self.keep(bytes);
            return;
        }
        while !bytes.is_empty() && !self.has_multi_byte {
            match compat::from_utf8(bytes) {
                Ok(text) => {
                    self.has_multi_byte = !text.is_ascii();
                    self.keep(bytes);
                    return;
                }
                Err(error) => {
                    let (valid, rest) = bytes.split_at(error.valid_up_to());
                    self.has_multi_byte = !valid.is_ascii();
                    self.keep(valid);
                    let Some(length) = error.error_len() else {
                        self.pending = rest.to_vec();
                        return;
                    };
                    self.is_broken = true;
                    if self.sample.len() < SAMPLE_BYTES {
                        if self.before.len() == AROUND {
                            // Bytes before these were omitted.
                            self.sample.push(b'\n');
                        }
                        self.sample.append(&mut self.before);
                        self.sample.extend_from_slice(&rest[..length]);
                        self.wanted = AROUND;
                    }
                    bytes = &rest[length..];
                }
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let (wanted, rest) = bytes.split_at(self.wanted.min(bytes.len()));
        self.sample.extend_from_slice(wanted);
        self.wanted -= wanted.len();
        self.before
            .extend_from_slice(&rest[rest.len().saturating_sub(AROUND)..]);
        let surplus = self.before.len().saturating_sub(AROUND);
        self.before.drain(..surplus);
    }

    /// Returns whether the text is in a legacy encoding: it has bytes that aren't UTF-8, and no multi-byte character of
    /// UTF-8.
    pub(crate) fn is_legacy(&self) -> bool {
        !self.is_known && !self.has_multi_byte && (self.is_broken || !self.pending.is_empty())
    }

    /// Returns some of the bytes that aren't UTF-8, with those before them.
    pub(crate) fn sample(&self) -> &[u8] {
        &self.sample[..self.sample.len().min(200)]
    }

    /// Returns the label of the encoding that a detector guesses.
    pub(crate) fn suggestion(&self) -> String {
        if self.has_only_currency_signs() {
            return "windows-1252".to_owned();
        }
        let mut detector = chardetng::EncodingDetector::new();
        detector.feed(&self.sample, true);
        let guess = detector.guess(None, false);
        match Encoding::from_label(guess.name()) {
            Some(Encoding::Legacy(_)) => guess.name().to_ascii_lowercase(),
            _ => "windows-1252".to_owned(),
        }
    }

    /// Returns whether the only bytes beyond ASCII are the signs of pound and euro in windows-1252, and no letter follows
    /// them. The detector prefers letters: in windows-1250 the pound is `Ł`.
    fn has_only_currency_signs(&self) -> bool {
        let next = self.sample.iter().skip(1).map(Some).chain([None]);
        self.sample.iter().zip(next).all(|(byte, next)| {
            byte.is_ascii()
                || matches!(byte, 0x80 | 0xA3) && !next.is_some_and(u8::is_ascii_alphabetic)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_legacy(bytes: &[u8], piece: usize) -> bool {
        let mut kind = TextKind::default();
        for piece in bytes.chunks(piece) {
            kind.push(piece, piece.is_ascii() && piece.len() % 2 == 0);
        }
        kind.finish();
        kind.is_legacy()
    }

    #[test]
    fn one_character_of_utf_8_decides() {
        for (bytes, expect) in [
            (&b""[..], false),
            (b"plain", false),
            (b"Gr\xFC\xDFe", true),
            (b"Gr\xC3\xBC\xC3\x9Fe", false),
            (b"Gr\xFC\xDFe \xE2\x82\xAC", false),
            (b"\xE2\x82\xAC \xFC", false),
            (b"cut \xE2\x82", true),
            (b"\xE2\x82\xE2\x82\xAC", false),
            (b"\xE9t\xE9", true),
        ] {
            for piece in 1..=bytes.len().max(1) {
                assert_eq!(is_legacy(bytes, piece), expect, "{bytes:?} by {piece}");
            }
        }
    }

    #[test]
    fn a_detector_suggests() {
        let mut kind = TextKind::default();
        kind.push(
            "Überweisung für Müller, Straße"
                .chars()
                .map(|c| c as u8)
                .collect::<Vec<_>>()
                .as_slice(),
            false,
        );
        assert_eq!(kind.suggestion(), "windows-1252");
    }

    #[test]
    fn a_pound_sign_is_not_a_letter() {
        let suggestion = |line: &[u8]| {
            let mut kind = TextKind::default();
            for _ in 0..60 {
                kind.push(line, false);
            }
            kind.suggestion()
        };
        let line = b"\"30 Jun 2025\",\"Contactless\",\"\xA310.50\",\"\",\"-\xA31,210.44\"\n";
        assert_eq!(suggestion(line), "windows-1252");
        assert_eq!(suggestion(b"12.01.2024;\x80 12,50;Rewe\n"), "windows-1252");
        assert_eq!(
            suggestion(b"2024-01-02;\xA3\xF3d\x9F;\xA3ukasz wp\xB3ata\n"),
            "windows-1250"
        );
    }
}
