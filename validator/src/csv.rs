//! Writes rows with their verdicts as CSV, for `results.csv`.

use std::str;

use crate::{Layout, Row, number::has_number_form, rules::text_without_apostrophe, trim::trim};

/// The columns that follow the file's own.
const VERDICT_COLUMNS: [&str; 6] = [
    "row_number",
    "line",
    "is_valid",
    "is_suspicious",
    "errors",
    "error_message",
];

/// Columns after these, where what was read isn't what the file says.
const READ_COLUMNS: [&str; 2] = ["amount_read", "date_read"];

/// How many of the columns are the file's own, if the rest of them are those that a download adds.
pub(crate) fn own_columns(names: &[String]) -> Option<usize> {
    let is = |names: &[String], expect: &[&str]| {
        names.len() == expect.len() && names.iter().zip(expect).all(|(name, it)| trim(name) == *it)
    };
    let without = |names: &[String], columns: &[&str]| {
        let at = names.len().checked_sub(columns.len())?;
        is(&names[at..], columns).then_some(at)
    };
    let end = without(names, &READ_COLUMNS).unwrap_or(names.len());
    // Earlier versions didn't add the line.
    let without_line: Vec<&str> = (VERDICT_COLUMNS.into_iter())
        .filter(|column| *column != "line")
        .collect();
    without(&names[..end], &VERDICT_COLUMNS)
        .or_else(|| without(&names[..end], &without_line))
        .filter(|own| *own > 0)
}

/// Appends the header of `results.csv` to `out`.
pub fn write_results_header(layout: &Layout, out: &mut Vec<u8>) {
    let mut line = Line::new(out);
    for name in layout.own_names() {
        line.foreign_field(without_apostrophe(layout, name));
    }
    let read: &[&str] = if layout.is_plain() {
        &[]
    } else {
        &READ_COLUMNS
    };
    for name in VERDICT_COLUMNS.iter().chain(read) {
        line.field(name);
    }
    line.end();
}

fn without_apostrophe<'a>(layout: &Layout, field: &'a str) -> &'a str {
    match layout.is_download() {
        true => text_without_apostrophe(field),
        false => field,
    }
}

/// Appends a row of `results.csv` to `out`: the original fields, the verdict, what was read, and the fields that the
/// header has no column for.
pub(crate) fn write_results_row(layout: &Layout, row: &Row<'_>, out: &mut Vec<u8>) {
    let mut scratch = String::new();
    let mut line = Line::new(out);
    for at in 0..layout.own_names().len() {
        let field = row.field(at, &mut scratch).unwrap_or_default();
        line.foreign_field(without_apostrophe(layout, field));
    }
    line.field(&row.row_number.to_string());
    line.field(&row.line.map(|line| line.to_string()).unwrap_or_default());
    line.field(match row.is_valid() {
        true => "true",
        false if row.verdict.is_ignored() => "",
        false => "false",
    });
    line.field(if row.is_suspicious() { "true" } else { "false" });
    let codes: Vec<&str> = row.errors.iter().map(|error| error.code.as_str()).collect();
    line.field(&codes.join(";"));
    line.field(&row.error_message().unwrap_or_default());
    if !layout.is_plain() {
        line.field(
            &row.amount
                .map(|amount| amount.to_string())
                .unwrap_or_default(),
        );
        line.field(&row.date.map(|date| date.to_string()).unwrap_or_default());
    }
    for at in layout.names().len()..row.field_count() {
        line.foreign_field(row.field(at, &mut scratch).unwrap_or_default());
    }
    line.end();
}

/// A line of RFC 4180, with a comma and CRLF.
struct Line<'a> {
    out: &'a mut Vec<u8>,
    is_first: bool,
}

impl<'a> Line<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            is_first: true,
        }
    }

    /// A field that somebody else wrote: it must not become a formula in a spreadsheet.
    fn foreign_field(&mut self, field: &str) {
        if is_formula(field.as_bytes()) {
            self.field(&format!("'{field}"));
        } else {
            self.field(field);
        }
    }

    fn field(&mut self, field: &str) {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(b',');
        }
        if field.contains([',', '"', '\r', '\n']) {
            let quoted = format!("\"{}\"", field.replace('"', "\"\""));
            self.out.extend_from_slice(quoted.as_bytes());
        } else {
            self.out.extend_from_slice(field.as_bytes());
        }
    }

    fn end(self) {
        self.out.extend_from_slice(b"\r\n");
    }
}

/// Whether a spreadsheet would run the field.
pub(crate) fn is_formula(field: &[u8]) -> bool {
    match field.first() {
        Some(b'=' | b'@' | b'\t' | b'\r') => true,
        Some(b'+' | b'-') => !str::from_utf8(field).is_ok_and(has_number_form),
        _ => false,
    }
}
