//! Converts the sheets of workbooks to CSV.

use std::{
    cell::RefCell,
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
};

use calamine::{
    CellType, DataRef, DataType, OdsError, Range, Reader, SheetType, SheetVisible, Sheets,
    XlsError, Xlsx, XlsxError,
};

use crate::{
    Error, Kind, Limits, Refusal, Sheet, cell,
    long_numbers::{self, LongNumbers},
    refusal::LISTED_SHEETS,
    unpack::{Bounded, from_io, from_zip},
};

/// The limits of Excel and LibreOffice. A file with a cell beyond them is damaged.
const MAX_ROWS: u32 = 1_048_576;
const MAX_COLUMNS: u32 = 16_384;

/// The number of bytes of CSV written at once.
const WRITE_BYTES: usize = 64 << 10;

/// The result of converting a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConvertedSheet {
    pub sheet: String,
    pub bytes: u64,
    /// The row of the sheet, from 1, that became the first record.
    pub first_row: u32,
}

/// Returns the worksheets of a workbook in their order.
///
/// # Errors
///
/// Returns a [`Refusal`] if the file is a damaged or encrypted workbook, or isn't a workbook.
pub fn sheets(kind: Kind, input: impl Read + Seek) -> Result<Vec<Sheet>, Error> {
    list(kind, &mut open(kind, input)?)
}

/// Writes a sheet as CSV in UTF-8, with commas, LF, and quotes where RFC 4180 requires them. Without a name it writes
/// the only visible sheet that has cells.
///
/// There is one record for each row from the first to the last one with a value, and one field for each column from the
/// first to the last one with a value. Text is written unchanged; a number as the shortest decimal that parses to the
/// same number; a date as `YYYY-MM-DD`, with `THH:MM:SS` unless that is midnight; a time as `HH:MM:SS`; a boolean as
/// `TRUE` or `FALSE`; an error as Excel shows it; and a formula as its value when the file was saved.
///
/// # Errors
///
/// Returns a [`Refusal`] if the file is a damaged or encrypted workbook or isn't a workbook, if it is unclear which
/// sheet to write, or if the CSV exceeds the limit.
pub fn convert_sheet(
    kind: Kind,
    input: impl Read + Seek,
    sheet: Option<&str>,
    limits: Limits,
    out: impl Write,
) -> Result<ConvertedSheet, Error> {
    let input = RefCell::new(input);
    let mut workbook = open(kind, SharedReader::new(&input))?;
    let name = choose(kind, &mut workbook, sheet)?;
    let too_large = Refusal::TooLargeUnpacked {
        max_bytes: limits.max_unpacked_bytes,
    };
    let mut out = Bounded::new(out, limits.max_unpacked_bytes, too_large);
    let extent = match &mut workbook {
        Sheets::Xlsx(workbook) => {
            let long_numbers = long_numbers::read(BufReader::new(SharedReader::new(&input)), &name);
            write_streamed(workbook, &name, &long_numbers, &mut out)?
        }
        workbook => {
            let range = workbook
                .worksheet_range(&name)
                .map_err(|error| from_calamine(error, kind))?;
            write_range(&range, &mut out)?
        }
    };
    let Some(extent) = extent else {
        return Err(Refusal::EmptySheet(name).into());
    };
    out.finish()?;
    Ok(ConvertedSheet {
        sheet: name,
        bytes: out.written(),
        first_row: extent.first_row + 1,
    })
}

type Workbook<R> = Sheets<BufReader<R>>;

