//! Reads an amount by the rules for rows.

use crate::Amount;

/// Why a value isn't an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberError {
    /// Not `[+-]? ( digits [ "." digits? ] | "." digits ) ( [eE] [+-]? digits )?`.
    NotANumber,
    OutOfRange,
}

/// A number of the right form.
struct Number<'a> {
    is_negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent_is_negative: bool,
    exponent: &'a [u8],
}

impl<'a> Number<'a> {
    fn parse(value: &'a [u8]) -> Option<Self> {
        let (is_negative, rest) = sign(value);
        let (whole, rest) = digits(rest);
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => digits(rest),
            _ => (&[][..], rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let (exponent_is_negative, exponent) = match rest {
            [] => (false, &[][..]),
            [b'e' | b'E', rest @ ..] => {
                let (is_negative, rest) = sign(rest);
                let (exponent, rest) = digits(rest);
                if exponent.is_empty() || !rest.is_empty() {
                    return None;
                }
                (is_negative, exponent)
            }
            _ => return None,
        };
        Some(Self {
            is_negative,
            whole,
            fraction,
            exponent_is_negative,
            exponent,
        })
    }

    /// `None` beyond ±99.
    fn exponent(&self) -> Option<i64> {
        let zeros = self
            .exponent
            .iter()
            .take_while(|&&digit| digit == b'0')
            .count();
        let significant = &self.exponent[zeros..];
        if significant.len() > 2 {
            return None;
        }
        let value = significant
            .iter()
            .fold(0, |value, digit| 10 * value + i64::from(digit - b'0'));
        Some(if self.exponent_is_negative {
            -value
        } else {
            value
        })
    }

    /// The digit at a place of whole and fraction put together; zeros follow them.
    fn digit(&self, at: usize) -> u8 {
        let digit = match at.checked_sub(self.whole.len()) {
            None => self.whole[at],
            Some(at) => self.fraction.get(at).copied().unwrap_or(b'0'),
        };
        digit - b'0'
    }
}

const MAX_WHOLE_DIGITS: i64 = 18;
const MAX_FRACTION_DIGITS: i64 = Amount::MAX_SCALE as i64;

/// Whether a value is a number by its form, whatever its range.
pub(crate) fn has_number_form(value: &str) -> bool {
    Number::parse(value.as_bytes()).is_some()
}

/// Reads a trimmed value. The amount has as many digits after the point as the value has once its
/// exponent is applied, up to ten: further ones can only be zeros.
#[inline]
pub(crate) fn parse_amount(value: &[u8]) -> Result<Amount, NumberError> {
    match parse_short(value) {
        Some(amount) => Ok(amount),
        None => parse_any(value),
    }
}

/// Reads a number without an exponent, whose up to 8 bytes after the sign are one word. Everything else is `None`.
#[inline]
fn parse_short(value: &[u8]) -> Option<Amount> {
    const TOP_BITS: u64 = u64::from_le_bytes([0x80; 8]);
    const LOW_BITS: u64 = !TOP_BITS;
    const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);
    const POINTS: u64 = u64::from_le_bytes([b'.' ^ b'0'; 8]);
    // Brings a byte above 9 to the top bit.
    const EXCESS: u64 = u64::from_le_bytes([0x7F - 9; 8]);

    let (is_negative, unsigned) = sign(value);
    let word = left_aligned(unsigned)?;
    // The digits as numbers, the last one in the highest byte, zeros before the first one.
    let digits = (word ^ ZEROS) << (64 - 8 * unsigned.len());
    let other = digits ^ POINTS;
    let point = !(((other & LOW_BITS) + LOW_BITS) | other) & TOP_BITS;
    let (digits, scale) = if point == 0 {
        (digits, 0)
    } else {
        let before = (point >> 7) - 1;
        let after = !(point | (point - 1));
        (
            (digits & before) << 8 | digits & after,
            point.leading_zeros() / 8,
        )
    };
    // A second point is no digit. A point alone has none.
    if (digits.wrapping_add(EXCESS) | digits) & TOP_BITS != 0 || (point != 0 && unsigned.len() == 1)
    {
        return None;
    }
    // Numbers of two digits, then of four and eight.
    const PAIRS: u64 = 0x0000_00FF_0000_00FF;
    let pairs = 10 * digits + (digits >> 8);
    let high = (pairs & PAIRS).wrapping_mul(100 + (1_000_000 << 32));
    let low = (pairs >> 16 & PAIRS).wrapping_mul(1 + (10_000 << 32));
    let number = (high.wrapping_add(low) >> 32) as i64;
    let mantissa = if is_negative { -number } else { number };
    Some(Amount::new(mantissa.into(), scale as u8))
}

