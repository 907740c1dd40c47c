//! Formats the value of a cell as the text of a CSV field.

use std::fmt::Write;

use calamine::{CellErrorType, DataType, ExcelDateTime, ExcelDateTimeType};

/// Numbers from this size on are written with an exponent.
const EXPONENT_FROM: f64 = 1e21;

/// The day after 9999-12-31 as a serial number of the 1900 system.
const END_OF_DAYS: f64 = 2_958_466.0;

const SECONDS_PER_DAY: f64 = 86_400.0;

/// Days between the epochs of Excel's two date systems.
const DAYS_FROM_1900_TO_1904: f64 = 1462.0;

/// Writes the value of a cell. An empty cell has no text.
pub(crate) fn write_value(value: &impl DataType, text: &mut String) {
    if let Some(value) = value.get_string() {
        text.push_str(value);
    } else if let Some(value) = value.get_float() {
        write_number(value, text);
    } else if let Some(value) = value.get_int() {
        push(text, format_args!("{value}"));
    } else if let Some(value) = value.get_datetime() {
        write_date_time(value, text);
    } else if let Some(value) = value.get_bool() {
        text.push_str(if value { "TRUE" } else { "FALSE" });
    } else if let Some(value) = value.get_datetime_iso() {
        text.push_str(iso_date_time(value));
    } else if let Some(value) = value.get_duration_iso() {
        write_iso_duration(value, text);
    } else if let Some(error) = value.get_error() {
        match error {
            // The text that Excel shows.
            CellErrorType::GettingData => text.push_str("#GETTING_DATA"),
            error => push(text, format_args!("{error}")),
        }
    }
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let _ = text.write_fmt(arguments);
}

/// Writes the shortest decimal that parses to the same number, after rounding as Excel does. A number that could have
/// a thousands separator, such as 1.234, gets a zero, because the cell leaves no doubt: `1.2340`.
pub(crate) fn write_number(value: f64, text: &mut String) {
    let value = rounded(value);
    let start = text.len();
    if value == 0.0 {
        // Applies to -0.0, too.
        text.push('0');
    } else if value.abs() < EXPONENT_FROM {
        push(text, format_args!("{value}"));
    } else {
        push(text, format_args!("{value:e}"));
    }
    if looks_grouped(&text[start..]) {
        text.push('0');
    }
}

/// Rounds a number with a fraction to 15 significant digits, which are all that Excel keeps of a number that is entered
/// and shows of one that is computed: `0.1 + 0.2` is 0.3. Whole numbers may be ids and keep their digits.
fn rounded(value: f64) -> f64 {
    match value.fract() == 0.0 {
        true => value,
        false => format!("{value:.14e}").parse().unwrap_or(value),
    }
}

/// Returns whether a number consists of one to three digits, a point and three digits.
fn looks_grouped(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    digits.split_once('.').is_some_and(|(whole, fraction)| {
        (1..=3).contains(&whole.len())
            && whole != "0"
            && fraction.len() == 3
            && are_digits(whole)
            && are_digits(fraction)
    })
}

fn write_date_time(value: ExcelDateTime, text: &mut String) {
    let serial = value.as_f64();
    if value.is_duration() {
        return write_duration(serial, text);
    }
    // The epoch can only be determined by comparison.
    let is_1904 = value == ExcelDateTime::new(serial, ExcelDateTimeType::DateTime, true);
    let serial_1900 = match is_1904 {
        true => serial + DAYS_FROM_1900_TO_1904,
        false => serial,
    };
    if !(0.0..END_OF_DAYS).contains(&serial) || serial_1900 >= END_OF_DAYS {
        // Excel shows ##### for it.
        return write_number(serial, text);
    }
    let (day, second) = whole_seconds(serial);
    if day == 0 {
        return write_time(second, text);
    }
    let day = if is_1904 { day + 1462 } else { day };
    let (year, month, day) = civil(day);
    push(text, format_args!("{year:04}-{month:02}-{day:02}"));
    if second > 0 {
        text.push('T');
        write_time(second, text);
    }
}

/// Returns the whole days and the whole seconds after them. Adds half a millisecond first, because binary fractions of
/// a day fall just short of most times. Adding more could move an evening to the next day.
fn whole_seconds(serial: f64) -> (i64, i64) {
    // Less than 2^38, so the cast loses no digits.
    let seconds = (serial * SECONDS_PER_DAY + 0.0005).floor() as i64;
    (seconds / 86_400, seconds % 86_400)
}

fn write_time(second: i64, text: &mut String) {
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    push(text, format_args!("{hour:02}:{minute:02}:{second:02}"));
}

fn write_duration(days: f64, text: &mut String) {
    if days.abs() < END_OF_DAYS {
        if days < 0.0 {
            text.push('-');
        }
        let (days, second) = whole_seconds(days.abs());
        write_time(days * 86_400 + second, text);
    } else {
        write_number(days, text);
    }
}

/// Returns year, month and day of a serial number from 1 on. Number 60 is 1900-02-29, a date that never existed: Excel
/// preserves a bug of Lotus 1-2-3.
fn civil(serial: i64) -> (i64, i64, i64) {
    if serial == 60 {
        return (1900, 2, 29);
    }
    // Days since 0000-03-01. Counted from March, leap days are at the end of a year.
    // https://howardhinnant.github.io/date_algorithms.html#civil_from_days
    let days = serial + i64::from(serial < 60) + 693_899;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = match month_from_march {
        0..=9 => month_from_march + 3,
        _ => month_from_march - 9,
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// Returns an ISO date and time without fractions of a second. Omits the time if it is midnight.
fn iso_date_time(value: &str) -> &str {
    let whole = match value.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|byte| byte.is_ascii_digit()) => whole,
        _ => value,
    };
    whole.strip_suffix("T00:00:00").unwrap_or(whole)
}

