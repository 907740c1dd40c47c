//! Files of transactions.

use std::{
    io::{self, Write},
    ops::RangeInclusive,
};

use crate::{Error, Expected, Row};

const HEADER: &[u8] = b"transaction_id,amount,date,description\n";

/// The bytes that are collected before they are written.
const BUFFER: usize = 1 << 20;

/// The interval between invalid rows in a file [with errors](Transactions::with_errors).
pub const INVALID_EVERY: u64 = 20;

/// A file of transactions. It is generated row by row, so its size doesn't matter for memory, and the same settings always
/// generate the same bytes.
#[derive(Debug, Clone)]
pub struct Transactions {
    rows: u64,
    /// The interval between invalid rows, whose numbers are its multiples. 0 if all rows are valid.
    invalid_every: u64,
    /// The errors of invalid rows, in turn.
    errors: Vec<Error>,
    /// One row in this many is suspicious, beginning halfway through the first ones. 0 if there are none.
    suspicious_every: u64,
    /// Replaces the descriptions.
    description: Option<String>,
    seed: u64,
}

impl Transactions {
    /// Returns a file whose rows are all valid. Every 100th row is suspicious, in turn because its amount is below 0 and
    /// because it is above 50,000.
    pub fn new(rows: u64) -> Self {
        Self {
            rows,
            invalid_every: 0,
            errors: Vec::new(),
            suspicious_every: 100,
            description: None,
            seed: 0,
        }
    }

    /// Makes every 20th row ([`INVALID_EVERY`]) invalid, with all errors in turn.
    #[must_use]
    pub fn with_errors(self) -> Self {
        self.invalid_every(INVALID_EVERY, &Error::ALL)
    }

    /// Makes the rows whose numbers `every` divides invalid, with these errors in turn.
    ///
    /// # Panics
    ///
    /// If `every` is below 2, because duplicates repeat the ids of valid rows, or if there is no error.
    #[must_use]
    pub fn invalid_every(mut self, every: u64, errors: &[Error]) -> Self {
        assert!(every >= 2 && !errors.is_empty());
        self.invalid_every = every;
        errors.clone_into(&mut self.errors);
        self
    }

    /// Makes every `every`th row suspicious unless it is invalid, starting in the middle of an interval. 0 means none.
    #[must_use]
    pub fn suspicious_every(mut self, every: u64) -> Self {
        self.suspicious_every = every;
        self
    }

    /// Gives all rows this description. It must not contain a quote.
    #[must_use]
    pub fn with_description(mut self, description: &str) -> Self {
        self.description = Some(description.to_owned());
        self
    }

    /// Changes amounts, dates and the order of errors. Ids and the numbers of invalid rows stay the same.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Returns the error of a row, or `None` if the row is valid. Rows are counted from 1.
    pub fn error(&self, row: u64) -> Option<Error> {
        if self.invalid_every == 0 || !row.is_multiple_of(self.invalid_every) {
            return None;
        }
        let turn = (row / self.invalid_every).wrapping_add(self.seed);
        Some(self.errors[(turn % self.errors.len() as u64) as usize])
    }

    fn is_suspicious(&self, row: u64) -> bool {
        self.suspicious_every > 0
            && (row + self.suspicious_shift()).is_multiple_of(self.suspicious_every)
            && self.error(row).is_none()
    }

    /// Returns what the number of a suspicious row lacks to a multiple of `suspicious_every`.
    fn suspicious_shift(&self) -> u64 {
        self.suspicious_every.saturating_sub(1) / 2
    }

    /// Returns a row by its number.
    pub fn row(&self, number: u64) -> Row {
        let mut row = Row::default();
        self.fill(&mut row, number);
        row
    }

    fn fill(&self, row: &mut Row, number: u64) {
        row.become_valid(number, self.seed);
        if let Some(description) = &self.description {
            row.description.clone_from(description);
        }
        if let Some(error) = self.error(number) {
            row.become_invalid(error, self.original(number));
        } else if self.is_suspicious(number) {
            let is_negative = (number / self.suspicious_every).is_multiple_of(2);
            row.become_suspicious(is_negative);
        }
    }

    /// Returns the number of the valid row whose id a duplicate repeats. The distance grows with the file, so the two are
    /// in different chunks of a large one.
    fn original(&self, duplicate: u64) -> u64 {
        let every = self.invalid_every;
        let half = duplicate / 1000 / 2 * 1000 + duplicate % 1000;
        // Divided by `every` the number leaves 1, so the row is valid.
        (half / every).max(1) * every - every + 1
    }

    /// Returns the result that processing the file must have.
    pub fn expected(&self) -> Expected {
        self.expected_in(1..=self.rows)
    }

    /// Returns the result for some of the rows.
    pub fn expected_in(&self, rows: RangeInclusive<u64>) -> Expected {
        let mut expected = Expected {
            rows: (rows.end() + 1).saturating_sub(*rows.start()),
            ..Expected::default()
        };
        for error in multiples(&rows, self.invalid_every, 0).filter_map(|row| self.error(row)) {
            expected.invalid += 1;
            *expected.errors.entry(error.code()).or_default() += 1;
        }
        let suspicious = multiples(&rows, self.suspicious_every, self.suspicious_shift());
        expected.suspicious = suspicious.filter(|row| self.error(*row).is_none()).count() as u64;
        expected.valid = expected.rows - expected.invalid;
        expected
    }

    /// Writes the file. Fails if the writer does.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(HEADER)?;
        self.write_rows(to, Row::push_line)
    }

    /// Writes the rows in a form of the caller's: `push` appends a row to what is written next. Fails if the writer does.
    pub(crate) fn write_rows(
        &self,
        to: &mut impl Write,
        push: impl Fn(&Row, &mut Vec<u8>),
    ) -> io::Result<()> {
        let mut row = Row::default();
        let mut buffer = Vec::new();
        for number in 1..=self.rows {
            self.fill(&mut row, number);
            push(&row, &mut buffer);
            if buffer.len() >= BUFFER {
                to.write_all(&buffer)?;
                buffer.clear();
            }
        }
        to.write_all(&buffer)
    }

    /// Returns the file as text.
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        self.write(&mut text).expect("a vector takes everything");
        String::from_utf8(text).expect("all fields are text")
    }
}

/// Returns the numbers in this range that are multiples of `every` after adding `shift`. There are none of 0.
fn multiples(range: &RangeInclusive<u64>, every: u64, shift: u64) -> impl Iterator<Item = u64> {
    let last = if every == 0 { 0 } else { *range.end() };
    let every = every.max(1);
    let first = (range.start() + shift).next_multiple_of(every) - shift;
    (first..=last).step_by(every as usize)
}
