//! Encodes integers in a variable length: seven bits per byte, the lowest first, with the top bit set on all but the
//! last byte (LEB128).

/// The bytes aren't a valid encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the encoding is malformed or of a version that is not known")
    }
}

impl std::error::Error for Malformed {}

pub(crate) fn write(out: &mut Vec<u8>, value: u32) {
    write_long(out, value.into());
}

fn write_long(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads a number from the front of `bytes` and advances past it.
pub(crate) fn read(bytes: &mut &[u8]) -> Result<u32, Malformed> {
    u32::try_from(read_long(bytes)?).map_err(|_| Malformed)
}

fn read_long(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

/// Writes two numbers as one, so that two small numbers share a byte. `small` must be below `bound`.
pub(crate) fn write_product(out: &mut Vec<u8>, small: u32, bound: u32, large: u32) {
    let value = u64::from(large) * u64::from(bound) + u64::from(small);
    write_long(out, value);
}

/// Reads the output of [`write_product`].
pub(crate) fn read_product(bytes: &mut &[u8], bound: u32) -> Result<(u32, u32), Malformed> {
    let value = read_long(bytes)?;
    let bound = u64::from(bound);
    let large = value.checked_div(bound).ok_or(Malformed)?;
    let large = u32::try_from(large).map_err(|_| Malformed)?;
    // Below `bound`, so it fits.
    Ok(((value % bound) as u32, large))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        for value in [0, 1, 127, 128, 300, 16_383, 16_384, u32::MAX - 1, u32::MAX] {
            let mut out = Vec::new();
            write(&mut out, value);
            let mut rest = &out[..];
            assert_eq!(read(&mut rest), Ok(value));
            assert!(rest.is_empty());
        }
        for malformed in [
            &[][..],
            &[0x80],
            &[0xFF, 0xFF, 0xFF, 0xFF, 0x10],
            &[0x80; 12],
        ] {
            assert_eq!(read(&mut &malformed[..]), Err(Malformed));
        }
    }
}
