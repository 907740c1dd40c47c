//! Formats numbers and times as text. The result is the same on the server and in the browser: it uses no locale, no
//! time zone other than UTC, and no clock. A hydrated page must match what the server rendered.

use chrono::{DateTime, SecondsFormat, Utc};

/// Formats `1234567` as `1,234,567`.
pub fn count(number: u64) -> String {
    decimal(&number.to_string())
}

/// Groups the digits of a decimal: `-1234567.50` becomes `-1,234,567.50`.
pub fn decimal(number: &str) -> String {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", number),
    };
    let whole = digits.split('.').next().unwrap_or_default();
    let (first, groups) = whole.split_at(whole.len() % 3);
    let mut text = format!("{sign}{first}");
    for (index, digit) in groups.chars().enumerate() {
        if index % 3 == 0 && !(first.is_empty() && index == 0) {
            text.push(',');
        }
        text.push(digit);
    }
    text + &digits[whole.len()..]
}

/// Formats a number with its noun: `1 row`, `2 rows`.
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// Formats a percentage with one digit after the point, as in `43.2%`, or none if that digit is zero.
pub fn percent(percent: f64) -> String {
    format!("{}%", short(percent))
}

/// Formats a non-negative number with one digit after the point, or none if that digit is zero.
pub fn short(number: f64) -> String {
    let text = tenths(number);
    text.strip_suffix(".0")
        .map_or_else(|| text.clone(), str::to_owned)
}

/// Formats a non-negative number with one digit after the point. The standard library's implementation is exact to any
/// digit, and adds several kilobytes.
fn tenths(number: f64) -> String {
    let tenths = (number * 10.0).round() as u64;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Formats `part` as a rounded percentage of `total`. `100%` means all of it, and `0%` none of it.
pub fn share(part: u64, total: u64) -> String {
    let total = total.max(1);
    let tenths = (u128::from(part) * 2000 + u128::from(total)) / (u128::from(total) * 2);
    let tenths = match (part, tenths) {
        (0, _) => 0,
        (_, 0) => 1,
        (part, 1000) if part < total => 999,
        (_, tenths) => tenths,
    };
    percent(tenths as f64 / 10.0)
}

/// Formats bytes in the largest decimal unit that leaves at least 1, with one digit after the point.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return counted(bytes, "byte");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    // 999.95 would be shown as 1000.0.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{}\u{a0}{}", tenths(value), UNITS[unit])
}

/// Formats a duration in its two largest units, or below ten seconds with one digit after the point.
pub fn seconds(seconds: f64) -> String {
    if seconds < 9.95 {
        return format!("{}\u{a0}s", tenths(seconds.max(0.0)));
    }
    let whole = seconds.round() as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}\u{a0}s"),
        (0, _) => format!("{minutes}\u{a0}min {rest:02}\u{a0}s"),
        _ => format!("{}\u{a0}h {minutes:02}\u{a0}min", count(hours)),
    }
}

/// Formats an estimated duration, rounded so that it doesn't suggest more precision than it has: `5 s`, `40 s`,
/// `3 min`, `20 min`, `2 h`.
pub fn about(seconds: f64) -> String {
    let steps = [(57.5, 5), (570.0, 60), (3450.0, 300), (f64::INFINITY, 3600)];
    let step = steps.into_iter().find(|(until, _)| seconds < *until);
    let step = step.map_or(3600, |(_, step)| step);
    let rounded = (seconds / step as f64).round().max(1.0) as u64 * step;
    match (rounded / 3600, rounded / 60) {
        (0, 0) => format!("{rounded}\u{a0}s"),
        (0, minutes) => format!("{minutes}\u{a0}min"),
        (hours, _) => format!("{}\u{a0}h", count(hours)),
    }
}

/// Returns sentences that say how many of the rows are valid.
pub fn verdict(rows: u64, invalid: u64, suspicious: u64) -> String {
    let verdict = match (rows, invalid) {
        (0, _) => "The file has a header and no rows.".to_owned(),
        (1, 0) => "The only row is valid.".to_owned(),
        (_, 0) => format!("All {} are valid.", counted(rows, "row")),
        (_, invalid) => format!(
            "{} of {} {} invalid.",
            count(invalid),
            counted(rows, "row"),
            if invalid == 1 { "is" } else { "are" }
        ),
    };
    match suspicious {
        0 => verdict,
        1 => format!("{verdict} 1 row is suspicious: its amount is unusual, which isn't an error."),
        _ => format!(
            "{verdict} {} are suspicious: their amounts are unusual, which isn't an error.",
            counted(suspicious, "row")
        ),
    }
}

/// Formats a time as `2026-11-24T02:03:05Z`, for the `datetime` attribute of `<time>`.
pub fn machine_time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Formats the output of [`machine_time`] for people: `2026-11-24 02:03:05 UTC`.
pub fn time(machine_time: &str) -> String {
    machine_time.replace('T', " ").replace('Z', " UTC")
}

