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
pub(crate) fn parse_amount(value: &[u8]) -> Result<Amount, NumberError> {
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
