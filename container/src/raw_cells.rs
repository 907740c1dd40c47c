//! Reads the cells of an .xlsx sheet that calamine can't hold, in a separate pass over its XML.
//!
//! - Numbers with more digits than a float. Excel itself stores floats. Other programs, such as excelize, write integers
//!   with all their digits, and two transaction ids of 17 digits may become equal.
//! - Errors other than the seven of Excel 97, such as `#SPILL!` or LibreOffice's `Err:502`. calamine reports them
//!   without their position.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Seek},
};

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};
use zip::ZipArchive;

use crate::cell;

/// The number of significant digits that every float preserves, and the number that distinguishes any two floats.
const KEPT_DIGITS: usize = 15;
const FLOAT_DIGITS: usize = 17;

/// The errors that calamine knows.
const KNOWN_ERRORS: [&str; 7] = [
    "#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!",
];

/// Cells as written in the file. Rows and columns count from 0.
#[derive(Default)]
pub(crate) struct RawCells {
    pub long_numbers: HashMap<(u32, u32), Box<str>>,
    /// The unknown errors in the order of the file. Cells that don't state their position are missing: calamine would
    /// place the cells after them one column too far to the left.
    pub errors: Vec<RawError>,
}

pub(crate) struct RawError {
    pub position: (u32, u32),
    pub text: Box<str>,
}

/// Reads the raw cells of a sheet. If the workbook can't be read, returns those found so far, because the reader of the
/// values reports the error.
pub(crate) fn read(input: impl Read + Seek, sheet: &str) -> RawCells {
    let mut cells = RawCells::default();
    if let Ok(mut archive) = ZipArchive::new(input)
        && let Some(path) = sheet_path(&mut archive, sheet)
        && let Ok(part) = archive.by_name(&path)
    {
        scan(BufReader::new(part), &mut cells);
    }
    cells
}

/// Returns the path of a sheet's part, found through the package and the workbook (ECMA-376, part 2, 9).
fn sheet_path<R: Read + Seek>(archive: &mut ZipArchive<R>, sheet: &str) -> Option<String> {
    let workbook = find(archive, "_rels/.rels", "Relationship", |element| {
        attribute(element, "Type")?
            .ends_with("/officeDocument")
            .then(|| attribute(element, "Target"))?
    })?;
    let workbook = workbook.trim_start_matches('/').to_owned();
    let (folder, name) = workbook.rsplit_once('/').unwrap_or(("", &workbook));
    let id = find(archive, &workbook, "sheet", |element| {
        (attribute(element, "name")? == sheet).then(|| attribute(element, "id"))?
    })?;
    let relationships = join(folder, &format!("_rels/{name}.rels"));
    let target = find(archive, &relationships, "Relationship", |element| {
        (attribute(element, "Id")? == id).then(|| attribute(element, "Target"))?
    })?;
    Some(match target.strip_prefix('/') {
        Some(absolute) => absolute.to_owned(),
        None => join(folder, &target),
    })
}

fn join(folder: &str, path: &str) -> String {
    match folder {
        "" => path.to_owned(),
        folder => format!("{folder}/{path}"),
    }
}

