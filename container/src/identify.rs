//! Identifies files whose first bytes don't suffice: reads the directory of a zip archive or the streams of an OLE2
//! file.

use std::io::{self, Read, Seek, SeekFrom};

use zip::{ZipArchive, result::ZipError};

use crate::{Kind, SNIFF_BYTES, sniff};

/// The number of bytes of an OLE2 directory that are searched for stream names: 512 entries.
const OLE_DIRECTORY_BYTES: u64 = 64 << 10;

/// The number of bytes of an OpenDocument manifest that are searched for its media type, which is near the beginning.
const MANIFEST_BYTES: u64 = 64 << 10;

const OPENDOCUMENT: &[u8] = b"application/vnd.oasis.opendocument.";

/// Returns the kind of a file, and seeks back to its beginning.
pub fn identify(mut input: impl Read + Seek) -> io::Result<Kind> {
    input.rewind()?;
    let mut first_bytes = Vec::with_capacity(SNIFF_BYTES);
    input
        .by_ref()
        .take(SNIFF_BYTES as u64)
        .read_to_end(&mut first_bytes)?;
    let kind = match sniff(&first_bytes) {
        Kind::Zip => sniff_zip(&mut input)?,
        Kind::Xls => sniff_ole(&mut input, &first_bytes)?,
        kind => kind,
    };
    input.rewind()?;
    Ok(kind)
}

/// Returns the kind of a zip archive: a workbook, another document, or [`Kind::Zip`]. If its directory can't be read,
/// its first entry decides, so that messages name the damaged file correctly.
pub fn sniff_zip(mut input: impl Read + Seek) -> io::Result<Kind> {
    let mut archive = match ZipArchive::new(&mut input) {
        Ok(archive) => archive,
        Err(ZipError::Io(error)) if error.raw_os_error().is_some() => return Err(error),
        Err(_) => return by_first_entry(input),
    };
    let mut has_workbook_parts = false;
    let mut kind = None;
    for name in archive.file_names_raw() {
        let name = name.to_ascii_lowercase();
        let name = name.strip_prefix(b"/").unwrap_or(&name);
        match name {
            b"xl/workbook.xml" | b"xl\\workbook.xml" => kind = Some(Kind::Xlsx),
            b"xl/workbook.bin" | b"xl\\workbook.bin" => kind = Some(Kind::Xlsb),
            b"word/document.xml" => kind = Some(Kind::WordDocument),
            b"ppt/presentation.xml" => kind = Some(Kind::Presentation),
            b"index/document.iwa" | b"index.zip" => kind = Some(Kind::Numbers),
            _ if name.starts_with(b"xl/") => has_workbook_parts = true,
            _ => continue,
        }
        if kind.is_some() {
            break;
        }
    }
    let mut beginning = |name: &str, bytes: u64| {
        let mut beginning = Vec::new();
        if let Ok(entry) = archive.by_name(name) {
            // An entry that can't be unpacked contains no media type.
            let _ = entry.take(bytes).read_to_end(&mut beginning);
        }
        beginning
    };
    let media_type = beginning("mimetype", 100);
    // Some programs and people that pack a document anew omit its first entry.
    let manifest = beginning("META-INF/manifest.xml", MANIFEST_BYTES);
    let in_manifest = manifest
        .windows(OPENDOCUMENT.len())
        .position(|bytes| bytes == OPENDOCUMENT);
    let document =
        opendocument(&media_type).or(in_manifest.and_then(|at| opendocument(&manifest[at..])));
    let is_package = archive.index_for_name("[Content_Types].xml").is_some();
    Ok(match (kind, document) {
        (Some(kind), _) | (None, Some(kind)) => kind,
        (None, None) if has_workbook_parts && is_package => Kind::Xlsx,
        (None, None) => Kind::Zip,
    })
}

fn opendocument(media_type: &[u8]) -> Option<Kind> {
    let kind = media_type.strip_prefix(OPENDOCUMENT)?;
    Some(if kind.starts_with(b"spreadsheet") {
        Kind::Ods
    } else if kind.starts_with(b"presentation") {
        Kind::Presentation
    } else {
        Kind::WordDocument
    })
}

fn by_first_entry(mut input: impl Read + Seek) -> io::Result<Kind> {
    const NAME_AT: usize = 30;
    input.rewind()?;
    let mut bytes = Vec::new();
    input.take(200).read_to_end(&mut bytes)?;
    let name = bytes.get(NAME_AT..).unwrap_or_default();
    let is_workbook = [&b"[Content_Types].xml"[..], b"_rels/", b"docProps/", b"xl/"]
        .iter()
        .any(|start| name.starts_with(start));
    let media_type = name.strip_prefix(b"mimetype").unwrap_or_default();
    Ok(match opendocument(media_type) {
        Some(kind) => kind,
        None if is_workbook => Kind::Xlsx,
        None => Kind::Zip,
    })
}

/// Returns the kind of an OLE2 file by the names of its streams ([MS-CFB] 2.6.1), which are UTF-16.
fn sniff_ole(mut input: impl Read + Seek, first_bytes: &[u8]) -> io::Result<Kind> {
    let field = |at: usize| {
        Some(u16::from_le_bytes([
            *first_bytes.get(at)?,
            *first_bytes.get(at + 1)?,
        ]))
    };
    let sector_bytes = match field(30) {
        Some(shift @ 7..=16) if first_bytes.starts_with(b"\xD0\xCF\x11\xE0") => 1_u64 << shift,
        _ => return Ok(Kind::Xls),
    };
    let (Some(low), Some(high)) = (field(48), field(50)) else {
        return Ok(Kind::Xls);
    };
    let sector = u64::from(low) | u64::from(high) << 16;
    input.seek(SeekFrom::Start((sector + 1) * sector_bytes))?;
    let mut directory = Vec::new();
    input
        .take(OLE_DIRECTORY_BYTES)
        .read_to_end(&mut directory)?;
    let has_stream = |name: &str| {
        let name = Vec::from_iter(name.encode_utf16().flat_map(u16::to_le_bytes));
        directory
            .as_chunks::<128>()
            .0
            .iter()
            .any(|entry| entry.starts_with(&name))
    };
    Ok(if has_stream("EncryptedPackage") {
        Kind::EncryptedWorkbook
    } else if has_stream("Workbook") || has_stream("Book") {
        Kind::Xls
    } else if has_stream("WordDocument") {
        Kind::WordDocument
    } else if has_stream("PowerPoint Document") {
        Kind::Presentation
    } else if has_stream("__properties_version1.0") || has_stream("__substg1.0_") {
        // [MS-OXMSG] 2.2
        Kind::OutlookMessage
    } else {
        Kind::Xls
    })
}
