//! Rows with their verdicts as lines of CSV, which script/bench loads with `\copy` of psql to compare a job with it.

use std::io::{self, Write};

use crate::{Error, LONGEST_ID, Row, Transactions};

impl Transactions {
    /// Writes the rows with their verdicts as `\copy` of psql reads them. Fails if the writer does.
    pub fn write_table(&self, to: &mut impl Write) -> io::Result<()> {
        self.write_rows(to, push_line)
    }
}

/// Appends a row as result_id, row_number, transaction_id, amount, date, description, is_valid, is_suspicious, errors.
/// A value with an error is null, which is empty.
fn push_line(row: &Row, to: &mut Vec<u8>) {
    let (mut id, mut amount, mut date) = (&*row.transaction_id, &*row.amount, &*row.date);
    match row.error {
        Some(Error::AmountNotANumber | Error::AmountMissing | Error::AmountOutOfRange) => {
            amount = "";
        }
        Some(Error::DateNotADate | Error::DateMissing | Error::DateOutOfRange) => date = "",
        Some(Error::ColumnCount) => (amount, date) = ("", ""),
        Some(Error::IdTooLong) => id = &id[..LONGEST_ID],
        Some(Error::IdMissing | Error::IdDuplicate) | None => {}
    }
    let number = row.number;
    let quote = if row.description.contains(',') {
        "\""
    } else {
        ""
    };
    let description = &row.description;
    let (is_valid, is_suspicious) = (row.error.is_none(), row.is_suspicious);
    let errors = row
        .error
        .map(|error| errors(row, error))
        .unwrap_or_default();
    writeln!(
        to,
        "1,{number:08},{id},{amount},{date},{quote}{description}{quote},{is_valid},{is_suspicious},{errors}"
    )
    .expect("a vector takes everything");
}

/// Returns the errors of a row as JSON in a quoted field.
fn errors(row: &Row, error: Error) -> String {
    let (code, id) = (error.code(), &row.transaction_id);
    let (amount, date) = (&row.amount, &row.date);
    let (field, _) = code.split_once('.').unwrap_or((code, ""));
    let message = match error {
        Error::AmountNotANumber => format!("amount is not a number: \"{amount}\""),
        Error::DateNotADate => format!("date is not a date: \"{date}\""),
        Error::IdMissing => "transaction_id is missing".to_owned(),
        Error::DateOutOfRange => format!("date does not exist: \"{date}\""),
        Error::IdDuplicate => format!("transaction_id is repeated: {id}"),
        Error::ColumnCount => "row has 5 fields, but the header has 4 columns".to_owned(),
        Error::AmountMissing => "amount is missing".to_owned(),
        Error::AmountOutOfRange => format!("amount is out of range: \"{amount}\""),
        Error::DateMissing => "date is missing".to_owned(),
        Error::IdTooLong => format!("transaction_id is longer than {LONGEST_ID} characters"),
    };
    let message = message.replace('"', "\\\"");
    let json = format!(r#"[{{"field": "{field}", "code": "{code}", "message": "{message}"}}]"#);
    format!("\"{}\"", json.replace('"', "\"\""))
}
