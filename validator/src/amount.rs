//! Exact decimal amounts.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// An exact decimal number, `mantissa / 10^scale`, with up to 18 digits before the decimal point and up to 10 after it.
/// Keeps trailing zeros after the point as written, up to ten digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Amount {
    mantissa: i128,
    scale: u8,
}

impl Amount {
    pub const MAX_SCALE: u8 = 10;

    /// Requires `scale` to be at most [`Self::MAX_SCALE`] and |mantissa| to be below 10^28.
    pub(crate) const fn new(mantissa: i128, scale: u8) -> Self {
        Self { mantissa, scale }
    }

    pub const fn mantissa(self) -> i128 {
        self.mantissa
    }

    /// Returns the number of digits after the point.
    pub const fn scale(self) -> u8 {
        self.scale
    }

    /// Returns whether the amount is below 0 or above 50,000 and so deserves a look by a person.
    #[inline]
    pub const fn is_suspicious(self) -> bool {
        const LIMITS: [i64; POWERS.len()] = {
            let mut limits = POWERS;
            let mut at = 0;
            while at < limits.len() {
                limits[at] *= 50_000;
                at += 1;
            }
            limits
        };
        // Cast to unsigned, a negative mantissa exceeds every limit.
        self.mantissa as u128 > LIMITS[self.scale as usize] as u128
    }

    pub(crate) const fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// Returns the amount as a debit: positive amounts are negated, others are unchanged.
    #[must_use]
    pub(crate) const fn as_debit(self) -> Self {
        match self.mantissa > 0 {
            true => Self::new(-self.mantissa, self.scale),
            false => self,
        }
    }

    /// Returns the mantissa scaled to [`Self::MAX_SCALE`] digits after the point.
    #[inline]
    pub(crate) const fn units(self) -> i128 {
        let power = POWERS[(Self::MAX_SCALE - self.scale) as usize];
        // The product is below 2^63. WebAssembly would need a function call for a 128-bit product.
        let small = self.mantissa as i64;
        if small as i128 == self.mantissa && small.unsigned_abs() < 1 << 29 {
            return (small * power) as i128;
        }
        self.mantissa * power as i128
    }
}

/// Powers of ten.
pub(crate) const POWERS: [i64; Amount::MAX_SCALE as usize + 1] = {
    let mut powers = [1; Amount::MAX_SCALE as usize + 1];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = 10 * powers[at - 1];
        at += 1;
    }
    powers
};

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let digits = self.mantissa.unsigned_abs();
        let unit = 10_u128.pow(u32::from(self.scale));
        match self.scale {
            0 => write!(f, "{sign}{digits}"),
            scale => write!(
                f,
                "{sign}{}.{:0width$}",
                digits / unit,
                digits % unit,
                width = usize::from(scale)
            ),
        }
    }
}

/// Parses the output of [`Amount`]'s `Display`, which the database and the API return. Amounts in files are parsed by
/// the rules for rows instead.
impl FromStr for Amount {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = whole.strip_prefix('-').unwrap_or(whole);
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let scale = u8::try_from(fraction.len()).map_err(|_| NotAnAmount)?;
        if digits.is_empty()
            || digits.len() > 18
            || scale > Self::MAX_SCALE
            || !all_digits(digits)
            || !all_digits(fraction)
        {
            return Err(NotAnAmount);
        }
        let mantissa = format!("{whole}{fraction}");
        Ok(Self::new(mantissa.parse().map_err(|_| NotAnAmount)?, scale))
    }
}

#[derive(Debug)]
pub struct NotAnAmount;

impl fmt::Display for NotAnAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a decimal number in range")
    }
}

impl std::error::Error for NotAnAmount {}

/// Serializes to a JSON number with exactly the digits of the decimal. Works only with `serde_json`.
impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_digits(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_digits(deserializer)
    }
}

pub(crate) fn serialize_digits<S: Serializer>(
    number: &impl fmt::Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    RawValue::from_string(number.to_string())
        .map_err(serde::ser::Error::custom)?
        .serialize(serializer)
}

pub(crate) fn deserialize_digits<'de, D: Deserializer<'de>, T: FromStr<Err = NotAnAmount>>(
    deserializer: D,
) -> Result<T, D::Error> {
    <Box<RawValue>>::deserialize(deserializer)?
        .get()
        .parse()
        .map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_keep_their_digits() {
        for text in [
            "150.00",
            "-50.00",
            "0",
            "0.0000000001",
            "-0.5",
            "999999999999999999.9999999999",
        ] {
            let amount: Amount = text.parse().unwrap();
            assert_eq!(amount.to_string(), text);
            assert_eq!(serde_json::to_string(&amount).unwrap(), text);
            assert_eq!(serde_json::from_str::<Amount>(text).unwrap(), amount);
        }
        for text in [
            "",
            "-",
            ".5",
            "1e5",
            "+1",
            "1.00000000000",
            "1234567890123456789",
            "1,5",
        ] {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
    }

    #[test]
    fn amounts_below_zero_and_above_50000_are_suspicious() {
        let suspicious = |text: &str| text.parse::<Amount>().unwrap().is_suspicious();
        assert!(suspicious("-0.01") && suspicious("50000.01") && suspicious("50001"));
        assert!(!suspicious("0") && !suspicious("50000") && !suspicious("50000.00"));
    }

    #[test]
    fn small_and_large_mantissas_behave_alike() {
        let around = |number: i128| [number - 1, number, number + 1];
        for number in [
            0,
            1 << 29,
            1 << 31,
            1 << 32,
            1 << 63,
            1 << 64,
            50_000,
            10_i128.pow(28) - 2,
        ] {
            for mantissa in around(number).into_iter().chain(around(-number)) {
                for scale in 0..=Amount::MAX_SCALE {
                    let amount = Amount::new(mantissa, scale);
                    let power = |exponent: u8| 10_i128.pow(exponent.into());
                    assert_eq!(amount.units(), mantissa * power(Amount::MAX_SCALE - scale));
                    let suspicious = mantissa < 0 || mantissa > 50_000 * power(scale);
                    assert_eq!(amount.is_suspicious(), suspicious);
                }
            }
        }
    }
}
