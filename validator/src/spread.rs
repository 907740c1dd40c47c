//! The distribution of valid rows by size of amount and by month.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::{Amount, date::Day};

/// Counts rows by the absolute size of their amount: below 1, then from each power of ten to the next. The last size is
/// open-ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AmountSizes([u64; Self::COUNT]);

impl AmountSizes {
    pub const COUNT: usize = 9;

    /// Returns the number of rows of each size, the smallest size first.
    pub fn rows(&self) -> [u64; Self::COUNT] {
        self.0
    }

    /// Returns the least amount of a size.
    pub const fn from(size: usize) -> u64 {
        match size {
            0 => 0,
            _ => 10_u64.pow(size as u32 - 1),
        }
    }

    #[inline]
    pub(crate) fn add(&mut self, amount: Amount) {
        self.0[size(amount)] += 1;
    }
}

impl TryFrom<Vec<u64>> for AmountSizes {
    type Error = Vec<u64>;

    fn try_from(rows: Vec<u64>) -> Result<Self, Vec<u64>> {
        Ok(Self(rows.try_into()?))
    }
}

#[inline]
fn size(amount: Amount) -> usize {
    let mantissa = amount.mantissa();
    let digits = match i64::try_from(mantissa) {
        Ok(small) => digits(small.unsigned_abs()),
        Err(_) => mantissa.unsigned_abs().ilog10() + 1,
    };
    // The number of digits before the point, without leading zeros.
    let whole = digits.saturating_sub(amount.scale().into()) as usize;
    whole.min(AmountSizes::COUNT - 1)
}

/// Returns the number of digits of a number; 0 has none. Faster than `ilog10`.
#[inline]
fn digits(number: u64) -> u32 {
    const POWERS: [u64; 20] = {
        let mut powers = [1; 20];
        let mut at = 1;
        while at < powers.len() {
            powers[at] = 10 * powers[at - 1];
            at += 1;
        }
        powers
    };
    // A bit is worth 0.301 digits.
    let bits = u64::BITS - number.leading_zeros();
    let least = (bits * 1233) >> 12;
    least + u32::from(number >= POWERS[least as usize])
}

/// A month of a year. Its JSON is like `2024-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    pub year: u16,
    /// From 1 to 12.
    pub month: u8,
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

/// Parses the output of `Display`.
impl FromStr for Month {
    type Err = NotAMonth;

    fn from_str(text: &str) -> Result<Self, NotAMonth> {
        let (year, month) = text.split_once('-').ok_or(NotAMonth)?;
        let (year, month) = (
            year.parse().map_err(|_| NotAMonth)?,
            month.parse().map_err(|_| NotAMonth)?,
        );
        match (1..=12).contains(&month) {
            true => Ok(Self { year, month }),
            false => Err(NotAMonth),
        }
    }
}

#[derive(Debug)]
pub struct NotAMonth;

impl fmt::Display for NotAMonth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a month")
    }
}

impl std::error::Error for NotAMonth {}

impl Serialize for Month {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Month {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// Counts rows by the month of their date. `None` if there are more than [`MAX_MONTHS`].
pub type Months = Option<BTreeMap<Month, u64>>;

/// The maximum number of months kept, which is a century. It bounds the size of a chunk in the ledger.
pub const MAX_MONTHS: usize = 1200;

/// Counts rows by month.
pub(crate) struct MonthTally {
    /// Counts that aren't in `months` yet. In most files each month has its own slot here.
    recent: [(Key, u64); Self::RECENT],
    months: Months,
}

/// The century, the year of the century, and the month. 0 means none.
type Key = u32;

impl MonthTally {
    const RECENT: usize = 64;

    pub(crate) fn new() -> Self {
        Self {
            recent: [(0, 0); Self::RECENT],
            months: Some(BTreeMap::new()),
        }
    }

