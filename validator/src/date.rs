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
pub(crate) fn parse_date(value: &[u8]) -> Result<NaiveDate, DateError> {
    let (day, time) = Day::parse(value).ok_or(DateError::NotADate)?;
    let time_exists = match time {
        [] => true,
        [b'T' | b't' | b' ', time @ ..] => parse_time(time).ok_or(DateError::NotADate)?,
        _ => return Err(DateError::NotADate),
    };
    day.date()
        .filter(|_| time_exists)
        .ok_or(DateError::OutOfRange)
}

struct Day {
    year: u16,
    month: u8,
    day: u8,
}

impl Day {
    /// `YYYY-MM-DD`, `YYYY/MM/DD` or `YYYYMMDD`, and what follows it.
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
        let day = Self {
            year: 100 * u16::from(century) + u16::from(year),
            month,
            day,
        };
        Some((day, rest))
    }

    fn date(&self) -> Option<NaiveDate> {
        NaiveDate::from_ymd_opt(self.year.into(), self.month.into(), self.day.into())
            .filter(|_| self.year != 0)
    }
}

/// Whether there is such a time; `None` if the form is wrong.
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
