//! Parses dates by the rules for rows.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// The order of day, month and year in dates such as `03/04/2024`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum DateOrder {
    Ymd,
    Dmy,
    Mdy,
}

/// What one value proves about the order of the dates in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OrderEvidence {
    /// The value isn't a date in numbers with `/` or `-` and the year last.
    None,
    Dmy,
    Mdy,
    /// The value is such a date and proves nothing.
    Ambiguous,
}

/// Why a value isn't a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateError {
    /// The value matches no known form.
    NotADate,
    /// The form is right, but the day or the time doesn't exist.
    OutOfRange,
}

/// Parses a trimmed value: a day, optionally followed by a time, which may have an offset. Returns the day as written,
/// without converting it to another time zone. Dates with `/` or `-` and the year last need an order other than `ymd`.
#[inline]
pub(crate) fn parse_date(value: &[u8], order: Option<DateOrder>) -> Result<Day, DateError> {
    let usual = value.as_array().and_then(Date::parse_usual);
    match usual.and_then(Date::day) {
        Some(day) => Ok(day),
        None => parse_other(value, order),
    }
}

#[inline(never)]
fn parse_other(value: &[u8], order: Option<DateOrder>) -> Result<Day, DateError> {
    let ordered = value
        .as_array()
        .and_then(|value| Date::parse_ordered(value, order));
    match ordered.and_then(Date::day) {
        Some(day) => Ok(day),
        None => parse_any(value, order),
    }
}

/// Parses a trimmed value by version 1 of the rules: numeric year, month and day, in this order.
#[inline]
pub(crate) fn parse_date_v1(value: &[u8]) -> Result<Day, DateError> {
    let usual = value.as_array().and_then(Date::parse_usual);
    match usual.and_then(Date::day) {
        Some(day) => Ok(day),
        None => parse_any_v1(value),
    }
}

#[inline(never)]
fn parse_any_v1(value: &[u8]) -> Result<Day, DateError> {
    let usual = value
        .split_first_chunk()
        .and_then(|(date, time)| Some((Date::parse_usual(date)?, time)));
    let (date, time) = match usual {
        Some(parsed) => parsed,
        None => Date::parse_ymd(value)
            .filter(|_| value.get(4) != Some(&b'.'))
            .ok_or(DateError::NotADate)?,
    };
    let time_exists = match time {
        [] => true,
        [b'T' | b't' | b' ', time @ ..] => parse_time_v1(time).ok_or(DateError::NotADate)?,
        _ => return Err(DateError::NotADate),
    };
    date.day()
        .filter(|_| time_exists)
        .ok_or(DateError::OutOfRange)
}

#[inline(never)]
fn parse_any(value: &[u8], order: Option<DateOrder>) -> Result<Day, DateError> {
    let usual = value.split_first_chunk().and_then(|(date, time)| {
        let date = Date::parse_usual(date).or_else(|| Date::parse_ordered(date, order))?;
        Some((date, time))
    });
    let (date, time) = match usual {
        Some(parsed) => parsed,
        None => Date::parse(value, order).ok_or(DateError::NotADate)?,
    };
    let time_exists = parse_time_after_date(time).ok_or(DateError::NotADate)?;
    date.day()
        .filter(|_| time_exists)
        .ok_or(DateError::OutOfRange)
}

/// Returns what a trimmed value proves about the order of the dates in its file. Dates and times that are out of range
/// count, too.
#[inline]
pub(crate) fn order_evidence(value: &[u8]) -> OrderEvidence {
    match value {
        [_, b'/' | b'-', ..] | [_, _, b'/' | b'-', ..] => ordered_evidence(value),
        _ => OrderEvidence::None,
    }
}

#[inline(never)]
fn ordered_evidence(value: &[u8]) -> OrderEvidence {
    let numbers = match value.as_array().and_then(Ordered::parse_usual) {
        Some(ordered) => ordered.numbers,
        None => match Ordered::parse(value) {
            Some((ordered, time)) if parse_time_after_date(time).is_some() => ordered.numbers,
            _ => return OrderEvidence::None,
        },
    };
    match numbers {
        [13..=31, 1..=12] => OrderEvidence::Dmy,
        [1..=12, 13..=31] => OrderEvidence::Mdy,
        _ => OrderEvidence::Ambiguous,
    }
}

/// A calendar day. Later days compare greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(Date);

impl Day {
    /// Less and greater than every other day.
    pub(crate) const FIRST: Self = Self(Date(0));
    pub(crate) const LAST: Self = Self(Date(u32::MAX));