    #[inline]
    pub(crate) fn add(&mut self, day: Day) {
        let key = day.month();
        // Months within five consecutive years don't collide.
        let at = (key + 12 * (key >> 8)) as usize % Self::RECENT;
        let (recent, rows) = &mut self.recent[at];
        if *recent == key {
            *rows += 1;
        } else {
            self.replace(at, key);
        }
    }

    #[inline(never)]
    fn replace(&mut self, at: usize, key: Key) {
        let (before, rows) = std::mem::replace(&mut self.recent[at], (key, 1));
        insert(&mut self.months, before, rows);
    }

    pub(crate) fn months(&self) -> Months {
        let mut months = self.months.clone();
        for (key, rows) in self.recent {
            insert(&mut months, key, rows);
        }
        months
    }
}

fn insert(months: &mut Months, key: Key, rows: u64) {
    let Some(found) = months.as_mut().filter(|_| rows > 0) else {
        return;
    };
    let [_, century, year, month] = key.to_be_bytes();
    let month = Month {
        year: 100 * u16::from(century) + u16::from(year),
        month,
    };
    *found.entry(month).or_default() += rows;
    if found.len() > MAX_MONTHS {
        *months = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::date::parse_date;

    #[test]
    fn sizes_begin_at_powers_of_ten() {
        for (amount, expect) in [
            ("0", 0),
            ("0.00", 0),
            ("0.0000000001", 0),
            ("0.99", 0),
            ("-0.5", 0),
            ("1", 1),
            ("1.00", 1),
            ("9.99", 1),
            ("10", 2),
            ("-99.9", 2),
            ("100.00", 3),
            ("999999.99", 6),
            ("1000000", 7),
            ("9999999.9999999999", 7),
            ("10000000", 8),
            ("-999999999999999999.9999999999", 8),
        ] {
            let found = size(amount.parse().unwrap());
            assert_eq!(found, expect, "{amount}");
            let whole = amount.trim_start_matches('-').split('.').next().unwrap();
            let whole: u64 = whole.parse().unwrap();
            let sizes = 0..AmountSizes::COUNT;
            assert_eq!(
                sizes.rev().find(|size| AmountSizes::from(*size) <= whole),
                Some(expect)
            );
        }
    }

    #[test]
    fn digits_are_counted() {
        assert_eq!(digits(0), 0);
        for power in 0..20 {
            let number = 10_u64.pow(power);
            assert_eq!(digits(number), power + 1);
            assert_eq!(digits(number - 1), power);
        }
        assert_eq!(digits(u64::MAX), 20);
    }

    #[test]
    fn every_row_is_in_its_month() {
        let mut tally = MonthTally::new();
        let mut expect = BTreeMap::new();
        for number in 0..20_000_u32 {
            // Ten years, back and forth.
            let (year, month) = (2000 + number * 7 % 10, number * 5 % 12 + 1);
            let date = format!("{year}-{month:02}-{:02}", number % 28 + 1);
            tally.add(parse_date(date.as_bytes(), None).unwrap());
            *expect.entry(format!("{year}-{month:02}")).or_insert(0) += 1;
        }
        let found: BTreeMap<String, u64> = (tally.months().unwrap().into_iter())
            .map(|(month, rows)| (month.to_string(), rows))
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn too_many_months_are_none() {
        let mut tally = MonthTally::new();
        for year in 1..=9999_u32 {
            tally.add(parse_date(format!("{year:04}-07-01").as_bytes(), None).unwrap());
            assert_eq!(tally.months().is_some(), year as usize <= MAX_MONTHS);
        }
    }

    #[test]
    fn months_round_trip_as_json() {
        let month = Month {
            year: 987,
            month: 3,
        };
        let json = serde_json::to_string(&BTreeMap::from([(month, 5)])).unwrap();
        assert_eq!(json, r#"{"0987-03":5}"#);
        let months: BTreeMap<Month, u64> = serde_json::from_str(&json).unwrap();
        assert_eq!(months[&month], 5);
        for text in ["2024-13", "2024-0", "2024", "x-1"] {
            assert!(text.parse::<Month>().is_err(), "{text}");
        }
    }
}