fn open<R: Read + Seek>(kind: Kind, mut input: R) -> Result<Workbook<R>, Error> {
    input.rewind().map_err(Error::Io)?;
    let input = BufReader::new(input);
    let workbook = match kind {
        Kind::Xlsx => Reader::new(input)
            .map(Sheets::Xlsx)
            .map_err(calamine::Error::Xlsx),
        Kind::Xlsb => Reader::new(input)
            .map(Sheets::Xlsb)
            .map_err(calamine::Error::Xlsb),
        Kind::Xls => Reader::new(input)
            .map(Sheets::Xls)
            .map_err(calamine::Error::Xls),
        Kind::Ods => Reader::new(input)
            .map(Sheets::Ods)
            .map_err(calamine::Error::Ods),
        kind => return Err(Refusal::Kind(kind).into()),
    };
    workbook.map_err(|error| from_calamine(error, kind))
}

fn list<R: Read + Seek>(kind: Kind, workbook: &mut Workbook<R>) -> Result<Vec<Sheet>, Error> {
    let worksheets = worksheets(workbook);
    let mut sheets = Vec::with_capacity(worksheets.len());
    for (name, is_hidden) in worksheets {
        let has_cells = has_cells(kind, workbook, &name)?;
        sheets.push(Sheet {
            name,
            is_hidden,
            has_cells,
        });
    }
    Ok(sheets)
}

/// Returns the names of the sheets that can have cells, unlike charts and macros, and whether they are hidden.
fn worksheets<R: Read + Seek>(workbook: &Workbook<R>) -> Vec<(String, bool)> {
    let worksheets = workbook
        .sheets_metadata()
        .iter()
        .filter(|sheet| sheet.typ == SheetType::WorkSheet)
        .map(|sheet| (sheet.name.clone(), sheet.visible != SheetVisible::Visible));
    Vec::from_iter(worksheets)
}

fn has_cells<R: Read + Seek>(
    kind: Kind,
    workbook: &mut Workbook<R>,
    name: &str,
) -> Result<bool, Error> {
    match workbook {
        Sheets::Xlsx(workbook) => {
            let mut has_cells = false;
            visit(workbook, name, |_, _, _| {
                has_cells = true;
                Ok(Next::Stop)
            })?;
            Ok(has_cells)
        }
        workbook => {
            let range = workbook
                .worksheet_range(name)
                .map_err(|error| from_calamine(error, kind))?;
            Ok(range.used_cells().any(|(_, _, value)| has_value(value)))
        }
    }
}

fn choose<R: Read + Seek>(
    kind: Kind,
    workbook: &mut Workbook<R>,
    asked: Option<&str>,
) -> Result<String, Error> {
    if let Some(asked) = asked {
        let names = || workbook.sheets_metadata().iter().map(|sheet| &sheet.name);
        // Excel treats names as equal regardless of case.
        let lower = asked.trim().to_lowercase();
        let name = names()
            .find(|name| *name == asked)
            .or_else(|| names().find(|name| name.trim().to_lowercase() == lower));
        if let Some(name) = name {
            return Ok(name.clone());
        }
    }
    let mut sheets = list(kind, workbook)?;
    sheets.retain(|sheet| sheet.has_cells);
    let mut visible = sheets.iter().filter(|sheet| !sheet.is_hidden);
    if asked.is_none()
        && let (Some(only), None) = (visible.next(), visible.next())
    {
        return Ok(only.name.clone());
    }
    if asked.is_none() && sheets.is_empty() {
        return Err(Refusal::EmptyWorkbook.into());
    }
    sheets.sort_by_key(|sheet| sheet.is_hidden);
    sheets.truncate(LISTED_SHEETS);
    let asked = asked.map(str::to_owned);
    Err(Refusal::ChooseSheet { asked, sheets }.into())
}

/// The range of rows and columns, from 0, that have values.
#[derive(Debug, Clone, Copy)]
struct Extent {
    first_row: u32,
    last_row: u32,
    first_column: u32,
    last_column: u32,
}

impl Extent {
    fn of(row: u32, column: u32) -> Self {
        Self {
            first_row: row,
            last_row: row,
            first_column: column,
            last_column: column,
        }
    }

    fn with(self, row: u32, column: u32) -> Self {
        Self {
            first_row: self.first_row.min(row),
            last_row: self.last_row.max(row),
            first_column: self.first_column.min(column),
            last_column: self.last_column.max(column),
        }
    }
}