    /// Returns the century, the year of the century and the month as one number.
    #[inline]
    pub(crate) fn month(self) -> u32 {
        self.0.0 >> 8
    }

    pub(crate) fn date(self) -> Option<NaiveDate> {
        let [century, year, month, day] = self.0.0.to_be_bytes();
        let year = 100 * i32::from(century) + i32::from(year);
        NaiveDate::from_ymd_opt(year, month.into(), day.into())
    }
}

/// A date in a valid form, which need not exist. The bytes of the number are, from the highest to the lowest, the
/// century, the year of the century, the month and the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Date(u32);

impl Date {
    /// Parses a date in any form. Returns it with the rest of the value.
    #[inline(never)]
    fn parse(value: &[u8], order: Option<DateOrder>) -> Option<(Self, &[u8])> {
        Self::parse_ymd(value)
            .or_else(|| {
                let (ordered, rest) = Ordered::parse(value)?;
                Some((ordered.date(order)?, rest))
            })
            .or_else(|| Self::parse_named(value))
    }

    /// Parses `YYYY-MM-DD`, `YYYY/MM/DD`, `YYYY.MM.DD` or `YYYYMMDD`. Returns the date with the rest of the value.
    #[inline(never)]
    fn parse_ymd(value: &[u8]) -> Option<(Self, &[u8])> {
        let (century, rest) = two_digits(value)?;
        let (year, rest) = two_digits(rest)?;
        let (separator, rest) = match rest {
            [separator @ (b'-' | b'/' | b'.'), rest @ ..] => (Some(*separator), rest),
            _ => (None, rest),
        };
        let (month, rest) = two_digits(rest)?;
        let rest = match separator {
            Some(separator) => rest.strip_prefix(&[separator])?,
            None => rest,
        };
        let (day, rest) = two_digits(rest)?;
        Some((Self::new([century, year], month, day), rest))
    }

    /// Parses `15 Jan 2024`, `15-Jan-2024`, `Jan 15, 2024` or `Jan 15 2024`. Returns the date with the rest of the
    /// value.
    fn parse_named(value: &[u8]) -> Option<(Self, &[u8])> {
        let (month, day, rest) = if let Some((month, rest)) = month_name(value) {
            let (day, rest) = one_or_two_digits(rest.strip_prefix(b" ")?)?;
            let rest = rest.strip_prefix(b",").unwrap_or(rest);
            (month, day, rest.strip_prefix(b" ")?)
        } else {
            let (day, rest) = one_or_two_digits(value)?;
            let (separator, rest) = rest.split_first()?;
            if !matches!(separator, b' ' | b'-') {
                return None;
            }
            let (month, rest) = month_name(rest)?;
            (month, day, rest.strip_prefix(&[*separator])?)
        };
        let (century, rest) = two_digits(rest)?;
        let (year, rest) = two_digits(rest)?;
        Some((Self::new([century, year], month, day), rest))
    }

    fn new([century, year]: [u8; 2], month: u8, day: u8) -> Self {
        Self(u32::from_be_bytes([century, year, month, day]))
    }

    /// Parses `DD.MM.YYYY`, `DD/MM/YYYY`, `MM/DD/YYYY` or the same with dashes. Returns `None` for every other form.
    #[inline]
    fn parse_ordered(value: &[u8; 10], order: Option<DateOrder>) -> Option<Self> {
        Ordered::parse_usual(value)?.date(order)
    }

    /// Parses `YYYY-MM-DD`, eight bytes at a time. Returns `None` for every other form.
    #[inline]
    fn parse_usual(value: &[u8; 10]) -> Option<Self> {
        let [year_and_month @ .., d0, d1] = *value;
        // The value of each digit, and zero for each dash.
        let year_and_month = u64::from_le_bytes(year_and_month) ^ u64::from_le_bytes(*b"0000-00-");
        let day = u64::from(u16::from_le_bytes([d0, d1]) ^ u16::from_le_bytes(*b"00"));
        // The top bit of a byte is set if a digit exceeds 9 or if a dash is another byte.
        let excess = u64::from_le_bytes([0x76, 0x76, 0x76, 0x76, 0x7F, 0x76, 0x76, 0x7F]);
        let wrong = year_and_month.wrapping_add(excess) | year_and_month | (day + excess) | day;
        if wrong & TOP_BITS != 0 {
            return None;
        }
        // Each byte becomes the two-digit number that starts there, at most 99.
        let pairs = |digits: u64| 10 * digits + (digits >> 8);
        let (year_and_month, day) = (pairs(year_and_month), pairs(day));
        let date = year_and_month << 24 & 0xFF00_0000
            | year_and_month & 0x00FF_0000
            | year_and_month >> 32 & 0x0000_FF00
            | day & 0x0000_00FF;
        Some(Self(date as u32))
    }

