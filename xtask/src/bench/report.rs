//! Prints measurements, one per line: the value, then its description.

use crate::project::say;

use super::system::{Job, PROCESSES};

pub fn heading(text: impl AsRef<str>) {
    say(format!("\n{}", text.as_ref()));
}

pub fn figure(value: impl AsRef<str>, text: impl AsRef<str>) {
    say(format!("  {:>10}  {}", value.as_ref(), text.as_ref()));
}

pub fn ratio(value: f64, text: impl AsRef<str>) {
    figure(format!("{value:.2}"), text);
}

/// Returns the middle value, or the mean of the two in the middle. 0 if there are none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

/// Returns the median of the ratios of alternating measurements.
pub fn median_ratio(values: &[f64], others: &[f64]) -> f64 {
    median(
        values
            .iter()
            .zip(others)
            .map(|(value, other)| value / other),
    )
}

/// Prints the median costs of jobs with the same file.
pub fn costs(jobs: &[Job]) {
    let of = |cost: fn(&Job) -> f64| median(jobs.iter().map(cost));
    let millions = jobs[0].expected.rows as f64 / 1e6;
    figure(
        format!("{:.0} MB", of(|job| job.worker_peak)),
        "peak memory of the worker",
    );
    let [_, worker, postgres, _] = PROCESSES;
    for (value, unit, what) in [
        (
            of(|job| job.disk as f64 / 1e6),
            "MB",
            "on disk in PostgreSQL".to_owned(),
        ),
        (of(|job| job.wal as f64 / 1e6), "MB", "of WAL".to_owned()),
        (of(|job| job.cpu[2]), "s", format!("of CPU in {postgres}")),
        (of(|job| job.cpu[1]), "s", format!("of CPU in the {worker}")),
    ] {
        figure(
            format!("{value:.2} {unit}"),
            format!("{what}, {:.3} {unit} per million rows", value / millions),
        );
    }
}

/// Returns a number with commas between its thousands.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median([]), 0.0);
        assert_eq!(median_ratio(&[1.0, 4.0, 9.0], &[1.0, 2.0, 3.0]), 2.0);
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(thousands(7), "7");
        assert_eq!(thousands(1000), "1,000");
        assert_eq!(thousands(123_456_789), "123,456,789");
    }
}
