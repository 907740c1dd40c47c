//! Writes rows with their verdicts to an Excel workbook.

use std::io::Write;

use anyhow::Context;
use chrono::{Datelike, NaiveDate};
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook, Worksheet, XlsxError};
use validator::{Amount, Cell, Decimal, header_cells, with_apostrophes};

use super::{download::CheckedRows, reader::blocking};
use crate::{Error, Result};

/// The limits of a worksheet, from Excel's specification.
const MAX_ROWS: u32 = 1_048_576;
const MAX_COLUMNS: usize = 16_384;
const MAX_CHARS: usize = 32_767;

/// The maximum size of all texts, in bytes. No program opens a larger workbook in reasonable time. Texts are kept on
/// disk until the workbook is sent.
const MAX_TEXT_BYTES: u64 = 1 << 30;

/// The number of significant digits that Excel keeps.
const MAX_DIGITS: u32 = 15;

/// Limits the number of workbooks written at the same time: each keeps a core busy and takes space on disk.
static WRITERS: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(2);

/// A workbook whose rows are on disk.
pub(super) struct Written {
    workbook: Workbook,
}

impl Written {
    /// Writes the file to `out`.
    pub fn save(mut self, out: impl Write + Send) -> anyhow::Result<()> {
        Ok(self.workbook.save_to_writer(out)?)
    }
}

/// Writes the rows to a workbook. Fails with [`Error::Conflict`] if they don't fit into a worksheet.
pub(super) async fn of_rows(rows: &CheckedRows) -> Result<Written> {
    let _writer = WRITERS.acquire().await.context("writing workbooks")?;
    let layout = &rows.reader.layout;
    if layout.names().len() > MAX_COLUMNS - 8 {
        return Err(too_large(&format!("more than {MAX_COLUMNS} columns")));
    }
    let mut sheet = Sheet::new(layout.decimal()).context("a new workbook")?;
    header_cells(layout, true, |cell| sheet.cell(cell));
    sheet.end_row();
    for chunk in &rows.chunks {
        sheet = rows
            .read(chunk, sheet, |sheet, row| {
                if sheet.failure.is_none() {
                    row.cells(true, |cell| sheet.cell(cell));
                    sheet.end_row();
                }
            })
            .await?;
        if let Some(failure) = sheet.failure.take() {
            return Err(failure);
        }
    }
    blocking(move || sheet.finish()).await?
}

fn too_large(what: &str) -> Error {
    Error::Conflict(format!(
        "A worksheet can't hold these rows: {what}. Download results.csv instead."
    ))
}

struct Sheet {
    workbook: Workbook,
    sheet: Worksheet,
    decimal: Decimal,
    date: Format,
    row: u32,
    column: u16,
    text_bytes: u64,
    failure: Option<Error>,
}

impl Sheet {
    fn new(decimal: Decimal) -> Result<Self, XlsxError> {
        let mut workbook = Workbook::new();
        let mut sheet = workbook.new_worksheet_with_constant_memory()?;
        sheet.set_name("Results")?.set_freeze_panes(1, 0)?;
        Ok(Self {
            workbook,
            sheet,
            decimal,
            date: Format::new().set_num_format("yyyy-mm-dd"),
            row: 0,
            column: 0,
            text_bytes: 0,
            failure: None,
        })
    }

    fn cell(&mut self, cell: Cell<'_>) {
        if self.failure.is_some() {
            return;
        }
        if let Err(failure) = self.write(cell) {
            self.failure = Some(failure);
        }
        self.column += 1;
    }

    fn write(&mut self, cell: Cell<'_>) -> Result<()> {
        let (row, column) = (self.row, self.column);
        if row >= MAX_ROWS {
            return Err(too_large(&format!("more than {MAX_ROWS} rows")));
        }
        if usize::from(column) >= MAX_COLUMNS {
            return Err(too_large(&format!("more than {MAX_COLUMNS} columns")));
        }
        let sheet = &mut self.sheet;
        let written = match cell {
            Cell::Empty => return Ok(()),
            Cell::Number(number) => sheet.write_number(row, column, number as f64).map(drop),
            Cell::Bool(it) => sheet.write_boolean(row, column, it).map(drop),
            Cell::Amount(amount) => match number(amount) {
                Some(number) => sheet.write_number(row, column, number).map(drop),
                None => return self.text(&amount.to_string()),
            },
            Cell::Date(date) => match excel_date(date) {
                Some(day) => sheet
                    .write_datetime_with_format(row, column, &day, &self.date)
                    .map(drop),
                None => return self.text(&date.to_string()),
            },
            Cell::Text(text) => return self.text(text),
            // A text cell is never evaluated, but the sheet may be saved as CSV.
            Cell::Foreign(text) => {
                return self.text(&with_apostrophes(&text, Some(self.decimal)));
            }
        };
        written.map_err(|error| Error::Internal(error.into()))
    }

    fn text(&mut self, text: &str) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        // Excel counts UTF-16 code units.
        if text.len() > MAX_CHARS && text.encode_utf16().count() > MAX_CHARS {
            return Err(too_large(&format!(
                "a field has more than {MAX_CHARS} characters"
            )));
        }
        self.text_bytes += text.len() as u64;
        if self.text_bytes > MAX_TEXT_BYTES {
            return Err(too_large("they have more than 1 GiB"));
        }
        // With NULs already gone, these are the only characters that XML can't represent.
        let text = text.replace(['\u{FFFE}', '\u{FFFF}'], "\u{FFFD}");
        let written = self.sheet.write_string(self.row, self.column, text);
        written
            .map(drop)
            .map_err(|error| Error::Internal(error.into()))
    }

    fn end_row(&mut self) {
        self.row += 1;
        self.column = 0;
    }

    fn finish(mut self) -> Result<Written> {
        self.workbook.push_worksheet(self.sheet);
        Ok(Written {
            workbook: self.workbook,
        })
    }
}

/// Returns the amount as a number for Excel, if that preserves its digits.
fn number(amount: Amount) -> Option<f64> {
    let digits = amount.mantissa().unsigned_abs().checked_ilog10();
    (digits.is_none_or(|digits| digits < MAX_DIGITS))
        .then(|| amount.to_string().parse().ok())
        .flatten()
}

/// Returns the date for Excel. Excel's calendar starts in 1900, which it wrongly treats as a leap year.
fn excel_date(date: NaiveDate) -> Option<ExcelDateTime> {
    let year = u16::try_from(date.year())
        .ok()
        .filter(|year| *year > 1900)?;
    ExcelDateTime::from_ymd(year, date.month() as u8, date.day() as u8).ok()
}
