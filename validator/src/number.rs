//! Parses amounts by the rules for rows.

use serde::{Deserialize, Serialize};

use crate::Amount;

/// The decimal sign of the amounts in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Decimal {
    #[default]
    #[serde(rename = ".")]
    Point,
    #[serde(rename = ",")]
    Comma,
}

impl Decimal {
    const fn byte(self) -> u8 {
        match self {
            Self::Point => b'.',
            Self::Comma => b',',
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Point => Self::Comma,
            Self::Comma => Self::Point,
        }
    }
}

/// What one value proves about the decimal sign of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecimalEvidence {
    /// The value contains neither sign, or isn't a number.
    None,
    Point,
    Comma,
    /// The value contains a sign that may be a decimal sign or a thousands separator, as in `1.234`.
    Undecided,
}

/// Why a value isn't an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberError {
    /// The value matches no known form.
    NotANumber,
    OutOfRange(Limit),
}

/// The limit that an amount exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    WholeDigits,
    FractionDigits,
    Exponent,
}

/// A number of the form `[+-]? ( digits [ "." digits? ] | "." digits ) ( [eE] [+-]? digits )?`, with the decimal sign
/// as the point.
struct Number<'a> {
    is_negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent_is_negative: bool,
    exponent: &'a [u8],
}

impl<'a> Number<'a> {
    fn parse(value: &'a [u8], decimal: Decimal) -> Option<Self> {
        let (is_negative, unsigned) = sign(value);
        let number = Self::parse_unsigned(unsigned, decimal)?;
        Some(Self {
            is_negative,
            ..number
        })
    }

    fn parse_unsigned(value: &'a [u8], decimal: Decimal) -> Option<Self> {
        let (whole, rest) = digits(value);
        let (fraction, rest) = match rest {
            [byte, rest @ ..] if *byte == decimal.byte() => digits(rest),
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
            is_negative: false,
            whole,
            fraction,
            exponent_is_negative,
            exponent,
        })
    }

    /// Parses digits in groups of three, as in `1,234.50`. Stores the digits before the decimal sign in `whole`.
    fn parse_grouped(value: &'a [u8], decimal: Decimal, whole: &'a mut Whole) -> Option<Self> {
        let (first, mut rest) = digits(value);
        if !(1..=3).contains(&first.len()) {
            return None;
        }
        let other = [decimal.other().byte()];
        let separator = [
            &other[..],
            b" ",
            b"'",
            NO_BREAK,
            NARROW_NO_BREAK,
            APOSTROPHE,
        ]
        .into_iter()
        .find(|separator| rest.starts_with(separator))?;
        let mut length = 0;
        let mut push = |group: &[u8]| {
            for &digit in group {
                // Leading zeros don't count.
                if length < whole.len() && (length > 0 || digit != b'0') {
                    whole[length] = digit;
                    length += 1;
                }
            }
        };
        push(first);
        while let Some(group) = rest.strip_prefix(separator) {
            let (group, after) = group.split_first_chunk::<3>()?;
            if !group.iter().all(u8::is_ascii_digit) {
                return None;
            }
            push(group);
            rest = after;
        }
        let (fraction, rest) = match rest {
            [byte, rest @ ..] if *byte == decimal.byte() => digits(rest),
            _ => (&[][..], rest),
        };
        rest.is_empty().then_some(Self {
            is_negative: false,
            whole: &whole[..length],
            fraction,
            exponent_is_negative: false,
            exponent: &[],
        })
    }

    /// Returns the amount. It has as many digits after the point as the value once its exponent is applied, up to ten;
    /// any further digits are zeros, or the amount is out of range.
    fn amount(&self) -> Result<Amount, NumberError> {
        let exponent = self
            .exponent()
            .ok_or(NumberError::OutOfRange(Limit::Exponent))?;

        let digits = || self.whole.iter().chain(self.fraction);
        let length = (self.whole.len() + self.fraction.len()) as i64;
        // How many of the digits are before the point. Digits may be missing on either side of it.
        let point = self.whole.len() as i64 + exponent;
        let scale = (length - point).clamp(0, MAX_FRACTION_DIGITS);

        let Some(first) = digits().position(|&digit| digit != b'0') else {
            return Ok(Amount::new(0, scale as u8));
        };
        let trailing_zeros = digits().rev().take_while(|&&digit| digit == b'0').count() as i64;
        let whole_digits = point - first as i64;
        let fraction_digits = length - trailing_zeros - point;
        if whole_digits > MAX_WHOLE_DIGITS {
            return Err(NumberError::OutOfRange(Limit::WholeDigits));
        }
        if fraction_digits > MAX_FRACTION_DIGITS {
            return Err(NumberError::OutOfRange(Limit::FractionDigits));
        }
        // The two limits allow at most 28 digits. Few amounts have more than fit into 64 bits.
        let end = (point + scale) as usize;
        let middle = end.min(first + 18);
        let value = (first..middle).fold(0_u64, |value, at| 10 * value + u64::from(self.digit(at)));
        let value = (middle..end).fold(i128::from(value), |value, at| {
            10 * value + i128::from(self.digit(at))
        });
        let mantissa = if self.is_negative { -value } else { value };
        Ok(Amount::new(mantissa, scale as u8))
    }

    /// Returns `None` beyond ±99.
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

    /// Returns the digit at an index into whole and fraction together. Zeros follow them.
    fn digit(&self, at: usize) -> u8 {
        let digit = match at.checked_sub(self.whole.len()) {
            None => self.whole[at],
            Some(at) => self.fraction.get(at).copied().unwrap_or(b'0'),
        };
        digit - b'0'
    }
}