/// Formats an age: `just now`, `5 min ago`, `3 h ago`, `12 days ago`, and from two months on the day, `2026-01-05`.
/// `seconds` is the age, and `machine_time` the time itself.
pub fn age(seconds: i64, machine_time: &str) -> String {
    let minutes = seconds / 60;
    let (hours, days) = (minutes / 60, minutes / 60 / 24);
    match (days, hours, minutes) {
        (60.., ..) => machine_time
            .chars()
            .take_while(|char| *char != 'T')
            .collect(),
        (2.., ..) => format!("{days} days ago"),
        (_, 1.., _) => format!("{hours}\u{a0}h ago"),
        (_, _, 1..) => format!("{minutes}\u{a0}min ago"),
        _ => "just now".to_owned(),
    }
}

/// Returns the first `max` characters of `text` with its total number of characters, or `None` if it isn't longer.
pub fn shortened(text: &str, max: usize) -> Option<String> {
    let (end, _) = text.char_indices().nth(max)?;
    let all = text.chars().count() as u64;
    Some(format!("{}… ({} characters)", &text[..end], count(all)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1000), "1,000");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(decimal("-1234567.5000"), "-1,234,567.5000");
        assert_eq!(decimal("0.1234"), "0.1234");
        assert_eq!(decimal("-123"), "-123");
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(0, "row"), "0 rows");
    }

    #[test]
    fn percentages() {
        assert_eq!(percent(0.0), "0%");
        assert_eq!(percent(43.2), "43.2%");
        assert_eq!(percent(99.9), "99.9%");
        assert_eq!(percent(100.0), "100%");
        for (part, total, expect) in [
            (199_999, 200_000, "99.9%"),
            (1, 200_000, "0.1%"),
            (5, 725, "0.7%"),
            (720, 725, "99.3%"),
            (0, 3, "0%"),
            (3, 3, "100%"),
            (0, 0, "0%"),
            (u64::MAX, u64::MAX, "100%"),
        ] {
            assert_eq!(share(part, total), expect, "{part} of {total}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes(1), "1 byte");
        assert_eq!(bytes(999), "999 bytes");
        assert_eq!(bytes(1000), "1.0\u{a0}kB");
        assert_eq!(bytes(999_960), "1.0\u{a0}MB");
        assert_eq!(bytes(10_737_418_240), "10.7\u{a0}GB");
        assert_eq!(bytes(u64::MAX), "18446744.1\u{a0}TB");
    }

    #[test]
    fn spans() {
        assert_eq!(seconds(0.04), "0.0\u{a0}s");
        assert_eq!(seconds(9.94), "9.9\u{a0}s");
        assert_eq!(seconds(9.96), "10\u{a0}s");
        assert_eq!(seconds(59.6), "1\u{a0}min 00\u{a0}s");
        assert_eq!(seconds(3725.0), "1\u{a0}h 02\u{a0}min");
    }

    #[test]
    fn estimates_are_rounded() {
        for (seconds, expect) in [
            (-1.0, "5\u{a0}s"),
            (0.2, "5\u{a0}s"),
            (7.6, "10\u{a0}s"),
            (42.0, "40\u{a0}s"),
            (58.0, "1\u{a0}min"),
            (82.0, "1\u{a0}min"),
            (569.0, "9\u{a0}min"),
            (570.0, "10\u{a0}min"),
            (1247.0, "20\u{a0}min"),
            (3449.0, "55\u{a0}min"),
            (3450.0, "1\u{a0}h"),
            (9000.0, "3\u{a0}h"),
        ] {
            assert_eq!(about(seconds), expect, "{seconds}");
        }
    }

    #[test]
    fn ages_grow() {
        for (seconds, expect) in [
            (-90, "just now"),
            (59, "just now"),
            (60, "1\u{a0}min ago"),
            (3599, "59\u{a0}min ago"),
            (47 * 3600, "47\u{a0}h ago"),
            (48 * 3600, "2 days ago"),
            (60 * 86400 - 1, "59 days ago"),
            (60 * 86400, "2026-01-05"),
        ] {
            assert_eq!(age(seconds, "2026-01-05T02:03:05Z"), expect, "{seconds}");
        }
    }

    #[test]
    fn verdicts_agree_with_their_numbers() {
        assert_eq!(verdict(1, 0, 0), "The only row is valid.");
        assert_eq!(verdict(4, 0, 0), "All 4 rows are valid.");
        assert_eq!(verdict(4, 1, 0), "1 of 4 rows is invalid.");
        assert_eq!(
            verdict(1_000_000, 36_119, 2),
            "36,119 of 1,000,000 rows are invalid. 2 rows are suspicious: their amounts are unusual, which isn't an error."
        );
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shortened("äöü", 3), None);
        assert_eq!(shortened("äöüß", 3), Some("äöü… (4 characters)".to_owned()));
    }
}
