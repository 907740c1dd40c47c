//! Downloads of a result's rows.

use std::io;

use bytes::Bytes;
use domain::{AuditKind, Job, JobId, RowFilter};
use futures::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use validator::{Candidate, CsvForm, read_rows};

use super::{
    reader::{Reader, blocking},
    workbook,
};
use crate::{
    Backend, Error, Result,
    access::{Act, Viewer, check_job},
    audit::{self, Event},
    jobs::query,
    ledger::{self, CommittedChunk},
};

/// The number of bytes per piece of a download, and how many pieces may wait for a slow reader.
const PIECE_BYTES: usize = 64 << 10;
const PIECES: usize = 4;

/// The format of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// CSV for programs.
    Csv,
    /// CSV for spreadsheets: [`CsvForm::of_spreadsheet`].
    SpreadsheetCsv,
    /// An Excel workbook with one sheet.
    Workbook,
}

/// A streaming download.
pub struct Download<S> {
    /// The name of the uploaded file.
    pub filename: String,
    /// The bytes of the download.
    pub content: S,
}

/// Returns the rows that match `filter`, exactly as in the uploaded file, each with its verdict. For a cancelled or
/// failed job, these are the rows that were checked. Memory use is bounded, and the work ends when the reader
/// disconnects. Fails with [`Error::Conflict`] while the job isn't over, or if the rows don't fit into a worksheet. The
/// content breaks off if the job is deleted or retried.
pub async fn download(
    backend: &Backend,
    viewer: &Viewer,
    job_id: JobId,
    filter: RowFilter,
    form: Form,
) -> Result<Download<impl Stream<Item = Result<Bytes>> + use<>>> {
    check_job(&backend.pool, viewer, job_id, Act::Read).await?;
    let open = async {
        let (job, rows) = CheckedRows::open(backend, job_id, filter).await?;
        let workbook = match form {
            Form::Workbook => Some(workbook::of_rows(&rows).await?),
            Form::Csv | Form::SpreadsheetCsv => None,
        };
        Ok::<_, Error>((job, rows, workbook))
    };
    let (job, rows, workbook) = match open.await {
        Ok(opened) => opened,
        Err(error) => {
            // The reason may be that the job was deleted meanwhile.
            query::get(&backend.pool, job_id).await?;
            return Err(error);
        }
    };
    let downloaded = Event::done(AuditKind::Download).of_job(job.state.user_id, job_id);
    audit::note(&backend.pool, viewer, downloaded).await;
    let (pieces, content) = mpsc::channel(PIECES);
    match workbook {
        None => {
            tokio::spawn(async move {
                if let Err(Stop::Failed(error)) = write_csv(rows, form, &pieces).await {
                    // Fails only if the reader has disconnected.
                    let _ = pieces.send(Err(error)).await;
                }
            });
        }
        Some(workbook) => {
            tokio::task::spawn_blocking(move || {
                let mut out = Pieced::new(pieces.clone());
                if let Err(error) = workbook.save(&mut out).and_then(|()| Ok(out.finish()?))
                    && !pieces.is_closed()
                {
                    let _ = pieces.blocking_send(Err(Error::Internal(error)));
                }
            });
        }
    }
    let content = stream::unfold(content, async |mut content| {
        let piece = content.recv().await?;
        Some((piece, content))
    });
    // The compression layer polls once more after the end.
    let content = content.fuse();
    Ok(Download {
        filename: job.filename,
        content: content.boxed(),
    })
}

/// The validated rows that match a filter.
pub(super) struct CheckedRows {
    pub reader: Reader,
    pub chunks: Vec<CommittedChunk>,
    filter: RowFilter,
}

impl CheckedRows {
    async fn open(backend: &Backend, job_id: JobId, filter: RowFilter) -> Result<(Job, Self)> {
        let job = query::get(&backend.pool, job_id).await?;
        let status = job.state.status;
        if !status.is_over() {
            return Err(Error::Conflict(format!(
                "The results can be downloaded once the job is over; it is {status}."
            )));
        }
        let Some(source) = query::source(&backend.pool, job_id).await? else {
            return Err(Error::Conflict(format!(
                "The job is {status}, and none of its rows was checked."
            )));
        };
        let rows = Self {
            chunks: ledger::committed(&backend.pool, source.result_id, filter).await?,
            reader: Reader::new(&backend.pool, &backend.storage, source)?,
            filter,
        };
        // Later, this error would break off a download that has already started.
        if let Some(first) = rows.chunks.first() {
            rows.reader.check(first).await?;
        }
        Ok((job, rows))
    }

    /// Calls `on_row` with `state` and each of the chunk's rows, on a thread that may block.
    pub async fn read<S: Send + 'static>(
        &self,
        chunk: &CommittedChunk,
        mut state: S,
        on_row: fn(&mut S, &mut Candidate<'_>),
    ) -> Result<S> {
        let bytes = self.reader.bytes(chunk).await?;
        let verdicts = self.reader.verdicts(std::slice::from_ref(chunk)).await?;
        let layout = self.reader.layout.clone();
        let filter = self.filter;
        let first_row = chunk.first_row as u64;
        let first_line = chunk.line_after(Some(0));
        blocking(move || {
            let known = verdicts[0].from_row(0);
            read_rows(&layout, &bytes, first_row, first_line, known, |row| {
                if filter.matches(row.verdict()) {
                    on_row(&mut state, row);
                }
            });
            state
        })
        .await
    }
}

type Pieces = mpsc::Sender<Result<Bytes>>;

enum Stop {
    /// The reader has disconnected.
    NoReader,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

async fn write_csv(rows: CheckedRows, form: Form, pieces: &Pieces) -> Result<(), Stop> {
    let layout = &rows.reader.layout;
    let form = match form {
        Form::SpreadsheetCsv => CsvForm::of_spreadsheet(layout),
        _ => CsvForm::PLAIN,
    };
    let mut header = Vec::new();
    form.write_header(layout, &mut header);
    let header = pieces.send(Ok(header.into())).await;
    header.map_err(|_| Stop::NoReader)?;
    let mut out = (form, Pieced::new(pieces.clone()));
    for chunk in &rows.chunks {
        out = rows
            .read(chunk, out, |(form, out), row| {
                if out.is_wanted {
                    row.write_csv(*form, &mut out.piece);
                    out.send_if_full();
                }
            })
            .await?;
        if !out.1.is_wanted {
            return Err(Stop::NoReader);
        }
    }
    let finished = blocking(move || out.1.finish()).await?;
    finished.map_err(|_| Stop::NoReader)
}

/// Sends written bytes in pieces, and notices when the reader disconnects.
struct Pieced {
    pieces: Pieces,
    piece: Vec<u8>,
    is_wanted: bool,
}

impl Pieced {
    fn new(pieces: Pieces) -> Self {
        Self {
            pieces,
            piece: Vec::new(),
            is_wanted: true,
        }
    }

    fn send_if_full(&mut self) {
        if self.piece.len() >= PIECE_BYTES {
            self.send();
        }
    }

    fn send(&mut self) {
        let piece = std::mem::take(&mut self.piece);
        self.is_wanted &= self.pieces.blocking_send(Ok(piece.into())).is_ok();
    }

    fn finish(mut self) -> io::Result<()> {
        if !self.piece.is_empty() {
            self.send();
        }
        self.still_wanted()
    }

    fn still_wanted(&self) -> io::Result<()> {
        match self.is_wanted {
            true => Ok(()),
            false => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl io::Write for Pieced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        self.send_if_full();
        self.still_wanted()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
