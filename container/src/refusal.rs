//! Reasons for refusing a file: a sentence for the user who uploaded it, and a code for programs.

use std::{fmt, io};

use serde::{Deserialize, Serialize};

use crate::Kind;

/// The maximum number of sheets that a refusal lists. A sentence names at most [`NAMED_SHEETS`].
#[cfg(feature = "convert")]
pub(crate) const LISTED_SHEETS: usize = 100;
const NAMED_SHEETS: usize = 10;

/// The maximum number of characters of a sheet's name that a sentence shows. Excel allows 31.
const SHOWN_NAME_CHARS: usize = 60;

/// The reason why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is the cause, so retrying can't help.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Reading the input or writing the output failed. The cause is the disk, not the file.
    #[error("reading or writing failed: {0}")]
    Io(io::Error),
}

/// A worksheet of a workbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sheet {
    pub name: String,
    pub is_hidden: bool,
    /// Whether any cell has a value other than an empty text.
    pub has_cells: bool,
}

/// The reason why a file is refused. [`fmt::Display`] writes a sentence that says what the file is and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// A kind of file that isn't a table.
    Kind(Kind),
    /// An archive inside an archive, with the kind of the inner one.
    Nested(Kind),
    /// An archive with several files, with the names of the first two.
    SeveralFiles([String; 2]),
    /// An archive without any file.
    NoFile,
    /// The file requires a password.
    Encrypted(Kind),
    /// The file in the zip archive is compressed by an unsupported method.
    Compression,
    /// The file is truncated, damaged, or not what it appears to be.
    Damaged(Kind),
    /// The text is larger than the limit.
    TooLargeUnpacked { max_bytes: u64 },
    /// An archive unpacks to more than `max_ratio` times its size.
    Ratio { max_ratio: u64 },
    /// A sheet becomes more than `max_ratio` times the size of the file as text.
    SheetRatio { max_ratio: u64 },
    /// The sheet must be named: several sheets have cells, only hidden ones do, or none is named `asked`. Lists up to a
    /// hundred sheets with cells, visible ones first.
    ChooseSheet {
        asked: Option<String>,
        sheets: Vec<Sheet>,
    },
    /// The requested sheet has no cells.
    EmptySheet(String),
    /// No sheet has cells.
    EmptyWorkbook,
    /// Reading the file needs more memory than a process may use.
    Memory,
    /// Reading the file takes longer than a process may run.
    Time,
}