fn write_range<T: DataType + CellType>(
    range: &Range<T>,
    out: &mut Bounded<impl Write>,
) -> Result<Option<Extent>, Error> {
    let (start_row, start_column) = range.start().unwrap_or_default();
    let cells = || {
        range
            .used_cells()
            .filter(|(_, _, value)| has_value(*value))
            .map(|(row, column, value)| {
                // The range has at most 2^32 rows and columns.
                let row = u32::try_from(row).unwrap_or(u32::MAX);
                let column = u32::try_from(column).unwrap_or(u32::MAX);
                let row = start_row.saturating_add(row);
                (row, start_column.saturating_add(column), value)
            })
    };
    let extent = cells().fold(None, |extent: Option<Extent>, (row, column, _)| {
        Some(extent.map_or(Extent::of(row, column), |extent| extent.with(row, column)))
    });
    let Some(extent) = extent else {
        return Ok(None);
    };
    let mut records = Records::new(extent, out);
    let mut text = String::new();
    for (row, column, value) in cells() {
        text.clear();
        cell::write_value(value, &mut text);
        records.field(row, column, &text)?;
    }
    records.finish()?;
    Ok(Some(extent))
}

/// Writes a sheet in two passes over its XML, so that it is never held in memory. The first pass finds the width.
fn write_streamed<R: Read + Seek>(
    workbook: &mut Xlsx<R>,
    name: &str,
    long_numbers: &LongNumbers,
    out: &mut Bounded<impl Write>,
) -> Result<Option<Extent>, Error> {
    let mut extent = None;
    let mut last = None;
    let mut is_ordered = true;
    visit(workbook, name, |row, column, _| {
        is_ordered &= last < Some((row, column));
        last = Some((row, column));
        extent = Some(match extent {
            None => Extent::of(row, column),
            Some(extent) => Extent::with(extent, row, column),
        });
        Ok(Next::Continue)
    })?;
    let Some(extent) = extent else {
        return Ok(None);
    };
    let mut records = Records::new(extent, out);
    let write = |row, column, value: &DataRef<'_>, text: &mut String| match long_numbers
        .get(&(row, column))
    {
        Some(digits) if value.is_float() => text.push_str(digits),
        _ => cell::write_value(value, text),
    };
    if is_ordered {
        let mut text = String::new();
        visit(workbook, name, |row, column, value| {
            text.clear();
            write(row, column, value, &mut text);
            records.field(row, column, &text)?;
            Ok(Next::Continue)
        })?;
    } else {
        // No known program writes such a file. Of two values for a cell the last one wins.
        let mut cells = std::collections::BTreeMap::new();
        visit(workbook, name, |row, column, value| {
            let mut text = String::new();
            write(row, column, value, &mut text);
            cells.insert((row, column), text);
            Ok(Next::Continue)
        })?;
        for ((row, column), text) in cells {
            records.field(row, column, &text)?;
        }
    }
    records.finish()?;
    Ok(Some(extent))
}

enum Next {
    Continue,
    Stop,
}

/// Calls a function with the row, column and value of each cell that has a value, in the order of the file.
fn visit<R: Read + Seek>(
    workbook: &mut Xlsx<R>,
    name: &str,
    mut each: impl FnMut(u32, u32, &DataRef<'_>) -> Result<Next, Error>,
) -> Result<(), Error> {
    let mut cells = match workbook.worksheet_cells_reader(name) {
        Ok(cells) => cells,
        // For example a dialog.
        Err(XlsxError::NotAWorksheet(_)) => return Ok(()),
        Err(error) => return Err(from_calamine(error.into(), Kind::Xlsx)),
    };
    while let Some(cell) = cells
        .next_cell()
        .map_err(|error| from_calamine(error.into(), Kind::Xlsx))?
    {
        let (row, column) = cell.get_position();
        if row >= MAX_ROWS || column >= MAX_COLUMNS {
            return Err(Refusal::Damaged(Kind::Xlsx).into());
        }
        if has_value(cell.get_value())
            && let Next::Stop = each(row, column, cell.get_value())?
        {
            break;
        }
    }
    Ok(())
}

/// Returns whether a cell has a value. Many formulas without a value have an empty text.
fn has_value(value: &impl DataType) -> bool {
    !value.is_empty() && value.get_string() != Some("")
}

/// Writes records of equal length from fields in ascending order of row and column.
struct Records<'a, W> {
    out: &'a mut Bounded<W>,
    buffer: Vec<u8>,
    extent: Extent,
    row: u32,
    column: u32,
}

