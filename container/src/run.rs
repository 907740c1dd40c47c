//! Converts a file into another file: the work of the child process.

use std::{
    cell::Cell,
    fs::{self, File},
    io::{self, BufWriter, Seek},
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{Error, Kind, Limits, Refusal, convert_sheet, identify, unpack};

/// A request to convert a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub input: PathBuf,
    /// The file for the text. Created or overwritten, unless the input is already text.
    pub output: PathBuf,
    pub limits: Limits,
    /// The name of a workbook's worksheet.
    pub sheet: Option<String>,
    /// The address space of the process, in bytes.
    pub max_memory_bytes: u64,
    /// The processor time of the process in seconds. It also stops a process that nothing else would stop.
    pub max_cpu_seconds: u64,
}

/// The result of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The input is text and can be read directly. Nothing was written.
    Text,
    /// The output contains the text.
    Converted(Converted),
    /// The file is refused. The content of the output is unspecified.
    Refused(Refusal),
    /// Reading or writing failed, and the request can be retried.
    Failed(String),
}

/// The origin of the text in the output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Converted {
    /// The packing from which the file was unpacked, if any.
    pub packing: Option<Packing>,
    /// [`Kind::Text`], or the kind of workbook.
    pub container: Kind,
    /// The worksheet of a workbook.
    pub sheet: Option<String>,
    /// The row of the sheet, from 1, that became the first record.
    pub first_row: Option<u32>,
    /// The length of the output.
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Packing {
    Gzip,
    Zip,
}

/// Unpacks and converts a file in this process, without limits on memory and time. A panic of a parser becomes a
/// refusal.
pub fn run(request: &Request) -> Outcome {
    let kind = Cell::new(Kind::Binary);
    let result = panic::catch_unwind(AssertUnwindSafe(|| process(request, &kind)));
    match result {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(Error::Refused(refusal))) => Outcome::Refused(refusal),
        Ok(Err(Error::Io(error))) => Outcome::Failed(error.to_string()),
        Err(_) => Outcome::Refused(Refusal::Damaged(kind.get())),
    }
}

fn process(request: &Request, seen: &Cell<Kind>) -> Result<Outcome, Error> {
    let mut input = File::open(&request.input).map_err(Error::Io)?;
    let file_bytes = input.metadata().map_err(Error::Io)?.len();
    let kind = identify(&mut input).map_err(Error::Io)?;
    seen.set(kind);
    let packing = match kind {
        Kind::Text => return Ok(Outcome::Text),
        Kind::Gzip => Packing::Gzip,
        Kind::Zip => Packing::Zip,
        kind if kind.is_workbook() => {
            let output = create(&request.output)?;
            return convert(request, None, kind, (input, file_bytes), &output);
        }
        kind => return Err(Refusal::Kind(kind).into()),
    };
    let mut output = create(&request.output)?;
    let unpacked = unpack(kind, input, request.limits, BufWriter::new(&output))?;
    let kind = identify(&mut output).map_err(Error::Io)?;
    match kind {
        Kind::Text => Ok(Outcome::Converted(Converted {
            packing: Some(packing),
            container: Kind::Text,
            sheet: None,
            first_row: None,
            bytes: unpacked.bytes,
        })),
        Kind::Gzip | Kind::Zip | Kind::Archive(_) => Err(Refusal::Nested(kind).into()),
        kind if kind.is_workbook() => {
            seen.set(kind);
            let mut workbook = scratch(&request.output)?;
            io::copy(&mut output, &mut workbook).map_err(Error::Io)?;
            output.set_len(0).map_err(Error::Io)?;
            output.rewind().map_err(Error::Io)?;
            convert(
                request,
                Some(packing),
                kind,
                (workbook, file_bytes),
                &output,
            )
        }
        kind => Err(Refusal::Kind(kind).into()),
    }
}

/// Converts a workbook that came in a file of `file_bytes`.
fn convert(
    request: &Request,
    packing: Option<Packing>,
    kind: Kind,
    (workbook, file_bytes): (File, u64),
    output: &File,
) -> Result<Outcome, Error> {
    let converted = convert_sheet(
        kind,
        workbook,
        file_bytes,
        request.sheet.as_deref(),
        request.limits,
        output,
    )?;
    Ok(Outcome::Converted(Converted {
        packing,
        container: kind,
        sheet: Some(converted.sheet),
        first_row: Some(converted.first_row),
        bytes: converted.bytes,
    }))
}

fn create(path: &Path) -> Result<File, Error> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .map_err(Error::Io)
}

/// Creates an unlinked file next to the output. It disappears with the process, however that ends.
fn scratch(output: &Path) -> Result<File, Error> {
    let mut path = output.as_os_str().to_owned();
    path.push(".unpacked");
    let file = create(path.as_ref())?;
    fs::remove_file(path).map_err(Error::Io)?;
    Ok(file)
}
