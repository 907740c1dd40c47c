//! Unpacks gzip and zip, bounded by what is actually written. Sizes in headers are never trusted.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};

use flate2::bufread::GzDecoder;
use serde::{Deserialize, Serialize};
use zip::{ZipArchive, result::ZipError};

use crate::{Error, Kind, Refusal, SNIFF_BYTES, sniff};

const BUFFER_BYTES: usize = 64 << 10;

/// A file of any size may become this many bytes of text, because the ratio is meaningless for a few short records.
const RATIO_FLOOR_BYTES: u64 = 1 << 20;

/// The number of characters of a name in an archive that a refusal keeps.
const SHOWN_NAME_CHARS: usize = 100;

/// Limits on how much a file may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The maximum number of bytes written by each of unpacking and converting.
    pub max_unpacked_bytes: u64,
    /// The maximum ratio of the size of an archive's file, or of a workbook's text, to the size of the uploaded file.
    /// Applies above 1 MiB.
    pub max_ratio: u64,
}

/// The content of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unpacked {
    pub bytes: u64,
    /// Determined by the first 8 KiB, so a workbook may still appear as a zip archive.
    pub kind: Kind,
}

/// Unpacks the only file in a gzip file or a zip archive, and refuses early what can't be a table.
///
/// # Errors
///
/// Returns a [`Refusal`] if the archive is damaged, encrypted, too large or of another kind, if it doesn't contain
/// exactly one file, or if that file is an archive or not a table. A zip archive inside passes, because it may be a
/// workbook.
pub fn unpack(
    kind: Kind,
    mut input: impl Read + Seek,
    limits: Limits,
    out: impl Write,
) -> Result<Unpacked, Error> {
    let packed_bytes = input.seek(SeekFrom::End(0)).map_err(Error::Io)?;
    input.rewind().map_err(Error::Io)?;
    let max_ratio = limits.max_ratio;
    let mut out = Bounded::within(limits, packed_bytes, Refusal::Ratio { max_ratio }, out);
    match kind {
        Kind::Gzip => unpack_gzip(BufReader::with_capacity(BUFFER_BYTES, input), &mut out),
        Kind::Zip => unpack_zip(BufReader::with_capacity(BUFFER_BYTES, input), &mut out),
        kind => Err(Refusal::Kind(kind).into()),
    }
}

fn unpack_gzip(input: impl BufRead, out: &mut Bounded<impl Write>) -> Result<Unpacked, Error> {
    let members = Members {
        decoder: Some(GzDecoder::new(input)),
    };
    copy(members, Kind::Gzip, out)
}

/// Reads the members of a gzip file one after the other (RFC 1952, 2.2). Zeros may follow the last one, as on tapes.
/// Anything else is an error, because it may be a damaged member.
struct Members<R> {
    decoder: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(decoder) = &mut self.decoder {
            let read = decoder.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            self.decoder = match self.decoder.take().map(GzDecoder::into_inner) {
                Some(rest) => next_member(rest)?,
                None => None,
            };
        }
        Ok(0)
    }
}

fn next_member<R: BufRead>(mut rest: R) -> io::Result<Option<GzDecoder<R>>> {
    if rest.fill_buf()?.first() == Some(&0x1F) {
        return Ok(Some(GzDecoder::new(rest)));
    }
    loop {
        let padding = rest.fill_buf()?;
        if padding.is_empty() {
            return Ok(None);
        }
        if padding.iter().any(|&byte| byte != 0) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let length = padding.len();
        rest.consume(length);
    }
}

fn unpack_zip(input: impl Read + Seek, out: &mut Bounded<impl Write>) -> Result<Unpacked, Error> {
    let refused = |error| from_zip(error, Kind::Zip);
    let mut archive = ZipArchive::new(input).map_err(refused)?;
    let mut files = (0..archive.len()).filter(|&index| {
        let entry = archive.by_index_data(index);
        entry.is_ok_and(|entry| !entry.is_dir() && !is_system_file(entry.name_raw()))
    });
    let (Some(index), second) = (files.next(), files.next()) else {
        return Err(Refusal::NoFile.into());
    };
    drop(files);
    if let Some(second) = second {
        let name = |index| match archive.name_for_index(index) {
            Some(Ok(name)) => String::from_iter(name.chars().take(SHOWN_NAME_CHARS)),
            _ => String::new(),
        };
        return Err(Refusal::SeveralFiles([name(index), name(second)]).into());
    }
    if archive.has_duplicate_names() {
        // Programs disagree on which of the two to unpack.
        return Err(Refusal::Damaged(Kind::Zip).into());
    }
    if archive.by_index_data(index).map_err(refused)?.encrypted() {
        return Err(Refusal::Encrypted(Kind::Zip).into());
    }
    let entry = archive.by_index(index).map_err(refused)?;
    copy(entry, Kind::Zip, out)
}