impl<'a, W: Write> Records<'a, W> {
    fn new(extent: Extent, out: &'a mut Bounded<W>) -> Self {
        Self {
            out,
            buffer: Vec::with_capacity(2 * WRITE_BYTES),
            extent,
            row: extent.first_row,
            column: extent.first_column,
        }
    }

    fn field(&mut self, row: u32, column: u32, text: &str) -> Result<(), Error> {
        while self.row < row {
            self.end_record()?;
        }
        self.skip_to(column);
        if text.contains([',', '"', '\r', '\n']) {
            self.buffer.push(b'"');
            self.buffer
                .extend_from_slice(text.replace('"', "\"\"").as_bytes());
            self.buffer.push(b'"');
        } else {
            self.buffer.extend_from_slice(text.as_bytes());
        }
        self.write_if_full()
    }

    fn skip_to(&mut self, column: u32) {
        for _ in self.column..column {
            self.buffer.push(b',');
        }
        self.column = column;
    }

    fn end_record(&mut self) -> Result<(), Error> {
        self.skip_to(self.extent.last_column);
        self.buffer.push(b'\n');
        self.row += 1;
        self.column = self.extent.first_column;
        self.write_if_full()
    }

    fn write_if_full(&mut self) -> Result<(), Error> {
        if self.buffer.len() >= WRITE_BYTES {
            self.out.put(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), Error> {
        while self.row <= self.extent.last_row {
            self.end_record()?;
        }
        self.out.put(&self.buffer)
    }
}

fn from_calamine(error: calamine::Error, kind: Kind) -> Error {
    use calamine::{Error as E, XlsbError};
    match error {
        E::Xlsx(XlsxError::Password)
        | E::Xlsb(XlsbError::Password)
        | E::Xls(XlsError::Password)
        | E::Ods(OdsError::Password) => Refusal::Encrypted(Kind::EncryptedWorkbook).into(),
        E::Io(error)
        | E::Xlsx(XlsxError::Io(error))
        | E::Xlsb(XlsbError::Io(error))
        | E::Xls(XlsError::Io(error))
        | E::Ods(OdsError::Io(error)) => from_io(error, kind),
        E::Xlsx(XlsxError::Zip(error))
        | E::Xlsb(XlsbError::Zip(error))
        | E::Ods(OdsError::Zip(error)) => from_zip(error, kind),
        _ => Refusal::Damaged(kind).into(),
    }
}

/// One of several readers of the same file, each with its own position.
struct SharedReader<'a, R> {
    input: &'a RefCell<R>,
    position: u64,
}

impl<'a, R> SharedReader<'a, R> {
    fn new(input: &'a RefCell<R>) -> Self {
        Self { input, position: 0 }
    }
}

impl<R: Read + Seek> Read for SharedReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut input = self.input.borrow_mut();
        input.seek(SeekFrom::Start(self.position))?;
        let read = input.read(buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl<R: Read + Seek> Seek for SharedReader<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let mut input = self.input.borrow_mut();
        // Relative to the position of this reader, not of another one.
        input.seek(SeekFrom::Start(self.position))?;
        self.position = input.seek(to)?;
        Ok(self.position)
    }
}
