//! Packs rows for `COPY … (format binary)`.
//!
//! Source of the format: <https://www.postgresql.org/docs/current/sql-copy.html>, "Binary Format";
//! of the values: the `…_send` functions in `src/backend/utils/adt` (`numeric_send`, `date_send`,
//! `jsonb_send`).

use chrono::NaiveDate;
use validator::{Amount, Row};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
const COLUMNS: i16 = 9;
/// Length of a null.
const NULL: i32 = -1;

/// The rows of one chunk as the bytes of a `COPY`.
pub(super) struct RowBuffer {
    result_id: i64,
    bytes: Vec<u8>,
}

impl RowBuffer {
    pub const STATEMENT: &str = "copy transactions (result_id, row_number, transaction_id, amount, \
         date, description, is_valid, is_suspicious, errors) from stdin (format binary)";

    /// `chunk_bytes` is the size of the text that the rows come from.
    pub fn new(result_id: i64, chunk_bytes: usize) -> Self {
        // A row of 57 bytes takes about 135.
        let mut bytes = Vec::with_capacity(chunk_bytes * 5 / 2 + 64);
        bytes.extend_from_slice(SIGNATURE);
        // No flags, no header extension.
        bytes.extend_from_slice(&[0; 8]);
        Self { result_id, bytes }
    }

    pub fn push(&mut self, row: &Row<'_>) {
        self.bytes.extend_from_slice(&COLUMNS.to_be_bytes());
        self.value(&self.result_id.to_be_bytes());
        self.value(&(row.row_number as i64).to_be_bytes());
        self.nullable(row.transaction_id, Self::text);
        self.nullable(row.amount, Self::numeric);
        self.nullable(row.date, Self::date);
        self.nullable(row.description, Self::text);
        self.value(&[u8::from(row.is_valid())]);
        self.value(&[u8::from(row.is_suspicious)]);
        let errors = Some(&row.errors[..]).filter(|errors| !errors.is_empty());
        self.nullable(errors, |buffer, errors| {
            buffer.with_length(|bytes| {
                // jsonb's version number, then its text
                bytes.push(1);
                serde_json::to_writer(bytes, errors)
                    .expect("strings and constants serialize, and a Vec takes them");
            });
        });
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&(-1_i16).to_be_bytes());
        self.bytes
    }

    fn nullable<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => write(self, value),
            None => self.bytes.extend_from_slice(&NULL.to_be_bytes()),
        }
    }

    fn value(&mut self, value: &[u8]) {
        self.bytes
            .extend_from_slice(&(value.len() as i32).to_be_bytes());
        self.bytes.extend_from_slice(value);
    }

    fn text(&mut self, value: &str) {
        self.value(value.as_bytes());
    }

    fn date(&mut self, date: NaiveDate) {
        const EPOCH: NaiveDate = NaiveDate::from_ymd_opt(2000, 1, 1).expect("a day that exists");
        let days = (date - EPOCH).num_days() as i32;
        self.value(&days.to_be_bytes());
    }

    /// Base-10000 digits around the decimal point, without zero digits at either end.
    fn numeric(&mut self, amount: Amount) {
        const NEGATIVE: i16 = 0x4000;
        let scale = u32::from(amount.scale());
        // Fill the fraction up to whole base-10000 digits.
        let padding = (4 - scale % 4) % 4;
        let mut rest = amount.mantissa().unsigned_abs() * 10_u128.pow(padding);
        let mut digits = [0_i16; 8];
        let mut first = digits.len();
        while rest > 0 {
            first -= 1;
            digits[first] = (rest % 10_000) as i16;
            rest /= 10_000;
        }
        let fraction_digits = (scale + padding) / 4;
        let weight = (digits.len() - first) as i16 - 1 - fraction_digits as i16;
        let last = digits[first..]
            .iter()
            .rposition(|digit| *digit != 0)
            .map_or(first, |position| first + position + 1);
        let significant = &digits[first..last];
        let sign = if amount.mantissa() < 0 { NEGATIVE } else { 0 };
        self.with_length(|bytes| {
            for word in [significant.len() as i16, weight, sign, scale as i16] {
                bytes.extend_from_slice(&word.to_be_bytes());
            }
            for digit in significant {
                bytes.extend_from_slice(&digit.to_be_bytes());
            }
        });
    }

    /// Writes a value whose length is known only afterwards.
    fn with_length(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        write(&mut self.bytes);
        let length = (self.bytes.len() - start - 4) as i32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
}