const NO_BREAK: &[u8] = "\u{A0}".as_bytes();
const NARROW_NO_BREAK: &[u8] = "\u{202F}".as_bytes();
const APOSTROPHE: &[u8] = "\u{2019}".as_bytes();

/// The digits before the decimal sign, from the first that isn't zero. Holds one more than an amount in range can have.
type Whole = [u8; MAX_WHOLE_DIGITS as usize + 1];

const MAX_WHOLE_DIGITS: i64 = 18;
const MAX_FRACTION_DIGITS: i64 = Amount::MAX_SCALE as i64;

/// Returns whether a value has the form of a number with a decimal point, in any range.
pub(crate) fn has_number_form(value: &str) -> bool {
    Number::parse(value.as_bytes(), Decimal::Point).is_some()
}

/// Parses a trimmed value.
#[inline(always)]
pub(crate) fn parse_amount(value: &[u8], decimal: Decimal) -> Result<Amount, NumberError> {
    match parse_short(value, decimal) {
        Some(amount) => Ok(amount),
        None => parse_any(value, decimal),
    }
}

/// Parses a trimmed value by version 1 of the rules: with a decimal point, and without thousands separators, currencies
/// or parentheses.
#[inline]
pub(crate) fn parse_amount_v1(value: &[u8]) -> Result<Amount, NumberError> {
    match parse_short(value, Decimal::Point) {
        Some(amount) => Ok(amount),
        None => parse_any_v1(value),
    }
}

const TOP_BITS: u64 = u64::from_le_bytes([0x80; 8]);
/// Carries a byte above 9 into its top bit.
const EXCESS: u64 = u64::from_le_bytes([0x7F - 9; 8]);
const POINTS: u64 = u64::from_le_bytes([b'.' ^ b'0'; 8]);
const COMMAS: u64 = u64::from_le_bytes([b',' ^ b'0'; 8]);

/// Returns the values of one to eight ASCII digits, with the last one in the highest byte and zeros before the first
/// one. Other characters become values above 9.
#[inline]
fn right_aligned_digits(bytes: &[u8]) -> Option<u64> {
    const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);
    Some((left_aligned(bytes)? ^ ZEROS) << (64 - 8 * bytes.len()))
}

/// Sets the top bit of every zero byte, and no other bit.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    !(((word & !TOP_BITS) + !TOP_BITS) | word) & TOP_BITS
}

/// Parses a number without an exponent and with up to 8 bytes after its sign, as one word. Returns `None` for
/// everything else.
#[inline]
fn parse_short(value: &[u8], decimal: Decimal) -> Option<Amount> {
    let (is_negative, unsigned) = sign(value);
    let digits = right_aligned_digits(unsigned)?;
    let signs = match decimal {
        Decimal::Point => POINTS,
        Decimal::Comma => COMMAS,
    };
    let point = zero_bytes(digits ^ signs);
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
    // A second point isn't a digit. A lone point has no digits.
    if (digits.wrapping_add(EXCESS) | digits) & TOP_BITS != 0 || (point != 0 && unsigned.len() == 1)
    {
        return None;
    }
    // Two-digit numbers, then four-digit and eight-digit ones.
    const PAIRS: u64 = 0x0000_00FF_0000_00FF;
    let pairs = 10 * digits + (digits >> 8);
    let high = (pairs & PAIRS).wrapping_mul(100 + (1_000_000 << 32));
    let low = (pairs >> 16 & PAIRS).wrapping_mul(1 + (10_000 << 32));
    let number = (high.wrapping_add(low) >> 32) as i64;
    let mantissa = if is_negative { -number } else { number };
    Some(Amount::new(mantissa.into(), scale as u8))
}