impl Refusal {
    /// Returns a stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Kind(kind) => match kind {
                Kind::Text => "file.text",
                Kind::Gzip | Kind::Zip | Kind::Archive(_) => "file.archive",
                Kind::Xlsx | Kind::Xlsb | Kind::Xls | Kind::Ods => "file.workbook",
                Kind::EncryptedWorkbook | Kind::Encrypted => "file.encrypted",
                Kind::Pdf => "file.pdf",
                Kind::Html => "file.html",
                Kind::Xml => "file.xml",
                Kind::XmlSpreadsheet => "file.xml_spreadsheet",
                Kind::Json => "file.json",
                Kind::Rtf | Kind::WordDocument | Kind::Presentation | Kind::OutlookMessage => {
                    "file.document"
                }
                Kind::Numbers => "file.numbers",
                Kind::Image(_) => "file.image",
                Kind::Parquet | Kind::Orc | Kind::Avro | Kind::Sqlite => "file.database",
                Kind::Executable => "file.program",
                Kind::Ofx | Kind::Qif | Kind::Mt940 | Kind::Coda | Kind::Bai2 | Kind::Nacha => {
                    "file.statement"
                }
                Kind::Binary => "file.binary",
            },
            Self::Nested(_) => "file.nested_archive",
            Self::SeveralFiles(_) => "file.several_files",
            Self::NoFile => "file.empty_archive",
            Self::Encrypted(_) => "file.encrypted",
            Self::Compression => "file.compression",
            Self::Damaged(_) => "file.damaged",
            Self::TooLargeUnpacked { .. } => "file.too_large_unpacked",
            Self::Ratio { .. } | Self::SheetRatio { .. } => "file.ratio",
            Self::ChooseSheet { .. } | Self::EmptySheet(_) => "format.sheet",
            Self::EmptyWorkbook => "file.empty_workbook",
            Self::Memory => "file.memory",
            Self::Time => "file.time",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => kind_sentence(*kind, f),
            Self::Nested(kind) => write!(
                f,
                "This archive contains another one, {}. Unpack it, and upload the CSV file or Excel workbook in it.",
                kind.name()
            ),
            Self::SeveralFiles([first, second]) => write!(
                f,
                "This zip archive contains several files, such as {} and {}. Unpack it, and upload each file on its own.",
                Quoted(first),
                Quoted(second)
            ),
            Self::NoFile => f.write_str(
                "This zip archive contains no file. Upload the CSV file or Excel workbook itself.",
            ),
            Self::Encrypted(kind) => write!(
                f,
                "This is {} that requires a password. {}",
                match kind {
                    Kind::EncryptedWorkbook => "a workbook",
                    kind => kind.name(),
                },
                match kind {
                    Kind::Zip => "Unpack it, and upload the file in it.",
                    _ => "Remove the password in Excel, save the workbook, and upload that file.",
                }
            ),
            Self::Compression => f.write_str(
                "This zip archive is compressed in a way that can't be read here. Unpack it, and upload the file in it.",
            ),
            Self::Damaged(kind) => damaged_sentence(*kind, f),
            Self::TooLargeUnpacked { max_bytes } => write!(
                f,
                "The table in this file is larger than {} as text. Split it, and upload the parts one by one.",
                Size(*max_bytes)
            ),
            Self::Ratio { max_ratio } => write!(
                f,
                "This archive grows more than {max_ratio} times when it is unpacked, as no table of transactions does. \
                 Unpack it, and upload the file in it."
            ),
            Self::SheetRatio { max_ratio } => write!(
                f,
                "This sheet is more than {max_ratio} times as large as the file when it is written as text, probably \
                 because there are values far from the table. Delete all rows and columns beyond the table, save the \
                 workbook, and upload it again."
            ),
            Self::ChooseSheet { asked, sheets } => choose_sentence(asked.as_deref(), sheets, f),
            Self::EmptySheet(name) => write!(
                f,
                "The sheet {} of this workbook is empty. Choose another sheet.",
                Quoted(name)
            ),
            Self::EmptyWorkbook => f.write_str(
                "This workbook has no cells with values. Upload the workbook that contains the transactions.",
            ),
            Self::Memory => f.write_str(
                "This workbook needs more memory than is set aside for one file. Save it as CSV and upload that file, \
                 or split it.",
            ),
            Self::Time => f.write_str(
                "Reading this workbook takes longer than is set aside for one file. Save it as CSV and upload that \
                 file, or split it.",
            ),
        }
    }
}

fn kind_sentence(kind: Kind, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let what_to_do = match kind {
        Kind::Text | Kind::Xlsx | Kind::Xlsb | Kind::Xls | Kind::Ods => {
            return write!(
                f,
                "This is {}. Save it as CSV and upload that file.",
                kind.name()
            );
        }
        Kind::Gzip | Kind::Zip | Kind::Archive(_) => {
            return write!(
                f,
                "This is {}. Unpack it, and upload the CSV file or Excel workbook in it.",
                kind.name()
            );
        }
        Kind::EncryptedWorkbook => return write!(f, "{}", Refusal::Encrypted(kind)),
        Kind::Encrypted => {
            return write!(
                f,
                "This is {}. Decrypt it, and upload the CSV file or Excel workbook in it.",
                kind.name()
            );
        }
        Kind::OutlookMessage => {
            return write!(
                f,
                "This is {}, not a table. Save the file that is attached to it, and upload that file.",
                kind.name()
            );
        }
        Kind::XmlSpreadsheet => {
            return write!(
                f,
                "This is {}, whatever its name says. Open it in Excel, save it as .xlsx or CSV, and upload that file.",
                kind.name()
            );
        }
        Kind::Numbers => {
            return write!(
                f,
                "This is {}. Export it as CSV or as an Excel workbook and upload that file.",
                kind.name()
            );
        }
        Kind::Html => {
            return write!(
                f,
                "This is {}, whatever its name says. If it shows a table, open it in Excel, save it as .xlsx or CSV, \
                 and upload that file; otherwise download the transactions again.",
                kind.name()
            );
        }
        Kind::Xml => {
            return write!(
                f,
                "This is {}, such as a bank statement in camt.053 format, not a table. Export the transactions as CSV \
                 or as an Excel workbook and upload that file.",
                kind.name()
            );
        }
        Kind::Pdf
        | Kind::Json
        | Kind::Rtf
        | Kind::WordDocument
        | Kind::Presentation
        | Kind::Image(_)
        | Kind::Parquet
        | Kind::Orc
        | Kind::Avro
        | Kind::Sqlite
        | Kind::Ofx
        | Kind::Qif
        | Kind::Mt940
        | Kind::Coda
        | Kind::Bai2
        | Kind::Nacha => {
            "Export the transactions as CSV or as an Excel workbook and upload that file."
        }
        Kind::Executable | Kind::Binary => {
            "Upload a CSV file or an Excel workbook with the transactions."
        }
    };
    write!(f, "This is {}, not a table. {what_to_do}", kind.name())
}

