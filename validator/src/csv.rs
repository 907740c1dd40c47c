//! Writes rows with their verdicts, for downloads.

use std::borrow::Cow;

use chrono::NaiveDate;

use crate::{
    Amount, Decimal, Layout, Row,
    number::{has_number_form, parse_amount},
    trim::trim,
};

/// Columns that follow the columns of the file.
const VERDICT_COLUMNS: [&str; 6] = [
    "row_number",
    "line",
    "is_valid",
    "is_suspicious",
    "errors",
    "error_message",
];

/// Columns that follow [`VERDICT_COLUMNS`] if the values as read differ from those in the file.
const READ_COLUMNS: [&str; 2] = ["amount_read", "date_read"];

/// Returns how many columns belong to the file itself. `None` unless all others are columns that a download adds.
pub(crate) fn own_columns(names: &[String]) -> Option<usize> {
    let is = |names: &[String], expect: &[&str]| {
        names.len() == expect.len() && names.iter().zip(expect).all(|(name, it)| trim(name) == *it)
    };
    let without = |names: &[String], columns: &[&str]| {
        let at = names.len().checked_sub(columns.len())?;
        is(&names[at..], columns).then_some(at)
    };
    let end = without(names, &READ_COLUMNS).unwrap_or(names.len());
    // Earlier versions had no `line` column.
    let without_line: Vec<&str> = (VERDICT_COLUMNS.into_iter())
        .filter(|column| *column != "line")
        .collect();
    without(&names[..end], &VERDICT_COLUMNS)
        .or_else(|| without(&names[..end], &without_line))
        .filter(|own| *own > 0)
}

/// A cell of a download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell<'a> {
    Empty,
    Number(u64),
    Bool(bool),
    /// Text written by Batchline.
    Text(&'a str),
    /// Text from the file, which must not become a formula in a spreadsheet.
    Foreign(Cow<'a, str>),
    Amount(Amount),
    Date(NaiveDate),
}

/// A format of `results.csv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvForm {
    delimiter: u8,
    decimal: Decimal,
    is_for_spreadsheet: bool,
}

impl CsvForm {
    /// RFC 4180 in UTF-8, with commas, plain numbers and no BOM.
    pub const PLAIN: Self = Self {
        delimiter: b',',
        decimal: Decimal::Point,
        is_for_spreadsheet: false,
    };

    /// Returns the format that a spreadsheet expects in the file's country: a BOM, and the file's own delimiter and
    /// decimal sign.
    pub fn of_spreadsheet(layout: &Layout) -> Self {
        Self {
            delimiter: layout.delimiter(),
            decimal: layout.decimal(),
            is_for_spreadsheet: true,
        }
    }

    /// Appends the header to `out`.
    pub fn write_header(self, layout: &Layout, out: &mut Vec<u8>) {
        if self.is_for_spreadsheet {
            out.extend_from_slice("\u{FEFF}".as_bytes());
        }
        let mut line = Line::new(self, out);
        header_cells(layout, !layout.is_plain(), |cell| line.cell(cell));
        line.end();
    }

    pub(crate) fn write_row(self, layout: &Layout, row: &Row<'_>, out: &mut Vec<u8>) {
        let mut line = Line::new(self, out);
        row_cells(layout, row, !layout.is_plain(), |cell| line.cell(cell));
        line.end();
    }
}

/// Passes the column names of a download to `on_cell`. `with_read` adds the columns for the values as read.
pub fn header_cells(layout: &Layout, with_read: bool, mut on_cell: impl FnMut(Cell<'_>)) {
    for name in layout.own_names() {
        on_cell(Cell::Foreign(without_apostrophe(layout, name)));
    }
    let read: &[&str] = if with_read { &READ_COLUMNS } else { &[] };
    for name in VERDICT_COLUMNS.iter().chain(read) {
        on_cell(Cell::Text(name));
    }
}

/// Passes the original fields, the verdict, the values as read and any fields beyond the header to the callback.
pub(crate) fn row_cells(
    layout: &Layout,
    row: &Row<'_>,
    with_read: bool,
    mut on_cell: impl FnMut(Cell<'_>),
) {
    let mut scratch = String::new();
    for at in 0..layout.own_names().len() {
        let field = row.field(at, &mut scratch).unwrap_or_default();
        on_cell(Cell::Foreign(without_apostrophe(layout, field)));
    }
    on_cell(Cell::Number(row.row_number));
    on_cell(row.line.map_or(Cell::Empty, Cell::Number));
    on_cell(match row.verdict.is_ignored() {
        true => Cell::Empty,
        false => Cell::Bool(row.is_valid()),
    });
    on_cell(Cell::Bool(row.is_suspicious()));
    let codes: Vec<&str> = row.errors.iter().map(|error| error.code.as_str()).collect();
    on_cell(Cell::Text(&codes.join(";")));
    on_cell(Cell::Text(&row.error_message().unwrap_or_default()));
    if with_read {
        on_cell(row.amount.map_or(Cell::Empty, Cell::Amount));
        on_cell(row.date.map_or(Cell::Empty, Cell::Date));
    }
    for at in layout.names().len()..row.field_count() {
        let field = row.field(at, &mut scratch).unwrap_or_default();
        on_cell(Cell::Foreign(field.into()));
    }
}

fn without_apostrophe<'a>(layout: &Layout, field: &'a str) -> Cow<'a, str> {
    match layout.is_download() {
        true => text_without_apostrophes(field),
        false => field.into(),
    }
}

