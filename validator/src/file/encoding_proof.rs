//! Proves that a file isn't in the encoding of earlier files.

use simdutf8::compat;

use super::{
    decode::{UTF16_BYTES, by_first_bytes},
    encoding::Encoding,
};

/// Examines whether a file proves that it isn't in the encoding that was saved for files like it. Its first bytes may do
/// so: by a BOM, or because they are UTF-16, or because they can't be. Otherwise all of its bytes do if they are UTF-8
/// with at least one character of several bytes.
#[derive(Debug)]
pub struct EncodingProof {
    saved: Encoding,
    /// `None` while more bytes can decide.
    is_another: Option<bool>,
    has_begun: bool,
    has_multi_byte: bool,
    /// The beginning of a character whose end hasn't arrived.
    pending: Vec<u8>,
}

impl EncodingProof {
    pub fn against(saved: Encoding) -> Self {
        Self {
            saved,
            is_another: None,
            has_begun: false,
            has_multi_byte: false,
            pending: Vec::new(),
        }
    }

    /// Adds the next bytes of the file. The first call needs at least 1,024 bytes unless the file is shorter.
    pub fn push(&mut self, bytes: &[u8]) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.is_another = self.by_first(bytes);
        }
        if self.is_open() {
            self.look(bytes);
        }
    }

    /// Returns whether more bytes can change the result.
    pub fn is_open(&self) -> bool {
        self.is_another.is_none()
    }

    /// Marks the end of the file. Returns whether the file is proved to be in another encoding.
    pub fn finish(self) -> bool {
        self.is_another
            .unwrap_or(self.has_multi_byte && self.pending.is_empty())
    }

    fn by_first(&self, bytes: &[u8]) -> Option<bool> {
        let start = bytes.get(..UTF16_BYTES).unwrap_or(bytes);
        if let Some((encoding, _)) = by_first_bytes(start) {
            return Some(encoding != self.saved);
        }
        match self.saved {
            Encoding::Utf8 => Some(false),
            // Delimiters and line ends have a NUL in UTF-16.
            Encoding::Utf16Le | Encoding::Utf16Be => Some(memchr::memchr(0, start).is_none()),
            Encoding::Legacy(_) => None,
        }
    }

    fn look(&mut self, mut bytes: &[u8]) {
        while !self.pending.is_empty()
            && let Some((next, rest)) = bytes.split_first()
        {
            self.pending.push(*next);
            bytes = rest;
            match compat::from_utf8(&self.pending) {
                Ok(_) => {
                    self.has_multi_byte = true;
                    self.pending.clear();
                }
                Err(error) if error.error_len().is_none() => {}
                Err(_) => {
                    self.is_another = Some(false);
                    return;
                }
            }
        }
        match compat::from_utf8(bytes) {
            Ok(text) => self.has_multi_byte |= !text.is_ascii(),
            Err(error) if error.error_len().is_none() => {
                let (valid, rest) = bytes.split_at(error.valid_up_to());
                self.has_multi_byte |= !valid.is_ascii();
                self.pending = rest.to_vec();
            }
            Err(_) => self.is_another = Some(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_another(saved: &str, bytes: &[u8], piece: usize) -> bool {
        let mut proof = EncodingProof::against(Encoding::from_label(saved).unwrap());
        let (first, rest) = bytes.split_at(bytes.len().min(UTF16_BYTES));
        proof.push(first);
        rest.chunks(piece).for_each(|piece| proof.push(piece));
        proof.finish()
    }

    #[test]
    fn a_file_may_prove_another_encoding() {
        let utf16 =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let long = |end: &[u8]| [&[b'a'; 2000][..], end].concat();
        for (saved, bytes, expect) in [
            ("windows-1252", b"a;b".to_vec(), false),
            ("windows-1252", "Größe".into(), true),
            ("windows-1252", b"Gr\xF6\xDFe".to_vec(), false),
            (
                "windows-1252",
                "Größe \u{20AC}".bytes().chain([0xF6]).collect(),
                false,
            ),
            ("windows-1252", b"\xEF\xBB\xBFa;b".to_vec(), true),
            ("windows-1252", b"\xFF\xFEa\0".to_vec(), true),
            ("windows-1252", utf16("a;b"), true),
            ("windows-1252", long("ß€😀".as_bytes()), true),
            (
                "windows-1252",
                long("ß€😀".as_bytes())[..2006].to_vec(),
                false,
            ),
            ("windows-1252", long(b"\xC3\xBC\xFC"), false),
            ("utf-16le", b"a;b".to_vec(), true),
            ("utf-16le", utf16("a;b"), false),
            ("utf-16be", utf16("a;b"), true),
            // Too few NULs to be detected, but UTF-16 is possible.
            ("utf-16le", utf16("ä日本日本日本日本\n"), false),
            ("utf-8", b"Gr\xF6\xDFe".to_vec(), false),
        ] {
            for piece in [1, 2, 1000] {
                assert_eq!(
                    is_another(saved, &bytes, piece),
                    expect,
                    "{saved}: {bytes:?}"
                );
            }
        }
    }
}
