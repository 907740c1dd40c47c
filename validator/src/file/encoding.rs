//! The encoding of the text in the stored file.

use encoding_rs::Encoding as Legacy;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::multi_byte::{ENCODINGS, Lengths};

/// The encoding of the text in the stored file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
    /// Any other encoding of the WHATWG Encoding Standard.
    Legacy(&'static Legacy),
}

/// The names that the previous version stored in layouts.
const STORED: [(&str, Encoding); 3] = [
    ("utf8", Encoding::Utf8),
    ("utf16_le", Encoding::Utf16Le),
    ("utf16_be", Encoding::Utf16Be),
];

impl Encoding {
    /// Returns the usual name, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le | Self::Utf16Be => "UTF-16",
            Self::Legacy(encoding) => encoding.name(),
        }
    }

    /// Returns the label that [`Self::from_label`] parses.
    pub fn label(self) -> String {
        match self {
            Self::Utf8 => "utf-8".to_owned(),
            Self::Utf16Le => "utf-16le".to_owned(),
            Self::Utf16Be => "utf-16be".to_owned(),
            Self::Legacy(encoding) => encoding.name().to_ascii_lowercase(),
        }
    }

    /// Looks an encoding up by its label in the WHATWG Encoding Standard. Returns `None` for ISO-2022-JP, in which the
    /// meaning of a byte depends on the escape sequences before it.
    pub fn from_label(label: &str) -> Option<Self> {
        let encoding = Legacy::for_label_no_replacement(label.as_bytes())?;
        Some(match encoding.name() {
            "UTF-8" => Self::Utf8,
            "UTF-16LE" => Self::Utf16Le,
            "UTF-16BE" => Self::Utf16Be,
            _ if encoding.is_single_byte() || ENCODINGS.contains(&encoding) => {
                Self::Legacy(encoding)
            }
            _ => return None,
        })
    }

    /// Returns the number of bytes that decoded `text` takes in the stored file. The text may begin within a character
    /// that was already counted, and must end with a whole one. An odd last byte of the file counts as two.
    pub(super) fn stored_len(self, text: &[u8]) -> u64 {
        let units = |&byte: &u8| match byte {
            0x80..=0xBF => 0,
            0xF0..=0xF4 => 2,
            _ => 1,
        };
        match self {
            Self::Utf8 => text.len() as u64,
            Self::Utf16Le | Self::Utf16Be => 2 * text.iter().map(units).sum::<u64>(),
            Self::Legacy(encoding) if !encoding.is_single_byte() => {
                Lengths::of(encoding).stored_len(text)
            }
            Self::Legacy(_) => {
                let continues = |byte: &&u8| (0x80..=0xBF).contains(*byte);
                (text.len() - text.iter().filter(continues).count()) as u64
            }
        }
    }

    /// Returns the index after the first line end in the stored `bytes`. UTF-16 bytes must begin with a whole unit.
    pub(super) fn after_line_end(self, bytes: &[u8]) -> Option<usize> {
        let is_line_end = |unit: u16| unit == u16::from(b'\n') || unit == u16::from(b'\r');
        let units = || bytes.as_chunks::<2>().0.iter().copied();
        let unit = match self {
            Self::Utf8 | Self::Legacy(_) => {
                return memchr::memchr2(b'\n', b'\r', bytes).map(|at| at + 1);
            }
            Self::Utf16Le => units().position(|unit| is_line_end(u16::from_le_bytes(unit))),
            Self::Utf16Be => units().position(|unit| is_line_end(u16::from_be_bytes(unit))),
        };
        unit.map(|at| 2 * at + 2)
    }
}

impl Serialize for Encoding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stored = STORED.iter().find(|(_, encoding)| encoding == self);
        match stored {
            Some((name, _)) => serializer.serialize_str(name),
            None => serializer.serialize_str(&self.label()),
        }
    }
}

impl<'de> Deserialize<'de> for Encoding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let stored = STORED.iter().find(|(stored, _)| *stored == name);
        stored
            .map(|(_, encoding)| *encoding)
            .or_else(|| Self::from_label(&name))
            .ok_or_else(|| serde::de::Error::custom(format!("unknown encoding {name:?}")))
    }
}
