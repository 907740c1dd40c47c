//! The kinds of files that Batchline recognises.

use serde::{Deserialize, Serialize};

/// The kind of a file, determined by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Text in some encoding, or anything unrecognised. The validator decides.
    Text,
    Gzip,
    /// A zip archive. `identify` finds out whether it is a workbook.
    Zip,
    Xlsx,
    Xlsb,
    /// A workbook in the format of Excel 97 to 2003 or of an older version.
    Xls,
    Ods,
    /// A workbook that requires a password.
    EncryptedWorkbook,
    Archive(Archive),
    Pdf,
    Html,
    Xml,
    /// XML Spreadsheet 2003, which often has the extension `.xls`.
    XmlSpreadsheet,
    Json,
    Rtf,
    /// A document of a word processor, in any format.
    WordDocument,
    Presentation,
    /// A message saved by Outlook.
    OutlookMessage,
    /// An Apple Numbers spreadsheet, or another iWork document.
    Numbers,
    Image(Image),
    Parquet,
    Orc,
    Avro,
    Sqlite,
    Executable,
    /// A file encrypted by OpenPGP, age or OpenSSL.
    Encrypted,
    /// A bank statement in OFX or QFX.
    Ofx,
    /// A bank statement in QIF.
    Qif,
    /// A bank statement in SWIFT MT940, or a similar message.
    Mt940,
    /// A bank statement in the Belgian format CODA.
    Coda,
    /// A bank statement in BAI2.
    Bai2,
    /// A file of ACH payments in the format of NACHA.
    Nacha,
    /// Bytes that can't be text in any encoding.
    Binary,
}

/// An archive that is not unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Archive {
    Rar,
    SevenZip,
    Xz,
    Bzip2,
    Zstd,
    Tar,
    Lz4,
    Cab,
    Compress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Image {
    Png,
    Jpeg,
    Gif,
    Tiff,
    WebP,
    Heic,
    Bmp,
}

impl Kind {
    /// Returns whether `convert_sheet` can read it.
    pub fn is_workbook(self) -> bool {
        matches!(self, Self::Xlsx | Self::Xlsb | Self::Xls | Self::Ods)
    }

    /// Returns whether `unpack` can unpack it.
    pub fn is_packed(self) -> bool {
        matches!(self, Self::Gzip | Self::Zip)
    }

    /// Returns the name of the kind with its article, for use in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "a text file",
            Self::Gzip => "a gzip file",
            Self::Zip => "a zip archive",
            Self::Xlsx => "an Excel workbook (.xlsx)",
            Self::Xlsb => "a binary Excel workbook (.xlsb)",
            Self::Xls => "an old Excel workbook (.xls)",
            Self::Ods => "an OpenDocument spreadsheet (.ods)",
            Self::EncryptedWorkbook => "an Excel workbook with a password",
            Self::Archive(archive) => archive.name(),
            Self::Pdf => "a PDF document",
            Self::Html => "a web page (HTML)",
            Self::Xml => "an XML document",
            Self::XmlSpreadsheet => "an XML spreadsheet of Excel 2003",
            Self::Json => "a JSON document",
            Self::Rtf => "a rich text document (RTF)",
            Self::WordDocument => "a text document of a word processor",
            Self::Presentation => "a presentation",
            Self::OutlookMessage => "an Outlook message (.msg)",
            Self::Numbers => "an Apple Numbers document",
            Self::Image(image) => image.name(),
            Self::Parquet => "a Parquet file",
            Self::Orc => "an ORC file",
            Self::Avro => "an Avro file",
            Self::Sqlite => "an SQLite database",
            Self::Executable => "a program",
            Self::Encrypted => "an encrypted file",
            Self::Ofx => "a bank statement in OFX format",
            Self::Qif => "a bank statement in QIF format",
            Self::Mt940 => "a bank statement in MT940 format",
            Self::Coda => "a bank statement in CODA format",
            Self::Bai2 => "a bank statement in BAI2 format",
            Self::Nacha => "a file of payments in NACHA format",
            Self::Binary => "a binary file of an unknown kind",
        }
    }
}

impl Archive {
    fn name(self) -> &'static str {
        match self {
            Self::Rar => "a RAR archive",
            Self::SevenZip => "a 7z archive",
            Self::Xz => "an xz file",
            Self::Bzip2 => "a bzip2 file",
            Self::Zstd => "a Zstandard file",
            Self::Tar => "a tar archive",
            Self::Lz4 => "an LZ4 file",
            Self::Cab => "a cabinet archive",
            Self::Compress => "a compressed file (.Z)",
        }
    }
}

impl Image {
    fn name(self) -> &'static str {
        match self {
            Self::Png => "an image (PNG)",
            Self::Jpeg => "an image (JPEG)",
            Self::Gif => "an image (GIF)",
            Self::Tiff => "an image (TIFF)",
            Self::WebP => "an image (WebP)",
            Self::Heic => "a photo (HEIC)",
            Self::Bmp => "an image (BMP)",
        }
    }
}
