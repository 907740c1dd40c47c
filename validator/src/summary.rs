//! Sums up the rows of a file or of a part of it.

use std::{fmt, ops::AddAssign, str::FromStr};

use chrono::NaiveDate;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};

use crate::{
    Amount, ErrorCode,
    amount::{self, NotAnAmount, POWERS},
    date::Day,
    rules::Validated,
    spread::{AmountSizes, MonthTally, Months},
};

/// Rows by verdict. `processed = valid + invalid`, and a suspicious row is also one of these. Ignored records are not
/// included in any of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub processed: u64,
    pub valid: u64,
    pub invalid: u64,
    pub suspicious: u64,
    #[serde(default)]
    pub ignored: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.processed += other.processed;
        self.valid += other.valid;
        self.invalid += other.invalid;
        self.suspicious += other.suspicious;
        self.ignored += other.ignored;
    }
}

/// Rows by verdict and by kind of error, and the sum and the dates of the valid rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    pub counts: Counts,
    pub problems: Problems,
    pub valid_amount: AmountSum,
    pub valid_dates: Option<DateSpan>,
    /// The valid rows by the size of their amount.
    pub amount_sizes: AmountSizes,
    /// The valid rows by the month of their date.
    pub months: Months,
}

/// Adds rows up to a [`Summary`].
pub(crate) struct Tally {
    /// Everything except the sum and the months.
    summary: Summary,
    months: MonthTally,
    /// The sum of the mantissas of valid amounts, by number of digits after the point. They are only scaled at the end.
    sums: [i128; POWERS.len()],
    scale: u8,
    /// The days of [`Summary::valid_dates`], which compare faster than dates. In reverse order if there are none.
    first_day: Day,
    last_day: Day,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            summary: Summary::default(),
            months: MonthTally::new(),
            sums: [0; POWERS.len()],
            scale: 0,
            first_day: Day::LAST,
            last_day: Day::FIRST,
        }
    }

    pub(crate) fn summary(&self) -> Summary {
        let units = (self.sums.iter().zip(POWERS.iter().rev()))
            .map(|(sum, power)| sum * i128::from(*power))
            .sum();
        Summary {
            valid_amount: AmountSum {
                units,
                scale: self.scale,
            },
            months: self.months.months(),
            ..self.summary.clone()
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.summary.counts
    }

    /// Returns the number of rows added, including ignored ones.
    #[inline]
    pub(crate) fn rows(&self) -> u64 {
        self.summary.counts.processed + self.summary.counts.ignored
    }

    #[inline(always)]
    pub(crate) fn add(&mut self, row: &Validated) {
        let counts = &mut self.summary.counts;
        if row.verdict.is_ignored() {
            counts.ignored += 1;
            return;
        }
        counts.processed += 1;
        counts.suspicious += u64::from(row.verdict.is_suspicious());
        if row.verdict.is_valid() {
            counts.valid += 1;
            // A valid row has both.
            if let (Some(amount), Some(day)) = (row.amount, row.day) {
                self.sums[usize::from(amount.scale())] += amount.mantissa();
                self.scale = self.scale.max(amount.scale());
                self.summary.amount_sizes.add(amount);
                self.months.add(day);
                if day < self.first_day || self.last_day < day {
                    self.extend_days(day);
                }
            }
        } else {
            counts.invalid += 1;
            for code in row.verdict.codes() {
                self.summary.problems.0[code as usize] += 1;
            }
        }
    }

    #[cold]
    fn extend_days(&mut self, day: Day) {
        self.first_day = self.first_day.min(day);
        self.last_day = self.last_day.max(day);
        self.summary.valid_dates = (self.first_day.date())
            .zip(self.last_day.date())
            .map(|(first, last)| DateSpan { first, last });
    }
}

/// The number of rows with each kind of error. A row with two kinds counts for both. In JSON an object with the codes
/// that occur.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Problems([u64; ErrorCode::ALL.len()]);

impl Problems {
    pub fn rows(&self, code: ErrorCode) -> u64 {
        self.0[code as usize]
    }

    /// Returns the kinds that occur, the most frequent first.
    pub fn ranked(&self) -> Vec<(ErrorCode, u64)> {
        let mut ranked: Vec<_> = self.iter().collect();
        // The sort is stable: kinds with equal counts stay in the order of the rules.
        ranked.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
        ranked
    }

    fn iter(&self) -> impl Iterator<Item = (ErrorCode, u64)> {
        ErrorCode::ALL
            .iter()
            .map(|code| (*code, self.rows(*code)))
            .filter(|(_, rows)| *rows > 0)
    }
}