    /// Returns `None` if the day doesn't exist.
    #[inline]
    fn day(self) -> Option<Day> {
        let [_, _, month, day] = self.0.to_be_bytes();
        let exists = self.0 >> 16 != 0
            && (1..=12).contains(&month)
            && day != 0
            && (day <= 28 || day <= self.days_in_month());
        exists.then_some(Day(self))
    }

    #[inline(never)]
    fn days_in_month(self) -> u8 {
        let [century, year, month, _] = self.0.to_be_bytes();
        let is_leap = if year == 0 { century } else { year }.is_multiple_of(4);
        match month {
            4 | 6 | 9 | 11 => 30,
            2 if is_leap => 29,
            2 => 28,
            _ => 31,
        }
    }
}

/// Two numbers and a year in a value that doesn't show their order, such as `03/04/2024`.
struct Ordered {
    separator: u8,
    numbers: [u8; 2],
    /// The century and the year of the century.
    year: [u8; 2],
}

impl Ordered {
    /// Parses two numbers of one or two digits and a year of two or four. Returns them with the rest of the value.
    #[inline(never)]
    fn parse(value: &[u8]) -> Option<(Self, &[u8])> {
        let (first, rest) = one_or_two_digits(value)?;
        let (&separator, rest) = rest.split_first()?;
        if !matches!(separator, b'/' | b'-' | b'.') {
            return None;
        }
        let (second, rest) = one_or_two_digits(rest)?;
        let (high, rest) = two_digits(rest.strip_prefix(&[separator])?)?;
        let (year, rest) = match two_digits(rest) {
            Some((low, rest)) => ([high, low], rest),
            None if high <= 68 => ([20, high], rest),
            None => ([19, high], rest),
        };
        let ordered = Self {
            separator,
            numbers: [first, second],
            year,
        };
        Some((ordered, rest))
    }

    /// Parses two-digit numbers and a four-digit year, eight bytes at a time. Returns `None` for every other form.
    #[inline]
    fn parse_usual(value: &[u8; 10]) -> Option<Self> {
        let separator = value[2];
        if !matches!(separator, b'/' | b'-' | b'.') {
            return None;
        }
        let [start @ .., d0, d1] = *value;
        // The value of each digit, and zero for each separator.
        let separators = u64::from(separator) * (1 << 16 | 1 << 40);
        let start =
            u64::from_le_bytes(start) ^ (u64::from_le_bytes(*b"00\x0000\x0000") | separators);
        let end = u64::from(u16::from_le_bytes([d0, d1]) ^ u16::from_le_bytes(*b"00"));
        // The top bit of a byte is set if a digit exceeds 9 or if a separator is another byte.
        let excess = u64::from_le_bytes([0x76, 0x76, 0x7F, 0x76, 0x76, 0x7F, 0x76, 0x76]);
        let wrong = start.wrapping_add(excess) | start | (end + (excess & 0xFFFF)) | end;
        if wrong & TOP_BITS != 0 {
            return None;
        }
        // Each byte becomes the two-digit number that starts there, at most 99.
        let pairs = |digits: u64| (10 * digits + (digits >> 8)).to_le_bytes();
        let [first, _, _, second, _, _, century, _] = pairs(start);
        let [year, ..] = pairs(end);
        Some(Self {
            separator,
            numbers: [first, second],
            year: [century, year],
        })
    }

    /// Returns `None` if the order is unknown or `ymd`, which contradicts a year at the end.
    #[inline]
    fn date(&self, order: Option<DateOrder>) -> Option<Date> {
        let [first, second] = self.numbers;
        match (self.separator, order) {
            (b'.', _) | (_, Some(DateOrder::Dmy)) => Some(Date::new(self.year, second, first)),
            (_, Some(DateOrder::Mdy)) => Some(Date::new(self.year, first, second)),
            (_, Some(DateOrder::Ymd) | None) => None,
        }
    }
}

const TOP_BITS: u64 = u64::from_le_bytes([0x80; 8]);