/// Returns whether macOS, Windows or an office program added the entry by itself. `._` begins the name of a file with
/// macOS attributes, and `~$` that of a file by which Office locks a document.
fn is_system_file(name: &[u8]) -> bool {
    let mut parts = name.split(|byte| b"/\\".contains(byte));
    let base = parts
        .clone()
        .next_back()
        .unwrap_or(name)
        .to_ascii_lowercase();
    parts.any(|part| part == b"__MACOSX")
        || base.starts_with(b"._")
        || base.starts_with(b"~$")
        || [&b".ds_store"[..], b"thumbs.db", b"desktop.ini"].contains(&&base[..])
}

/// Copies the packed data, after examining its first bytes.
fn copy(
    mut packed: impl Read,
    packing: Kind,
    out: &mut Bounded<impl Write>,
) -> Result<Unpacked, Error> {
    let mut first_bytes = Vec::with_capacity(SNIFF_BYTES);
    packed
        .by_ref()
        .take(SNIFF_BYTES as u64)
        .read_to_end(&mut first_bytes)
        .map_err(|error| from_io(error, packing))?;
    let kind = sniff(&first_bytes);
    match kind {
        Kind::Gzip | Kind::Archive(_) => return Err(Refusal::Nested(kind).into()),
        Kind::Text | Kind::Zip => {}
        kind if kind.is_workbook() => {}
        kind => return Err(Refusal::Kind(kind).into()),
    }
    out.put(&first_bytes)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match packed.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => out.put(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(from_io(error, packing)),
        }
    }
    out.finish()?;
    Ok(Unpacked {
        bytes: out.written,
        kind,
    })
}

/// A writer that refuses to exceed a number of bytes.
pub(crate) struct Bounded<W> {
    out: W,
    written: u64,
    max_bytes: u64,
    too_large: Refusal,
}

impl<W: Write> Bounded<W> {
    /// Returns a writer for the text of a file of this size. `ratio` is the refusal if the ratio is the lower limit.
    pub(crate) fn within(limits: Limits, file_bytes: u64, ratio: Refusal, out: W) -> Self {
        let max_bytes = limits.max_unpacked_bytes;
        let ratio_bytes = file_bytes
            .saturating_mul(limits.max_ratio)
            .max(RATIO_FLOOR_BYTES);
        let (max_bytes, too_large) = match ratio_bytes < max_bytes {
            true => (ratio_bytes, ratio),
            false => (max_bytes, Refusal::TooLargeUnpacked { max_bytes }),
        };
        Self {
            out,
            written: 0,
            max_bytes,
            too_large,
        }
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.written.saturating_add(bytes.len() as u64);
        if written > self.max_bytes {
            return Err(self.too_large.clone().into());
        }
        self.out.write_all(bytes).map_err(Error::Io)?;
        self.written = written;
        Ok(())
    }

    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        self.out.flush().map_err(Error::Io)
    }

    pub(crate) fn written(&self) -> u64 {
        self.written
    }
}

/// Returns why reading failed. An error number means the operating system; otherwise the content is the cause.
pub(crate) fn from_io(error: io::Error, kind: Kind) -> Error {
    if error.kind() == io::ErrorKind::OutOfMemory {
        Refusal::Memory.into()
    } else if error.raw_os_error().is_some() {
        Error::Io(error)
    } else {
        match error.downcast::<ZipError>() {
            Ok(error) => from_zip(error, kind),
            Err(_) => Refusal::Damaged(kind).into(),
        }
    }
}

pub(crate) fn from_zip(error: ZipError, kind: Kind) -> Error {
    match error {
        ZipError::Io(error) => from_io(error, kind),
        ZipError::CompressionMethodNotSupported(_) => Refusal::Compression.into(),
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) | ZipError::InvalidPassword => {
            Refusal::Encrypted(kind).into()
        }
        _ => Refusal::Damaged(kind).into(),
    }
}