/// Returns one to eight bytes with the first one in the lowest byte, and zeros in the others.
#[inline]
fn left_aligned(bytes: &[u8]) -> Option<u64> {
    let length = bytes.len();
    if let (4..=8, Some(first), Some(last)) = (length, bytes.first_chunk(), bytes.last_chunk()) {
        // The halves overlap where they are equal.
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
fn parse_any_v1(value: &[u8]) -> Result<Amount, NumberError> {
    Number::parse(value, Decimal::Point)
        .ok_or(NumberError::NotANumber)?
        .amount()
}

#[inline(never)]
fn parse_any(value: &[u8], decimal: Decimal) -> Result<Amount, NumberError> {
    match Number::parse(value, decimal) {
        Some(number) => number.amount(),
        None => parse_peeled(value, decimal),
    }
}

#[inline(never)]
fn parse_peeled(value: &[u8], decimal: Decimal) -> Result<Amount, NumberError> {
    let peeled = Peeled::new(value).ok_or(NumberError::NotANumber)?;
    let mut whole = [0; _];
    let number = Number::parse_unsigned(peeled.rest, decimal)
        .or_else(|| Number::parse_grouped(peeled.rest, decimal, &mut whole))
        .ok_or(NumberError::NotANumber)?;
    Number {
        is_negative: peeled.is_negative,
        ..number
    }
    .amount()
}

/// A value without its currency, sign and parentheses.
struct Peeled<'a> {
    is_negative: bool,
    rest: &'a [u8],
}

impl<'a> Peeled<'a> {
    /// Returns `None` for a sign together with parentheses.
    #[inline]
    fn new(value: &'a [u8]) -> Option<Self> {
        let (is_negative, rest) = sign(value);
        if let [b'0'..=b'9', .., b'0'..=b'9'] = rest {
            return Some(Self { is_negative, rest });
        }
        Self::peel(value)
    }

    /// Removes each of them at most once, in any order, with the spaces next to it. A second one remains, so the rest
    /// isn't a number.
    #[inline(never)]
    fn peel(value: &'a [u8]) -> Option<Self> {
        let mut rest = str::from_utf8(value).ok()?;
        let (mut currency, mut sign, mut parentheses) = (false, None, false);
        loop {
            if !currency && let Some(inner) = without_currency(rest) {
                currency = true;
                rest = inner;
            } else if sign.is_none()
                && let Some((is_negative, inner)) = without_sign(rest)
            {
                sign = Some(is_negative);
                rest = inner;
            } else if !parentheses
                && let Some(inner) = rest.strip_prefix('(').and_then(|s| s.strip_suffix(')'))
            {
                parentheses = true;
                rest = inner.trim_matches(SPACES);
            } else {
                break;
            }
        }
        let is_negative = match (sign, parentheses) {
            (Some(_), true) => return None,
            (sign, parentheses) => parentheses || sign == Some(true),
        };
        Some(Self {
            is_negative,
            rest: rest.as_bytes(),
        })
    }
}

const SPACES: [char; 3] = [' ', '\u{A0}', '\u{202F}'];

fn without_currency(value: &str) -> Option<&str> {
    // `R$` must be tried before `$`.
    const NAMES: [&str; 4] = ["R$", "kr", "zł", "Fr."];
    let name_before = |name| value.strip_prefix(name);
    let name_after = |name| value.strip_suffix(name);
    let is_code = |code: &[u8; 3]| code.iter().all(u8::is_ascii_uppercase);
    let bytes = value.as_bytes();
    if let Some(rest) = NAMES
        .into_iter()
        .find_map(name_before)
        .or_else(|| value.strip_prefix(is_currency_symbol))
        .or_else(|| value.get(bytes.first_chunk().filter(|code| is_code(code))?.len()..))
    {
        return Some(rest.trim_start_matches(SPACES));
    }
    let rest = NAMES
        .into_iter()
        .find_map(name_after)
        .or_else(|| value.strip_suffix(is_currency_symbol))
        .or_else(|| {
            let code = bytes.last_chunk().filter(|code| is_code(code))?;
            value.get(..bytes.len() - code.len())
        })?;
    Some(rest.trim_end_matches(SPACES))
}

/// Returns whether a character is in the general category Sc of Unicode 17.
fn is_currency_symbol(char: char) -> bool {
    matches!(
        char,
        '$' | '\u{A2}'..='\u{A5}'
            | '\u{58F}'
            | '\u{60B}'
            | '\u{7FE}'..='\u{7FF}'
            | '\u{9F2}'..='\u{9F3}'
            | '\u{9FB}'
            | '\u{AF1}'
            | '\u{BF9}'
            | '\u{E3F}'
            | '\u{17DB}'
            | '\u{20A0}'..='\u{20C1}'
            | '\u{A838}'
            | '\u{FDFC}'
            | '\u{FE69}'
            | '\u{FF04}'
            | '\u{FFE0}'..='\u{FFE1}'
            | '\u{FFE5}'..='\u{FFE6}'
            | '\u{11FDD}'..='\u{11FE0}'
            | '\u{1E2FF}'
            | '\u{1ECB0}'
    )
}

/// Returns whether the sign is a minus, and the rest of the value.
fn without_sign(value: &str) -> Option<(bool, &str)> {
    const SIGNS: [(char, bool); 3] = [('-', true), ('+', false), ('\u{2212}', true)];
    SIGNS.into_iter().find_map(|(sign, is_negative)| {
        let rest = match value.strip_prefix(sign) {
            Some(rest) => rest.trim_start_matches(SPACES),
            None => value.strip_suffix(sign)?.trim_end_matches(SPACES),
        };
        Some((is_negative, rest))
    })
}

/// Returns what a trimmed value proves about the decimal sign of its file. Numbers that are out of range count, too.
#[inline]
pub(crate) fn decimal_evidence(value: &[u8]) -> DecimalEvidence {
    match short_evidence(value) {
        Some(evidence) => evidence,
        None => any_evidence(value),
    }
}

/// Decides for values of up to 8 bytes after the sign that have no decimal sign, or one among digits. Returns `None`
/// for everything else.
#[inline]
fn short_evidence(value: &[u8]) -> Option<DecimalEvidence> {
    // The only bit in which a point and a comma differ.
    const DIFFERENCE: u64 = POINTS ^ COMMAS;

    let (_, unsigned) = sign(value);
    let digits = right_aligned_digits(unsigned)?;
    let mark = zero_bytes((digits | DIFFERENCE) ^ (POINTS | DIFFERENCE));
    if mark == 0 {
        return Some(DecimalEvidence::None);
    }
    // All bits of the byte with the sign, if there is only one sign.
    let mark_bits = (mark >> 7).wrapping_mul(0xFF);
    let others = digits & !mark_bits;
    let is_plain = mark & (mark - 1) == 0
        && (others.wrapping_add(EXCESS) | others) & TOP_BITS == 0
        && unsigned.len() > 1;
    if !is_plain {
        return None;
    }
    let after = mark.leading_zeros() as usize / 8;
    if after == 3 {
        let before = &unsigned[..unsigned.len() - 4];
        if (1..=3).contains(&before.len()) && before != b"0" {
            return Some(DecimalEvidence::Undecided);
        }
    }
    Some(if digits & mark_bits & POINTS & DIFFERENCE != 0 {
        DecimalEvidence::Point
    } else {
        DecimalEvidence::Comma
    })
}

#[inline(never)]
fn any_evidence(value: &[u8]) -> DecimalEvidence {
    let has_mark = |value: &[u8]| value.iter().any(|byte| matches!(byte, b'.' | b','));
    if !has_mark(value) {
        return DecimalEvidence::None;
    }
    let Some(Peeled { rest, .. }) = Peeled::new(value) else {
        return DecimalEvidence::None;
    };
    let is_number = |decimal| {
        Number::parse_unsigned(rest, decimal).is_some()
            || Number::parse_grouped(rest, decimal, &mut [0; _]).is_some()
    };
    let (is_point, is_comma) = (is_number(Decimal::Point), is_number(Decimal::Comma));
    match (is_point, is_comma) {
        (false, false) => return DecimalEvidence::None,
        _ if !has_mark(rest) => return DecimalEvidence::None,
        (true, false) => return DecimalEvidence::Point,
        (false, true) => return DecimalEvidence::Comma,
        (true, true) => {}
    }
    // One to three digits, a sign, and three digits.
    match rest {
        [b'0', b'.', ..] => DecimalEvidence::Point,
        [b'0', b',', ..] => DecimalEvidence::Comma,
        _ => DecimalEvidence::Undecided,
    }
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
mod tests;