/// Returns whether the time after a date exists, `true` without a time, or `None` if its form is wrong.
fn parse_time_after_date(rest: &[u8]) -> Option<bool> {
    match rest {
        [] => Some(true),
        [b' ', b' ', time @ ..] | [b',', b' ', time @ ..] | [b'T' | b't' | b' ', time @ ..] => {
            parse_time(time)
        }
        _ => None,
    }
}

/// Returns whether the time exists, or `None` if its form is wrong. The form is an hour of one or two digits and the
/// rest as in version 1, followed by three optional parts: `AM` or `PM`, which a space may precede, an offset, and
/// ` UTC` or ` GMT`.
#[inline(never)]
fn parse_time(time: &[u8]) -> Option<bool> {
    let (hour, rest) = one_or_two_digits(time)?;
    let (minute, rest) = two_digits(rest.strip_prefix(b":")?)?;
    let (seconds_exist, rest) = parse_seconds(rest)?;
    let (hours, rest) = match rest {
        [b' ', b'a' | b'A' | b'p' | b'P', b'm' | b'M', rest @ ..]
        | [b'a' | b'A' | b'p' | b'P', b'm' | b'M', rest @ ..] => (1..=12, rest),
        _ => (0..=23, rest),
    };
    let (offset_exists, rest) = match rest {
        [b'Z' | b'z', rest @ ..] => (true, rest),
        [b'+' | b'-', rest @ ..] => {
            let (hours, rest) = two_digits(rest)?;
            let (minutes, rest) = two_digits(rest.strip_prefix(b":").unwrap_or(rest))?;
            (is_offset(hours, minutes), rest)
        }
        _ => (true, rest),
    };
    let exists = hours.contains(&hour) && minute <= 59 && seconds_exist && offset_exists;
    matches!(rest, b"" | b" UTC" | b" GMT").then_some(exists)
}

/// Returns whether the time exists by version 1 of the rules, or `None` if its form is wrong.
#[inline(never)]
fn parse_time_v1(time: &[u8]) -> Option<bool> {
    let (hour, minute, rest) = hour_and_minute(time)?;
    let (seconds_exist, rest) = parse_seconds(rest)?;
    let exists = hour <= 23 && minute <= 59 && seconds_exist;
    match rest {
        [] | [b'Z' | b'z'] => Some(exists),
        [b'+' | b'-', offset @ ..] => {
            let (hours, minutes, rest) = hour_and_minute(offset)?;
            rest.is_empty()
                .then_some(exists && is_offset(hours, minutes))
        }
        _ => None,
    }
}

/// Parses `:SS`, `:SS.` with a fraction, or nothing. Returns whether the seconds exist and the rest of the value, or
/// `None` if the form is wrong.
fn parse_seconds(value: &[u8]) -> Option<(bool, &[u8])> {
    let [b':', rest @ ..] = value else {
        return Some((true, value));
    };
    let (second, rest) = two_digits(rest)?;
    let exists = second <= 59;
    let [b'.', rest @ ..] = rest else {
        return Some((exists, rest));
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (1..=9).contains(&digits).then(|| (exists, &rest[digits..]))
}

fn is_offset(hours: u8, minutes: u8) -> bool {
    minutes <= 59 && (hours, minutes) <= (14, 0)
}

/// Parses the name of a month, in full or in three letters. Returns the month with the rest of the value.
fn month_name(value: &[u8]) -> Option<(u8, &[u8])> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let letters = value
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let (name, rest) = value.split_at(letters);
    (1..).zip(NAMES).find_map(|(month, whole)| {
        let is_name = name.eq_ignore_ascii_case(whole.as_bytes())
            || name.eq_ignore_ascii_case(&whole.as_bytes()[..3]);
        is_name.then_some((month, rest))
    })
}

/// Parses `HH:MM`. Returns both numbers with the rest of the value.
fn hour_and_minute(value: &[u8]) -> Option<(u8, u8, &[u8])> {
    let (hour, rest) = two_digits(value)?;
    let (minute, rest) = two_digits(rest.strip_prefix(b":")?)?;
    Some((hour, minute, rest))
}

fn one_or_two_digits(value: &[u8]) -> Option<(u8, &[u8])> {
    two_digits(value).or_else(|| match value {
        [digit @ b'0'..=b'9', rest @ ..] => Some((digit - b'0', rest)),
        _ => None,
    })
}

fn two_digits(value: &[u8]) -> Option<(u8, &[u8])> {
    match value {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] => {
            Some((10 * (tens - b'0') + (ones - b'0'), rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