/// One to eight bytes, the first one in the lowest byte; zeros in the others.
#[inline]
fn left_aligned(bytes: &[u8]) -> Option<u64> {
    let length = bytes.len();
    if let (4..=8, Some(first), Some(last)) = (length, bytes.first_chunk(), bytes.last_chunk()) {
        // They overlap where they are equal.
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return Some(u64::from(first) | u64::from(last) << (8 * (length - 4)));
    }
    shortest(bytes)
}

#[inline(never)]
fn shortest(bytes: &[u8]) -> Option<u64> {
    match *bytes {
        [a] => Some(u64::from(a)),
        [a, b] => Some(u64::from_le_bytes([a, b, 0, 0, 0, 0, 0, 0])),
        [a, b, c] => Some(u64::from_le_bytes([a, b, c, 0, 0, 0, 0, 0])),
        _ => None,
    }
}

#[inline(never)]
fn parse_any(value: &[u8]) -> Result<Amount, NumberError> {
    let number = Number::parse(value).ok_or(NumberError::NotANumber)?;
    let exponent = number.exponent().ok_or(NumberError::OutOfRange)?;

    let digits = || number.whole.iter().chain(number.fraction);
    let length = (number.whole.len() + number.fraction.len()) as i64;
    // How many of the digits stand before the point; some may be lacking on either side of it.
    let point = number.whole.len() as i64 + exponent;
    let scale = (length - point).clamp(0, MAX_FRACTION_DIGITS);

    let Some(first) = digits().position(|&digit| digit != b'0') else {
        return Ok(Amount::new(0, scale as u8));
    };
    let trailing_zeros = digits().rev().take_while(|&&digit| digit == b'0').count() as i64;
    let whole_digits = point - first as i64;
    let fraction_digits = length - trailing_zeros - point;
    if whole_digits > MAX_WHOLE_DIGITS || fraction_digits > MAX_FRACTION_DIGITS {
        return Err(NumberError::OutOfRange);
    }
    // 28 digits at most, by the two limits. Few amounts have more than fit into 64 bits.
    let end = (point + scale) as usize;
    let middle = end.min(first + 18);
    let value = (first..middle).fold(0_u64, |value, at| 10 * value + u64::from(number.digit(at)));
    let value = (middle..end).fold(i128::from(value), |value, at| {
        10 * value + i128::from(number.digit(at))
    });
    let mantissa = if number.is_negative { -value } else { value };
    Ok(Amount::new(mantissa, scale as u8))
}

fn sign(value: &[u8]) -> (bool, &[u8]) {
    match value {
        [b'+', rest @ ..] => (false, rest),
        [b'-', rest @ ..] => (true, rest),
        _ => (false, value),
    }
}

fn digits(value: &[u8]) -> (&[u8], &[u8]) {
    let end = value
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    value.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_numbers_are_read_as_all_are() {
        let bytes = b"0059.+-e:/,\0\xB0\xFF";
        let check = |value: &[u8]| {
            if let Some(amount) = parse_short(value) {
                assert_eq!(Ok(amount), parse_any(value), "{value:?}");
            } else {
                let plain = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
                let is_short = value.len() <= 8 && value.iter().all(plain);
                assert!(!is_short || parse_any(value).is_err(), "{value:?}");
            }
        };
        // Every value of up to four of these bytes, alone and at both ends of digits.
        let mut values: Vec<Vec<u8>> = vec![vec![]];
        for _ in 0..4 {
            values = values
                .iter()
                .flat_map(|value| {
                    bytes
                        .iter()
                        .map(move |&byte| [&value[..], &[byte]].concat())
                })
                .collect();
            for value in &values {
                check(value);
                check(&[value, &b"1234"[..]].concat());
                check(&[&b"98765"[..], value].concat());
                check(&[&b"-12"[..], value, b"99"].concat());
            }
        }
        for byte in 0..=u8::MAX {
            for at in 0..8 {
                let mut value = *b"12345678";
                value[at] = byte;
                check(&value);
                value[7 - at] = b'.';
                check(&value);
            }
        }
        assert_eq!(parse_short(b"99999999"), Some(Amount::new(99_999_999, 0)));
        assert_eq!(parse_short(b"-12345.67"), Some(Amount::new(-1_234_567, 2)));
    }
}
