//! Recognises statements of banks by their first lines.
//!
//! They are text, so each must begin with what no table does. Most have no delimiter in their first line.

use crate::Kind;

/// The number of lines that may precede the first field of an MT940 message.
const MAX_MT940_PREAMBLE: usize = 8;

/// Returns the kind of the statement that begins with this text.
pub(crate) fn kind(text: &[u8]) -> Option<Kind> {
    let first_line = lines(text).next().unwrap_or_default();
    let begins = |start: &str| {
        let beginning = first_line.get(..start.len());
        beginning.is_some_and(|it| it.eq_ignore_ascii_case(start.as_bytes()))
    };
    if begins("OFXHEADER:") || begins("<OFX>") {
        Some(Kind::Ofx)
    } else if is_qif(first_line) {
        Some(Kind::Qif)
    } else if is_swift(text) {
        Some(Kind::Mt940)
    } else if is_coda(text) {
        Some(Kind::Coda)
    } else if is_bai2(text) {
        Some(Kind::Bai2)
    } else if is_nacha(first_line) {
        Some(Kind::Nacha)
    } else {
        None
    }
}

/// Returns the lines that aren't empty, without spaces at their ends.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| b"\r\n".contains(byte))
        .map(<[u8]>::trim_ascii_end)
        .filter(|line| !line.is_empty())
}

fn has_delimiter(line: &[u8]) -> bool {
    line.iter().any(|byte| b",;\t|".contains(byte))
}

/// `!Type:Bank`, `!Option:MDY`, `!Clear:AutoSwitch` or `!Account`
fn is_qif(first_line: &[u8]) -> bool {
    let line = first_line.to_ascii_lowercase();
    let starts = [&b"!type:"[..], b"!option:", b"!clear:"];
    !has_delimiter(&line) && (line == b"!account" || starts.iter().any(|it| line.starts_with(it)))
}

/// Returns whether the text is a SWIFT message: the basic header `{1:F01`, or the field 20 followed by the account in
/// field 25. Banks put lines of their own before it, such as `:940:` or `0000 01INGBNL2AXXXX00001`.
fn is_swift(text: &[u8]) -> bool {
    if let [b'{', b'1', b':', b'A'..=b'Z', b'0'..=b'9', b'0'..=b'9', ..] = text {
        return true;
    }
    if text.starts_with(b":20:") {
        return true;
    }
    let mut lines = lines(text);
    let preamble = Vec::from_iter(
        lines
            .by_ref()
            .take(MAX_MT940_PREAMBLE)
            .take_while(|line| !line.starts_with(b":20:")),
    );
    preamble.len() < MAX_MT940_PREAMBLE
        && !preamble.iter().any(|line| has_delimiter(line))
        && lines
            .take(2)
            .any(|line| line.starts_with(b":25:") || line.starts_with(b":25P:"))
}

/// Returns whether the text begins with the header record of CODA (Febelfin, 2.6): `0`, four zeros, the date, the number
/// of the bank and the application code 05, in a record of 128 characters. The next record is the old balance.
fn is_coda(text: &[u8]) -> bool {
    let mut lines = lines(text);
    let (Some(header), Some(balance)) = (lines.next(), lines.next()) else {
        return false;
    };
    let digits = header.get(..16);
    digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_digit))
        && header.starts_with(b"00000")
        && &header[14..16] == b"05"
        && (100..=128).contains(&header.len())
        && balance.starts_with(b"1")
        && balance.len() > 42
}

/// Returns whether the text begins with the file header (01) and a group header (02) of BAI2, whose records end with a
/// slash.
fn is_bai2(text: &[u8]) -> bool {
    let mut lines = lines(text);
    let (Some(file), Some(group)) = (lines.next(), lines.next()) else {
        return false;
    };
    let is_record = |line: &[u8], code: &[u8]| {
        let rest = line.strip_prefix(code).unwrap_or_default();
        rest.starts_with(b",") && rest.ends_with(b"/")
    };
    let date = file.split(|byte| *byte == b',').nth(3).unwrap_or_default();
    let is_date = date.len() == 6 && date.iter().all(u8::is_ascii_digit);
    is_date && is_record(file, b"01") && is_record(group, b"02")
}

/// Returns whether the line is the file header of NACHA: the record type 1, the priority code 01, and at 34 the size of
/// records, the blocking factor and the format code.
fn is_nacha(first_line: &[u8]) -> bool {
    first_line.starts_with(b"101")
        && first_line.get(34..40) == Some(b"094101")
        && !has_delimiter(&first_line[..40])
}
