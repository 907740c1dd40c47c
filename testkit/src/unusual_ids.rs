//! Files that are the worst case for finding repeated ids.

use std::io::{self, Write};

use crate::Expected;

const HEADER: &[u8] = b"transaction_id,amount,date\n";
/// Rows are written in pieces of this many.
const PIECE: u64 = 4096;

/// Writes a file of about this many bytes in which all rows have the same id and nothing else is wrong. Fails if the
/// writer does.
pub fn write_equal_ids(to: &mut impl Write, bytes: u64) -> io::Result<Expected> {
    const LINE: &[u8] = b"a,1,2024-01-01\n";
    let rows = bytes / LINE.len() as u64;
    let piece = LINE.repeat(PIECE as usize);
    to.write_all(HEADER)?;
    for start in (0..rows).step_by(PIECE as usize) {
        let count = PIECE.min(rows - start) as usize;
        to.write_all(&piece[..count * LINE.len()])?;
    }
    let invalid = rows.saturating_sub(1);
    Ok(Expected {
        rows,
        valid: rows - invalid,
        invalid,
        suspicious: 0,
        errors: [("transaction_id.duplicate", invalid)].into(),
    })
}

/// Writes a file of about this many bytes, at most 103 MB, with a new id every seven bytes and nothing else, so all rows
/// are invalid. Fails if the writer does.
pub fn write_short_ids(to: &mut impl Write, bytes: u64) -> io::Result<Expected> {
    const CHARACTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let pairs = || {
        let first = CHARACTERS.iter();
        first.flat_map(|first| CHARACTERS.iter().map(move |second| [*first, *second]))
    };
    let pieces = bytes / (7 * pairs().count() as u64);
    let mut rows = 0;
    to.write_all(HEADER)?;
    for [a, b] in pairs().take(pieces as usize) {
        let piece: Vec<u8> = pairs()
            .flat_map(|[c, d]| [a, b, c, d, b',', b',', b'\n'])
            .collect();
        to.write_all(&piece)?;
        rows += piece.len() as u64 / 7;
    }
    Ok(Expected {
        rows,
        valid: 0,
        invalid: rows,
        suspicious: 0,
        errors: [("amount.missing", rows), ("date.missing", rows)].into(),
    })
}
