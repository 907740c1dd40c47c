//! The verdict on one row.

use std::fmt;

use crate::{ErrorCode, Field};

/// The verdict on one row: the codes of its errors, and whether it is suspicious. A row without errors is valid, unless
/// it is ignored. An ignored row isn't a transaction and has no verdict.
///
/// Verdicts are committed once and never recomputed, so their bits are a storage format. See [`Self::bits`].
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Verdict(u32);

impl Verdict {
    /// Valid and not suspicious.
    pub const VALID: Self = Self(0);

    /// Not a transaction.
    pub const IGNORED: Self = Self(1 << 31);

    const SUSPICIOUS: u32 = 1;

    const fn bit(code: ErrorCode) -> u32 {
        1 << (1 + code as u32)
    }

    /// Adds an error.
    #[must_use]
    pub const fn with_error(self, code: ErrorCode) -> Self {
        Self(self.0 | Self::bit(code))
    }

    /// Marks the row as suspicious if `is_suspicious`.
    #[must_use]
    pub const fn with_suspicion(self, is_suspicious: bool) -> Self {
        Self(self.0 | is_suspicious as u32)
    }

    pub const fn is_valid(self) -> bool {
        self.0 & !Self::SUSPICIOUS == 0
    }

    pub const fn is_ignored(self) -> bool {
        self.0 & Self::IGNORED.0 != 0
    }

    pub const fn is_invalid(self) -> bool {
        !self.is_valid() && !self.is_ignored()
    }

    pub const fn is_suspicious(self) -> bool {
        self.0 & Self::SUSPICIOUS != 0
    }

    pub const fn has(self, code: ErrorCode) -> bool {
        self.0 & Self::bit(code) != 0
    }

    /// Returns the codes of the row's errors, in the order of the rules.
    pub fn codes(self) -> impl Iterator<Item = ErrorCode> {
        let all = ErrorCode::ALL.iter().copied();
        all.filter(move |code| self.has(*code))
    }

    /// Returns whether the row has a row error, so that its fields were not checked.
    pub const fn is_broken(self) -> bool {
        const ROW_ERRORS: u32 = {
            let (mut bits, mut at) = (0, 0);
            while at < ErrorCode::ALL.len() {
                let code = ErrorCode::ALL[at];
                if matches!(code.field(), Field::Row) {
                    bits |= Verdict::bit(code);
                }
                at += 1;
            }
            bits
        };
        self.0 & ROW_ERRORS != 0
    }

    /// Returns the stored form. Bit 0 means that the row is suspicious, bit `n + 1` that it has the error with the
    /// number `n` (`ErrorCode as u32`), and bit 31 that it is ignored.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Parses the output of [`Self::bits`]. Returns `None` if a bit is unknown.
    pub fn from_bits(bits: u32) -> Option<Self> {
        let known = ErrorCode::ALL
            .iter()
            .fold(Self::SUSPICIOUS | Self::IGNORED.0, |known, code| {
                known | Self::bit(*code)
            });
        (bits & !known == 0).then_some(Self(bits))
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suspicious = self.is_suspicious().then_some("suspicious");
        f.debug_set()
            .entries(self.codes().map(ErrorCode::as_str))
            .entries(suspicious)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_a_storage_format() {
        // Every ledger stores these numbers, so they must never be edited.
        let stored = [
            (ErrorCode::RowTooLarge, 0x0002),
            (ErrorCode::RowEncoding, 0x0004),
            (ErrorCode::RowUnclosedQuote, 0x2000),
            (ErrorCode::RowQuotedLines, 0x4000),
            (ErrorCode::RowColumnCount, 0x0008),
            (ErrorCode::TransactionIdMissing, 0x0010),
            (ErrorCode::TransactionIdTooLong, 0x0020),
            (ErrorCode::TransactionIdDuplicate, 0x0040),
            (ErrorCode::AmountMissing, 0x0080),
            (ErrorCode::AmountNotANumber, 0x0100),
            (ErrorCode::AmountOutOfRange, 0x0200),
            (ErrorCode::DateMissing, 0x0400),
            (ErrorCode::DateNotADate, 0x0800),
            (ErrorCode::DateOutOfRange, 0x1000),
        ];
        assert_eq!(stored.map(|(code, _)| code), ErrorCode::ALL);
        for (code, bits) in stored {
            let verdict = Verdict::VALID.with_error(code);
            assert_eq!(verdict.bits(), bits, "{code}");
            assert_eq!(Verdict::from_bits(bits), Some(verdict));
            assert_eq!(verdict.codes().collect::<Vec<_>>(), [code]);
            assert!(!verdict.is_valid() && !verdict.is_suspicious());
            assert_eq!(verdict.is_broken(), code.as_str().starts_with("row."));
        }
        let suspicious = Verdict::VALID.with_suspicion(true);
        assert_eq!(suspicious.bits(), 1);
        assert!(suspicious.is_valid() && suspicious.is_suspicious());
        assert_eq!(Verdict::IGNORED.bits(), 1 << 31);
        assert!(!Verdict::IGNORED.is_valid() && !Verdict::IGNORED.is_invalid());
        assert_eq!(Verdict::from_bits(1 << 30), None);
    }
}
