//! A generated row, and the values in its fields.

use crate::Error;

/// The longest id that is valid, in characters.
pub const LONGEST_ID: usize = 255;

const DESCRIPTIONS: [&str; 5] = [
    "Monthly subscription",
    "Service fee",
    "Product purchase",
    "Consulting, hours",
    "Refund of deposit",
];
/// The lengths of the months of 2024, a leap year.
const MONTHS: [u64; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const DAYS: u64 = 366;

/// A row as it is in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// Counted from 1.
    pub number: u64,
    pub transaction_id: String,
    pub amount: String,
    pub date: String,
    pub description: String,
    pub is_suspicious: bool,
    pub error: Option<Error>,
}

impl Row {
    /// Makes this a valid row with values that depend on the number and the seed alone. Its amount is from 10,000.00 to
    /// 49,999.99. Ids have no gaps: `TXN00000001`, `TXN00000002` and so on.
    pub(crate) fn become_valid(&mut self, number: u64, seed: u64) {
        let (thousand, in_thousand) = (number / 1000, number % 1000);
        let units = 10 + (thousand * 7 + seed % 40) % 40;
        let cents = (in_thousand * 7919 + seed % 100_000) % 100_000;
        self.number = number;
        self.is_suspicious = false;
        self.error = None;
        set_id(&mut self.transaction_id, number);
        self.amount.clear();
        push_digits(&mut self.amount, units, 2);
        push_digits(&mut self.amount, cents / 100, 3);
        self.amount.push('.');
        push_digits(&mut self.amount, cents % 100, 2);
        set_date(&mut self.date, (in_thousand * 31 + seed % DAYS) % DAYS);
        self.description.clear();
        self.description += DESCRIPTIONS[(number % DESCRIPTIONS.len() as u64) as usize];
        self.description.push(' ');
        push_digits(&mut self.description, number % 1_000_000, 6);
    }

    /// Gives a valid row an amount that is valid but below 0 or above 50,000.
    pub(crate) fn become_suspicious(&mut self, is_negative: bool) {
        self.is_suspicious = true;
        self.amount.insert(0, if is_negative { '-' } else { '9' });
    }

    /// Gives a valid row this error. `original` is the number of the row whose id a duplicate repeats.
    pub(crate) fn become_invalid(&mut self, error: Error, original: u64) {
        self.error = Some(error);
        match error {
            Error::AmountNotANumber => "n/a".clone_into(&mut self.amount),
            Error::DateNotADate => "yesterday".clone_into(&mut self.date),
            Error::IdMissing => self.transaction_id.clear(),
            Error::DateOutOfRange => "2024-02-30".clone_into(&mut self.date),
            Error::IdDuplicate => set_id(&mut self.transaction_id, original),
            Error::ColumnCount => {}
            Error::AmountMissing => self.amount.clear(),
            Error::AmountOutOfRange => "1e90".clone_into(&mut self.amount),
            Error::DateMissing => self.date.clear(),
            Error::IdTooLong => {
                while self.transaction_id.len() < LONGEST_ID + 8 {
                    self.transaction_id.push('x');
                }
            }
        }
    }

    /// Appends the row as a line of the file.
    pub(crate) fn push_line(&self, to: &mut Vec<u8>) {
        for field in [&self.transaction_id, &self.amount, &self.date] {
            to.extend_from_slice(field.as_bytes());
            to.push(b',');
        }
        to.push(b'"');
        to.extend_from_slice(self.description.as_bytes());
        to.push(b'"');
        if self.error == Some(Error::ColumnCount) {
            to.extend_from_slice(b",one field too many");
        }
        to.push(b'\n');
    }
}

fn set_id(id: &mut String, number: u64) {
    "TXN".clone_into(id);
    push_digits(id, number, 8);
}

/// Sets the date to a day of 2024, counted from 0.
fn set_date(date: &mut String, mut day: u64) {
    let mut month = 0;
    while day >= MONTHS[month] {
        day -= MONTHS[month];
        month += 1;
    }
    "2024-".clone_into(date);
    push_digits(date, month as u64 + 1, 2);
    date.push('-');
    push_digits(date, day + 1, 2);
}

/// Appends a number with at least `least` digits. `write!` would take most of the time of a large file.
fn push_digits(to: &mut String, number: u64, least: usize) {
    let mut digits = [b'0'; 20];
    let (mut start, mut rest) = (digits.len(), number);
    while rest > 0 {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let digits = &digits[start.min(digits.len() - least)..];
    to.push_str(str::from_utf8(digits).expect("digits are ASCII"));
}