impl FromIterator<(ErrorCode, u64)> for Problems {
    fn from_iter<I: IntoIterator<Item = (ErrorCode, u64)>>(rows: I) -> Self {
        let mut problems = Self::default();
        for (code, rows) in rows {
            problems.0[code as usize] += rows;
        }
        problems
    }
}

impl Serialize for Problems {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (code, rows) in self.iter() {
            map.serialize_entry(&code, &rows)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Problems {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rows = std::collections::BTreeMap::<ErrorCode, u64>::deserialize(deserializer)?;
        Ok(rows.into_iter().collect())
    }
}

/// An exact sum of amounts, with as many digits after the point as the amount that has the most. Overflow would take
/// more rows than fit into a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AmountSum {
    /// In units of 10^-[`Amount::MAX_SCALE`].
    units: i128,
    scale: u8,
}

impl fmt::Display for AmountSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mantissa = self.units / i128::from(POWERS[usize::from(Amount::MAX_SCALE - self.scale)]);
        Amount::new(mantissa, self.scale).fmt(f)
    }
}

/// From the earliest to the latest day, inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DateSpan {
    pub first: NaiveDate,
    pub last: NaiveDate,
}

/// Parses the output of `Display`.
impl FromStr for AmountSum {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let scale = u8::try_from(fraction.len()).map_err(|_| NotAnAmount)?;
        let padding = Amount::MAX_SCALE.checked_sub(scale).ok_or(NotAnAmount)?;
        let mantissa: i128 = format!("{whole}{fraction}")
            .parse()
            .map_err(|_| NotAnAmount)?;
        let units = mantissa
            .checked_mul(POWERS[usize::from(padding)].into())
            .ok_or(NotAnAmount)?;
        Ok(Self { units, scale })
    }
}

/// Serializes to a JSON number with exactly the digits of the decimal. Works only with `serde_json`.
impl Serialize for AmountSum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        amount::serialize_digits(self, serializer)
    }
}

impl<'de> Deserialize<'de> for AmountSum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        amount::deserialize_digits(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    fn sum(amounts: &[&str]) -> String {
        let mut tally = Tally::new();
        for amount in amounts {
            tally.add(&Validated {
                verdict: Verdict::VALID,
                amount: amount.parse().ok(),
                day: Some(Day::FIRST),
            });
        }
        tally.summary().valid_amount.to_string()
    }

    #[test]
    fn sums_are_exact_and_keep_the_longest_fraction() {
        assert_eq!(sum(&[]), "0");
        for text in ["0", "-0.5", "0.00", "2999999999999999999.9999999997"] {
            let sum: AmountSum = text.parse().unwrap();
            assert_eq!(sum.to_string(), text);
            assert_eq!(serde_json::to_string(&sum).unwrap(), text);
            assert_eq!(serde_json::from_str::<AmountSum>(text).unwrap(), sum);
        }
        for text in ["", "-", "1.00000000000", "x", "1e5"] {
            assert!(text.parse::<AmountSum>().is_err(), "{text}");
        }
        assert_eq!(sum(&["1", "2"]), "3");
        assert_eq!(sum(&["0.10", "0.2"]), "0.30");
        assert_eq!(sum(&["-1.005", "1"]), "-0.005");
        assert_eq!(sum(&["0.0000000001", "-5"]), "-4.9999999999");
        assert_eq!(
            sum(&["999999999999999999.9999999999"; 3]),
            "2999999999999999999.9999999997"
        );
    }

    #[test]
    fn errors_are_ranked_and_round_trip_as_json() {
        let problems: Problems = [
            (ErrorCode::DateMissing, 2),
            (ErrorCode::AmountMissing, 2),
            (ErrorCode::RowEncoding, 5),
        ]
        .into_iter()
        .collect();
        assert_eq!(
            problems.ranked(),
            [
                (ErrorCode::RowEncoding, 5),
                (ErrorCode::AmountMissing, 2),
                (ErrorCode::DateMissing, 2)
            ]
        );
        let json = serde_json::to_string(&problems).unwrap();
        assert_eq!(
            json,
            r#"{"row.encoding":5,"amount.missing":2,"date.missing":2}"#
        );
        assert_eq!(serde_json::from_str::<Problems>(&json).unwrap(), problems);
        let mut numbers: Vec<usize> = ErrorCode::ALL.iter().map(|code| *code as usize).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, Vec::from_iter(0..ErrorCode::ALL.len()));
    }
}
