//! Writes rows with their verdicts as CSV, for `results.csv`.

use crate::{Layout, Row, number::has_number_form};

/// The columns that follow the file's own.
const VERDICT_COLUMNS: [&str; 5] = [
    "row_number",
    "is_valid",
    "is_suspicious",
    "errors",
    "error_message",
];

/// Appends the header of `results.csv` to `out`.
pub fn write_results_header(layout: &Layout, out: &mut Vec<u8>) {
    let mut line = Line::new(out);
    for name in layout.names() {
        line.foreign_field(name);
    }
    for name in VERDICT_COLUMNS {
        line.field(name);
    }
    line.end();
}

/// Appends a row of `results.csv` to `out`: the original fields, the verdict, and the fields that the
/// header has no column for.
pub(crate) fn write_results_row(layout: &Layout, row: &Row<'_>, out: &mut Vec<u8>) {
    let columns = layout.names().len();
    let mut scratch = String::new();
    let mut line = Line::new(out);
    for at in 0..columns {
        line.foreign_field(row.field(at, &mut scratch).unwrap_or_default());
    }
    line.field(&row.row_number.to_string());
    line.field(if row.is_valid() { "true" } else { "false" });
    line.field(if row.is_suspicious() { "true" } else { "false" });
    let codes: Vec<&str> = row.errors.iter().map(|error| error.code.as_str()).collect();
    line.field(&codes.join(";"));
    line.field(&row.error_message().unwrap_or_default());
    for at in columns..row.field_count() {
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
        if is_formula(field) {
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
fn is_formula(field: &str) -> bool {
    match field.as_bytes().first() {
        Some(b'=' | b'@' | b'\t' | b'\r') => true,
        Some(b'+' | b'-') => !has_number_form(field),
        _ => false,
    }
}