/// Writes an ISO duration of hours, minutes and seconds, such as `PT09H30M00S`, as `HH:MM:SS`. Writes any other
/// duration unchanged.
fn write_iso_duration(value: &str, text: &mut String) {
    match iso_seconds(value) {
        Some(seconds) => write_time(seconds, text),
        None => text.push_str(value),
    }
}

fn iso_seconds(value: &str) -> Option<i64> {
    let (hours, rest) = value.strip_prefix("PT")?.split_once('H')?;
    let (minutes, rest) = rest.split_once('M')?;
    let seconds = rest.strip_suffix('S')?;
    let seconds = seconds.split(['.', ',']).next()?;
    let number = |text: &str| text.parse::<u32>().ok().map(i64::from);
    number(hours)?
        .checked_mul(3600)?
        .checked_add(number(minutes)? * 60 + number(seconds)?)
}

#[cfg(test)]
mod tests {
    use calamine::DataRef;

    use super::*;

    fn text(value: DataRef<'_>) -> String {
        let mut text = String::new();
        write_value(&value, &mut text);
        text
    }

    fn date(serial: f64, is_1904: bool) -> String {
        let value = ExcelDateTime::new(serial, ExcelDateTimeType::DateTime, is_1904);
        text(DataRef::DateTime(value))
    }

    #[test]
    fn numbers_have_15_digits_and_look_like_decimals() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (5.0, "5"),
            (-12.5, "-12.5"),
            (0.1 + 0.2, "0.3"),
            (1234.6599999999999, "1234.66"),
            (-19.98999999999999, "-19.99"),
            (99.99999999999999, "100"),
            (0.999999999999999, "0.999999999999999"),
            (1.23456789012345e-5, "0.0000123456789012345"),
            (0.1 + 0.2 - 0.3, "0.0000000000000000555111512312578"),
            (1.1, "1.1"),
            (1.234, "1.2340"),
            (-999.125, "-999.1250"),
            (0.125, "0.125"),
            (1234.567, "1234.567"),
            (1.2345, "1.2345"),
            (1.23, "1.23"),
            (1e-7, "0.0000001"),
            (123_456_789_012_345.0, "123456789012345"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (1e20, "100000000000000000000"),
            (1e21, "1e21"),
            (-2.5e300, "-2.5e300"),
        ];
        for (value, expected) in cases {
            assert_eq!(text(DataRef::Float(value)), expected);
        }
    }

    #[test]
    fn dates_in_both_epochs() {
        assert_eq!(date(1.0, false), "1900-01-01");
        assert_eq!(date(59.0, false), "1900-02-28");
        assert_eq!(date(60.0, false), "1900-02-29");
        assert_eq!(date(61.0, false), "1900-03-01");
        assert_eq!(date(366.0, false), "1900-12-31");
        assert_eq!(date(367.0, false), "1901-01-01");
        assert_eq!(date(45_351.0, false), "2024-02-29");
        assert_eq!(date(2_958_465.0, false), "9999-12-31");
        assert_eq!(date(1.0, true), "1904-01-02");
        assert_eq!(date(43_889.0, true), "2024-02-29");
        assert_eq!(date(2_957_003.0, true), "9999-12-31");
    }

    #[test]
    fn times() {
        assert_eq!(date(45_351.5, false), "2024-02-29T12:00:00");
        assert_eq!(
            date(45_351.0 + 9.0 / 24.0 + 1.0 / 1440.0, false),
            "2024-02-29T09:01:00"
        );
        // A fraction of a second before midnight still belongs to the same day.
        assert_eq!(
            date(45_351.0 + 86_399.7 / 86_400.0, false),
            "2024-02-29T23:59:59"
        );
        assert_eq!(date(0.25, false), "06:00:00");
        assert_eq!(date(0.25, true), "06:00:00");
        let duration = ExcelDateTime::new(-1.5, ExcelDateTimeType::TimeDelta, false);
        assert_eq!(text(DataRef::DateTime(duration)), "-36:00:00");
        assert_eq!(
            text(DataRef::DurationIso("PT09H30M05.250S".into())),
            "09:30:05"
        );
        assert_eq!(text(DataRef::DurationIso("P1D".into())), "P1D");
    }

    #[test]
    fn invalid_dates_stay_numbers() {
        assert_eq!(date(-1.5, false), "-1.5");
        assert_eq!(date(f64::NAN, false), "NaN");
        assert_eq!(date(2_958_466.0, false), "2958466");
        assert_eq!(date(2_957_004.0, true), "2957004");
    }

    #[test]
    fn iso_dates() {
        let iso = |value: &str| text(DataRef::DateTimeIso(value.into()));
        assert_eq!(iso("2024-02-29"), "2024-02-29");
        assert_eq!(iso("2024-02-29T00:00:00.000"), "2024-02-29");
        assert_eq!(iso("2024-02-29T09:01:00.5"), "2024-02-29T09:01:00");
    }
}
