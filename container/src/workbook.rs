//! Converts the sheets of workbooks to CSV.

use std::{
    cell::RefCell,
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
};

use calamine::{
    Cell, CellType, DataRef, DataType, OdsError, Range, Reader, SheetType, SheetVisible, Sheets,
    XlsError, Xlsx, XlsxCellReader, XlsxError,
};

use crate::{
    Error, Kind, Limits, Refusal, Sheet, cell,
    raw_cells::{self, RawCells},
    refusal::LISTED_SHEETS,
    unpack::{Bounded, from_io, from_zip},
};

/// The limits of Excel and LibreOffice. A file with a cell beyond them is damaged.
const MAX_ROWS: u32 = 1_048_576;
const MAX_COLUMNS: u32 = 16_384;

/// The number of columns up to which records are filled up to the same length. No table has more (`validator`), and a
/// single cell far to the right doesn't lengthen all records.
const MAX_FILLED_COLUMNS: usize = 1_000;

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
/// There is one line for each row from the first to the last one with a value. Rows without values are empty. The
/// others have a field for each column from the first to the last one with a value, but no empty fields beyond 1,000.
/// Text is written unchanged; a number with at most 15 significant digits, or all digits of a whole one; a date as
/// `YYYY-MM-DD`, with `THH:MM:SS` unless that is midnight; a time as `HH:MM:SS`; a boolean as `TRUE` or `FALSE`; an
/// error as Excel shows it; and a formula as its value when the file was saved.
///
/// `file_bytes` is the size of the file as uploaded: the workbook, or the archive that contains it.
///
/// # Errors
///
/// Returns a [`Refusal`] if the file is a damaged or encrypted workbook or isn't a workbook, if it is unclear which
/// sheet to write, or if the CSV exceeds a limit.
pub fn convert_sheet(
    kind: Kind,
    input: impl Read + Seek,
    file_bytes: u64,
    sheet: Option<&str>,
    limits: Limits,
    out: impl Write,
) -> Result<ConvertedSheet, Error> {
    let input = RefCell::new(input);
    let mut workbook = open(kind, SharedReader::new(&input))?;
    let name = choose(kind, &mut workbook, sheet)?;
    let max_ratio = limits.max_ratio;
    let mut out = Bounded::within(limits, file_bytes, Refusal::SheetRatio { max_ratio }, out);
    let extent = match &mut workbook {
        Sheets::Xlsx(workbook) => {
            let raw = raw_cells::read(BufReader::new(SharedReader::new(&input)), &name);
            write_streamed(workbook, &name, &raw, &mut out)?
        }
        workbook => {
            let range = workbook
                .worksheet_range(&name)
                .map_err(|error| from_calamine(error, kind))?;
            write_range(&range, kind, &mut out)?
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
            let Some(mut cells) = cells(workbook, name)? else {
                return Ok(false);
            };
            loop {
                match cells.next_cell() {
                    Ok(Some(cell)) if has_value(cell.get_value()) => return Ok(true),
                    Ok(Some(_)) => {}
                    Ok(None) => return Ok(false),
                    Err(XlsxError::CellError(_)) => return Ok(true),
                    Err(error) => return Err(from_calamine(error.into(), kind)),
                }
            }
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

/// The rows and columns, from 0, that have values.
struct Extent {
    first_row: u32,
    /// Whether each column has a value.
    columns: Vec<bool>,
}

impl Extent {
    /// Adds a cell.
    fn add(extent: &mut Option<Self>, row: u32, column: u32) {
        let extent = extent.get_or_insert_with(|| Self {
            first_row: row,
            columns: vec![false; MAX_COLUMNS as usize],
        });
        extent.first_row = extent.first_row.min(row);
        if let Some(is_used) = extent.columns.get_mut(column as usize) {
            *is_used = true;
        }
    }

    fn first_column(&self) -> u32 {
        let first = self.columns.iter().position(|is_used| *is_used);
        first.unwrap_or(0) as u32
    }

    /// Returns the last column up to which records are filled up with empty fields.
    fn last_filled_column(&self) -> u32 {
        let first = self.first_column() as usize;
        let mut filled = self.columns.iter().take(first + MAX_FILLED_COLUMNS);
        filled.rposition(|is_used| *is_used).unwrap_or(first) as u32
    }
}

fn write_range<T: DataType + CellType>(
    range: &Range<T>,
    kind: Kind,
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
    let mut extent = None;
    for (row, column, _) in cells() {
        check_position(row, column, kind)?;
        Extent::add(&mut extent, row, column);
    }
    let Some(extent) = extent else {
        return Ok(None);
    };
    let mut records = Records::new(&extent, out);
    let mut text = String::new();
    for (row, column, value) in cells() {
        text.clear();
        cell::write_value(value, &mut text);
        records.field(row, column, &text)?;
    }
    records.finish()?;
    Ok(Some(extent))
}

fn check_position(row: u32, column: u32, kind: Kind) -> Result<(), Error> {
    match row < MAX_ROWS && column < MAX_COLUMNS {
        true => Ok(()),
        false => Err(Refusal::Damaged(kind).into()),
    }
}

/// Writes a sheet in two passes over its XML, so that it is never held in memory. The first pass finds the extent.
fn write_streamed<R: Read + Seek>(
    workbook: &mut Xlsx<R>,
    name: &str,
    raw: &RawCells,
    out: &mut Bounded<impl Write>,
) -> Result<Option<Extent>, Error> {
    let mut extent = None;
    let mut last = None;
    let mut is_ordered = true;
    visit(workbook, name, raw, |row, column, _| {
        is_ordered &= last < Some((row, column));
        last = Some((row, column));
        Extent::add(&mut extent, row, column);
        Ok(())
    })?;
    let Some(extent) = extent else {
        return Ok(None);
    };
    let mut records = Records::new(&extent, out);
    let write = |row, column, value: &DataRef<'_>, text: &mut String| match raw
        .long_numbers
        .get(&(row, column))
    {
        Some(digits) if value.is_float() => text.push_str(digits),
        _ => cell::write_value(value, text),
    };
    if is_ordered {
        let mut text = String::new();
        visit(workbook, name, raw, |row, column, value| {
            text.clear();
            write(row, column, value, &mut text);
            records.field(row, column, &text)
        })?;
    } else {
        // No known program writes such a file. Of two values for a cell the last one wins.
        let mut cells = std::collections::BTreeMap::new();
        visit(workbook, name, raw, |row, column, value| {
            let mut text = String::new();
            write(row, column, value, &mut text);
            cells.insert((row, column), text);
            Ok(())
        })?;
        for ((row, column), text) in cells {
            records.field(row, column, &text)?;
        }
    }
    records.finish()?;
    Ok(Some(extent))
}

/// Returns a reader of the cells of a sheet, or `None` if it has none, as a dialog.
fn cells<'a, R: Read + Seek>(
    workbook: &'a mut Xlsx<R>,
    name: &str,
) -> Result<Option<XlsxCellReader<'a, R>>, Error> {
    match workbook.worksheet_cells_reader(name) {
        Ok(cells) => Ok(Some(cells)),
        Err(XlsxError::NotAWorksheet(_)) => Ok(None),
        Err(error) => Err(from_calamine(error.into(), Kind::Xlsx)),
    }
}

/// Calls a function with the row, column and value of each cell that has a value, in the order of the file.
fn visit<R: Read + Seek>(
    workbook: &mut Xlsx<R>,
    name: &str,
    raw: &RawCells,
    mut each: impl FnMut(u32, u32, &DataRef<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let Some(mut cells) = cells(workbook, name)? else {
        return Ok(());
    };
    let mut errors = raw.errors.iter();
    loop {
        let cell = match cells.next_cell() {
            Ok(Some(cell)) => cell,
            Ok(None) => return Ok(()),
            // The reader continues after the cell, whose position it doesn't tell.
            Err(XlsxError::CellError(text)) => {
                match errors.next().filter(|error| *error.text == *text) {
                    Some(error) => Cell::new(error.position, DataRef::String(text)),
                    None => return Err(Refusal::Damaged(Kind::Xlsx).into()),
                }
            }
            Err(error) => return Err(from_calamine(error.into(), Kind::Xlsx)),
        };
        let (row, column) = cell.get_position();
        check_position(row, column, Kind::Xlsx)?;
        if has_value(cell.get_value()) {
            each(row, column, cell.get_value())?;
        }
    }
}

/// Returns whether a cell has a value. Many formulas without a value have an empty text.
fn has_value(value: &impl DataType) -> bool {
    !value.is_empty() && value.get_string() != Some("")
}

/// Writes records from fields in ascending order of row and column.
struct Records<'a, W> {
    out: &'a mut Bounded<W>,
    buffer: Vec<u8>,
    first_column: u32,
    last_filled_column: u32,
    row: u32,
    column: u32,
    /// Whether the row has no field yet.
    is_empty: bool,
}

impl<'a, W: Write> Records<'a, W> {
    fn new(extent: &Extent, out: &'a mut Bounded<W>) -> Self {
        Self {
            out,
            buffer: Vec::with_capacity(2 * WRITE_BYTES),
            first_column: extent.first_column(),
            last_filled_column: extent.last_filled_column(),
            row: extent.first_row,
            column: extent.first_column(),
            is_empty: true,
        }
    }

    fn field(&mut self, row: u32, column: u32, text: &str) -> Result<(), Error> {
        while self.row < row {
            self.end_record()?;
        }
        self.skip_to(column);
        self.is_empty = false;
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
        self.column = self.column.max(column);
    }

    fn end_record(&mut self) -> Result<(), Error> {
        if !self.is_empty {
            self.skip_to(self.last_filled_column);
        }
        self.buffer.push(b'\n');
        self.row += 1;
        self.column = self.first_column;
        self.is_empty = true;
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
        self.end_record()?;
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