/// A line that ends with CRLF.
struct Line<'a> {
    form: CsvForm,
    out: &'a mut Vec<u8>,
    is_first: bool,
}

impl<'a> Line<'a> {
    fn new(form: CsvForm, out: &'a mut Vec<u8>) -> Self {
        Self {
            form,
            out,
            is_first: true,
        }
    }

    fn cell(&mut self, cell: Cell<'_>) {
        match cell {
            Cell::Empty => self.field(""),
            Cell::Number(number) => self.field(&number.to_string()),
            Cell::Bool(it) => self.field(if it { "true" } else { "false" }),
            Cell::Text(text) => self.field(text),
            Cell::Foreign(text) => {
                let form = self.form;
                let amounts = form.is_for_spreadsheet.then_some(form.decimal);
                self.field(&with_apostrophes(&text, amounts));
            }
            Cell::Amount(amount) => match self.form.decimal {
                Decimal::Point => self.field(&amount.to_string()),
                Decimal::Comma => self.field(&amount.to_string().replace('.', ",")),
            },
            Cell::Date(date) => self.field(&date.to_string()),
        }
    }

    fn field(&mut self, field: &str) {
        let delimiter = self.form.delimiter;
        if !std::mem::take(&mut self.is_first) {
            self.out.push(delimiter);
        }
        let is_special = |byte: u8| byte == delimiter || matches!(byte, b'"' | b'\r' | b'\n');
        if field.bytes().any(is_special) {
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

/// Characters after which a spreadsheet can start a new cell. Which ones do depends on its locale. Quotes don't prevent
/// it unless they are where the spreadsheet expects them.
const SEPARATORS: [char; 5] = [',', ';', '\t', '\r', '\n'];

/// Returns whether a spreadsheet would evaluate the cell. Plain numbers aren't formulas. Neither are amounts with the
/// decimal sign `amounts`, if given.
fn is_formula(cell: &str, amounts: Option<Decimal>) -> bool {
    if cell.starts_with(['\t', '\r']) {
        return true;
    }
    // Invisible characters before a formula don't disarm it.
    let seen = cell.trim_start_matches(|c| {
        matches!(
            c,
            '\n' | '\x0B' | '\x0C' | '\u{A0}' | '\u{AD}' | '\u{200B}'
                ..='\u{200F}' | '\u{2060}' | '\u{FEFF}'
        )
    });
    match seen.chars().next() {
        Some('=' | '@' | '＝' | '＠' | '＋' | '－') => true,
        Some('+' | '-') => {
            let is_amount = |decimal| parse_amount(seen.as_bytes(), decimal).is_ok();
            !has_number_form(seen) && !amounts.is_some_and(is_amount)
        }
        _ => false,
    }
}

/// Yields each position where a spreadsheet may start a cell, with the cell's text. The first is the whole text.
fn cells(text: &str) -> impl Iterator<Item = (usize, &str)> {
    // Few texts contain a separator.
    let has_others = text.bytes().any(|byte| SEPARATORS.contains(&byte.into()));
    let others = has_others.then(|| {
        text.match_indices(SEPARATORS).map(|(at, separator)| {
            let start = at + separator.len();
            let rest = &text[start..];
            (start, rest.split(SEPARATORS).next().unwrap_or(rest))
        })
    });
    std::iter::once((0, text)).chain(others.into_iter().flatten())
}

/// Inserts a `'` wherever a spreadsheet would start to evaluate a formula. Amounts with the decimal sign `amounts`, if
/// given, aren't formulas.
pub fn with_apostrophes(text: &str, amounts: Option<Decimal>) -> Cow<'_, str> {
    let mut safe = String::new();
    let mut done = 0;
    for (at, _) in cells(text).filter(|(_, cell)| is_formula(cell, amounts)) {
        safe.push_str(&text[done..at]);
        safe.push('\'');
        done = at;
    }
    if safe.is_empty() {
        return text.into();
    }
    safe.push_str(&text[done..]);
    safe.into()
}

/// Removes the apostrophes that [`with_apostrophes`] inserted.
pub(crate) fn text_without_apostrophes(text: &str) -> Cow<'_, str> {
    let is_added = |cell: &str| {
        cell.strip_prefix('\'')
            .is_some_and(|formula| is_formula(formula, None))
    };
    let mut original = String::new();
    let mut done = 0;
    for (at, _) in cells(text).filter(|(_, cell)| is_added(cell)) {
        original.push_str(&text[done..at]);
        done = at + 1;
    }
    if done == 0 {
        return text.into();
    }
    original.push_str(&text[done..]);
    original.into()
}