/// Returns the first value that `value` returns for an element of a part.
fn find<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    path: &str,
    element: &str,
    value: impl Fn(&BytesStart<'_>) -> Option<String>,
) -> Option<String> {
    let mut reader = reader(BufReader::new(archive.by_name(path).ok()?));
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).ok()? {
            Event::Start(start) if start.local_name().as_ref() == element => {
                if let Some(value) = value(&start) {
                    return Some(value);
                }
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

fn reader<R: BufRead>(part: R) -> Reader<R> {
    let mut reader = Reader::from_reader(part);
    // The same settings as calamine, so that both see the same cells.
    let config = reader.config_mut();
    config.check_end_names = false;
    config.expand_empty_elements = true;
    reader
}

/// Returns an attribute by its name, ignoring its prefix.
fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = element
        .attributes()
        .flatten()
        .find(|attribute| attribute.key.local_name().as_ref() == name)?;
    let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok()?;
    Some(value.into_owned())
}

/// The cells whose values are collected.
#[derive(Clone, Copy)]
enum Collected {
    Number,
    /// Whether the cell states its position.
    Error {
        is_placed: bool,
    },
}

/// Collects the raw cells in the XML of a sheet.
fn scan(part: impl BufRead, cells: &mut RawCells) {
    let mut reader = reader(part);
    let mut buffer = Vec::new();
    let (mut row, mut column) = (0_u32, 0_u32);
    let mut cell = None;
    let mut value = None;
    loop {
        buffer.clear();
        let Ok(event) = reader.read_event_into(&mut buffer) else {
            return;
        };
        match event {
            Event::Start(start) => match start.local_name().as_ref() {
                "row" => {
                    let number = attribute(&start, "r").and_then(|r| r.parse::<u32>().ok());
                    row = number.map_or(row, |number| number.saturating_sub(1));
                }
                "c" => {
                    let position = attribute(&start, "r").and_then(|r| position(&r));
                    (row, column) = position.unwrap_or((row, column));
                    let is_placed = position.is_some();
                    cell = match attribute(&start, "t").as_deref() {
                        None | Some("n") => Some(Collected::Number),
                        Some("e") => Some(Collected::Error { is_placed }),
                        Some(_) => None,
                    };
                }
                "v" => value = cell,
                _ => {}
            },
            Event::Text(text) => match value.take() {
                Some(Collected::Number) if is_long(&text) => {
                    cells.long_numbers.insert((row, column), (*text).into());
                }
                Some(Collected::Error { is_placed: true }) if !KNOWN_ERRORS.contains(&&*text) => {
                    let position = (row, column);
                    let text = (*text).into();
                    cells.errors.push(RawError { position, text });
                }
                _ => {}
            },
            Event::End(end) => match end.local_name().as_ref() {
                "row" => (row, column) = (row.saturating_add(1), 0),
                "c" => column = column.saturating_add(1),
                "v" => value = None,
                "sheetData" => return,
                _ => {}
            },
            Event::Eof => return,
            _ => {}
        }
    }
}

/// Returns the row and column, from 0, of a reference such as `B7`.
fn position(reference: &str) -> Option<(u32, u32)> {
    let letters = reference
        .bytes()
        .take_while(u8::is_ascii_alphabetic)
        .count();
    let (letters, row) = reference.split_at(letters);
    let column = letters.bytes().try_fold(0_u32, |column, letter| {
        let letter = letter.to_ascii_uppercase() - b'A';
        column.checked_mul(26)?.checked_add(u32::from(letter) + 1)
    })?;
    Some((
        row.parse::<u32>().ok()?.checked_sub(1)?,
        column.checked_sub(1)?,
    ))
}

/// Returns whether a float loses digits of a number without an exponent. Excel writes floats with up to 17 digits, of
/// which the last ones carry no information, as in `1.1000000000000001`. So a decimal counts as long only from 18
/// digits on.
fn is_long(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if digits.len() <= KEPT_DIGITS || !are_digits(whole) || !are_digits(fraction) {
        return false;
    }
    let significant = digits.trim_start_matches(['0', '.']).len()
        - usize::from(!fraction.is_empty() && !whole.trim_start_matches('0').is_empty());
    if !fraction.is_empty() {
        return significant > FLOAT_DIGITS;
    }
    let Ok(value) = number.parse::<f64>() else {
        return false;
    };
    let mut kept = String::new();
    cell::write_number(value, &mut kept);
    significant > KEPT_DIGITS && kept != number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_more_digits_than_a_float_are_long() {
        for number in [
            "12345678901234567",
            "-9007199254740993",
            "1234567890123456789012",
            "123456789012345678.25",
            "0.123456789012345678",
        ] {
            assert!(is_long(number), "{number}");
        }
        for number in [
            "1234567890123456",
            "9007199254740992",
            "1.1000000000000001",
            "0.30000000000000004",
            "1.2345678901234568E+16",
            "000000000000000000001.5",
            "five hundred thousand",
            "",
        ] {
            assert!(!is_long(number), "{number}");
        }
    }

    #[test]
    fn positions() {
        assert_eq!(position("A1"), Some((0, 0)));
        assert_eq!(position("AB12"), Some((11, 27)));
        assert_eq!(position("XFD1048576"), Some((1_048_575, 16_383)));
        for reference in ["", "A", "7", "A0", "A1B", "ZZZZZZZZZ1"] {
            assert_eq!(position(reference), None, "{reference}");
        }
    }
}