fn damaged_sentence(kind: Kind, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let name = kind.name();
    match kind {
        Kind::Gzip | Kind::Zip => write!(
            f,
            "This is {name} that is damaged or was not uploaded completely. Upload it again, or unpack it and upload \
             the file in it."
        ),
        Kind::Xls => write!(
            f,
            "This is {name} that can't be read here. Open it in Excel, save it as .xlsx or CSV, and upload that file."
        ),
        _ => write!(
            f,
            "This is {name} that can't be read: it is damaged or was not uploaded completely. Upload it again, or open \
             it in Excel, save it as .xlsx or CSV, and upload that file."
        ),
    }
}

fn choose_sentence(
    asked: Option<&str>,
    sheets: &[Sheet],
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    match asked {
        Some(asked) => write!(f, "This workbook has no sheet {}. ", Quoted(asked))?,
        None if sheets.iter().all(|sheet| sheet.is_hidden) => {
            f.write_str("The transactions may be on a hidden sheet of this workbook. ")?;
        }
        None => f.write_str("This workbook has several sheets with values. ")?,
    }
    if sheets.is_empty() {
        return f.write_str("None of its sheets has values. Upload another workbook.");
    }
    f.write_str("Choose the sheet with the transactions: ")?;
    for (n, sheet) in sheets.iter().take(NAMED_SHEETS).enumerate() {
        let comma = if n > 0 { ", " } else { "" };
        let hidden = if sheet.is_hidden { " (hidden)" } else { "" };
        write!(f, "{comma}{}{hidden}", Quoted(&sheet.name))?;
    }
    match sheets.len().saturating_sub(NAMED_SHEETS) {
        0 => f.write_str("."),
        more => write!(f, ", and {more} more."),
    }
}

/// A name in quotation marks, shortened to fit into a sentence.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars().map(visible);
        let shown = String::from_iter(chars.by_ref().take(SHOWN_NAME_CHARS));
        let cut = if chars.next().is_some() { "…" } else { "" };
        write!(f, "\"{shown}{cut}\"")
    }
}

/// Returns a name of a sheet as it can be shown: characters that can't be seen, or that change the direction of the text
/// around them, become U+FFFD. Joiners stay, which Persian, Indian scripts and emoji need.
pub fn shown_name(name: &str) -> String {
    name.chars().map(visible).collect()
}

fn visible(character: char) -> char {
    let is_hidden = matches!(
        character,
        '\u{AD}'
            | '\u{61C}'
            | '\u{180E}'
            | '\u{200B}'
            | '\u{200E}'
            | '\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E007F}'
    );
    match is_hidden || character.is_control() {
        true => char::REPLACEMENT_CHARACTER,
        false => character,
    }
}

/// A number of bytes in the largest decimal unit that it fills, with at most one digit after the point.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = match self.0 {
            0..1_000 => return write!(f, "{} bytes", self.0),
            1_000..1_000_000 => (1_000, "kB"),
            1_000_000..1_000_000_000 => (1_000_000, "MB"),
            _ => (1_000_000_000, "GB"),
        };
        match (self.0 / unit, self.0 % unit * 10 / unit) {
            (whole, 0) => write!(f, "{whole} {name}"),
            (whole, tenth) => write!(f, "{whole}.{tenth} {name}"),
        }
    }
}
