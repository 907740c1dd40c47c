//! Reads a date by the rules for rows.

use chrono::NaiveDate;

/// Why a value isn't a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateError {
    /// Not of a form that the rules know.
    NotADate,
    /// Of a right form, but there is no such day or time.
    OutOfRange,
}

/// Reads a trimmed value: a day, alone or with a time, which may have an offset. The date is the one
/// written, not converted.
#[inline]
pub(crate) fn parse_date(value: &[u8]) -> Result<Day, DateError> {
    let usual = value.as_array().and_then(Date::parse_usual);
    match usual.and_then(Date::day) {
        Some(day) => Ok(day),
        None => parse_any(value),
    }
}

#[inline(never)]
fn parse_any(value: &[u8]) -> Result<Day, DateError> {
    let usual = value
        .split_first_chunk()
        .and_then(|(date, time)| Some((Date::parse_usual(date)?, time)));
    let (date, time) = match usual {
        Some(parsed) => parsed,
        None => Date::parse(value).ok_or(DateError::NotADate)?,
    };
    let time_exists = match time {
        [] => true,
        [b'T' | b't' | b' ', time @ ..] => parse_time(time).ok_or(DateError::NotADate)?,
        _ => return Err(DateError::NotADate),
    };
    date.day()
        .filter(|_| time_exists)
        .ok_or(DateError::OutOfRange)
}

/// A day of the calendar. Later days are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(Date);

impl Day {
    /// Before all others, and after them.
    pub(crate) const FIRST: Self = Self(Date(0));
    pub(crate) const LAST: Self = Self(Date(u32::MAX));

    pub(crate) fn date(self) -> Option<NaiveDate> {
        let [century, year, month, day] = self.0.0.to_be_bytes();
        let year = 100 * i32::from(century) + i32::from(year);
        NaiveDate::from_ymd_opt(year, month.into(), day.into())
    }
}

/// A date of a right form, whether it exists or not: the bytes of the number are the century, the year in it, the month
/// and the day, from the highest to the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Date(u32);

impl Date {
    /// `YYYY-MM-DD`, `YYYY/MM/DD` or `YYYYMMDD`, and what follows it.
    #[inline(never)]
    fn parse(value: &[u8]) -> Option<(Self, &[u8])> {
        let (century, rest) = two_digits(value)?;
        let (year, rest) = two_digits(rest)?;
        let (separator, rest) = match rest {
            [separator @ (b'-' | b'/'), rest @ ..] => (Some(*separator), rest),
            _ => (None, rest),
        };
        let (month, rest) = two_digits(rest)?;
        let rest = match separator {
            Some(separator) => rest.strip_prefix(&[separator])?,
            None => rest,
        };
        let (day, rest) = two_digits(rest)?;
        let date = u32::from_be_bytes([century, year, month, day]);
        Some((Self(date), rest))
    }

    /// `YYYY-MM-DD`, eight bytes at a time. Every other form is `None`.
    #[inline]
    fn parse_usual(value: &[u8; 10]) -> Option<Self> {
        let [year_and_month @ .., d0, d1] = *value;
        // The digits as numbers, and zero in place of the dashes.
        let year_and_month = u64::from_le_bytes(year_and_month) ^ u64::from_le_bytes(*b"0000-00-");
        let day = u64::from(u16::from_le_bytes([d0, d1]) ^ u16::from_le_bytes(*b"00"));
        // The top bit of a byte is set if a digit is above 9, or a dash is none.
        let excess = u64::from_le_bytes([0x76, 0x76, 0x76, 0x76, 0x7F, 0x76, 0x76, 0x7F]);
        let wrong = year_and_month.wrapping_add(excess) | year_and_month | (day + excess) | day;
        if wrong & TOP_BITS != 0 {
            return None;
        }
        // Each byte becomes the number of two digits that starts there: at most 99.
        let pairs = |digits: u64| 10 * digits + (digits >> 8);
        let (year_and_month, day) = (pairs(year_and_month), pairs(day));
        let date = year_and_month << 24 & 0xFF00_0000
            | year_and_month & 0x00FF_0000
            | year_and_month >> 32 & 0x0000_FF00
            | day & 0x0000_00FF;
        Some(Self(date as u32))
    }

    /// `None` if it does not exist.
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

const TOP_BITS: u64 = u64::from_le_bytes([0x80; 8]);

/// Whether there is such a time; `None` if the form is wrong.
#[inline(never)]
fn parse_time(time: &[u8]) -> Option<bool> {
    let (hour, minute, rest) = hour_and_minute(time)?;
    let mut exists = hour <= 23 && minute <= 59;
    let mut rest = rest;
    if let [b':', after @ ..] = rest {
        let (second, after) = two_digits(after)?;
        exists &= second <= 59;
        rest = after;
        if let [b'.', after @ ..] = rest {
            let digits = after
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            if !(1..=9).contains(&digits) {
                return None;
            }
            rest = &after[digits..];
        }
    }
    match rest {
        [] | [b'Z' | b'z'] => Some(exists),
        [b'+' | b'-', offset @ ..] => {
            let (hours, minutes, rest) = hour_and_minute(offset)?;
            let offset_exists = minutes <= 59 && (hours, minutes) <= (14, 0);
            rest.is_empty().then_some(exists && offset_exists)
        }
        _ => None,
    }
}

/// `HH:MM`, and what follows it.
fn hour_and_minute(value: &[u8]) -> Option<(u8, u8, &[u8])> {
    let (hour, rest) = two_digits(value)?;
    let (minute, rest) = two_digits(rest.strip_prefix(b":")?)?;
    Some((hour, minute, rest))
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
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for year in [0, 1, 4, 100, 400, 1900, 1999, 2000, 2023, 2024, 2100, 9999] {
            let mut last = None;
            for month in 0..100 {
                for day in 0..100 {
                    let exists = NaiveDate::from_ymd_opt(year, month, day).filter(|_| year != 0);
                    for value in [
                        format!("{year:04}-{month:02}-{day:02}"),
                        format!("{year:04}/{month:02}/{day:02}"),
                        format!("{year:04}{month:02}{day:02}"),
                    ] {
                        let found = parse_date(value.as_bytes());
                        assert_eq!(found.ok().and_then(Day::date), exists, "{value}");
                        assert!(found.is_err() || last <= found.ok(), "{value}");
                        last = found.ok().or(last);
                    }
                }
            }
        }
    }

    #[test]
    fn the_usual_form_has_no_other_bytes() {
        for at in 0..10 {
            for byte in 0..=u8::MAX {
                let mut value = *b"2024-01-15";
                value[at] = byte;
                let expect = match byte {
                    b'/' => None,
                    _ => Date::parse(&value).map(|(date, _)| date),
                };
                assert_eq!(Date::parse_usual(&value), expect, "{value:?}");
            }
        }
    }
}
