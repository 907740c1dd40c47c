//! The result of a job as a CSV file.

use std::io;

use bytes::Bytes;
use domain::{JobId, JobStatus, RowFilter};
use futures::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use validator::read_rows;

use super::reader::{Reader, blocking};
use crate::{
    Backend, Error, Result,
    jobs::query,
    ledger::{self, CommittedChunk},
};

/// Bytes that are handed on at a time, and how many such pieces may wait for a slow reader.
const PIECE_BYTES: usize = 64 << 10;
const PIECES: usize = 4;

/// A completed job's file with the verdicts, as it streams.
pub struct Download<S> {
    /// The name under which the file was uploaded.
    pub filename: String,
    /// The bytes of the CSV file.
    pub content: S,
}

/// The rows under `filter` as the uploaded file has them, each with its verdict: nothing that the file says is lost.
/// Memory stays flat, and the work ends when the reader goes away. Fails with [`Error::Conflict`] unless the job is
/// completed; the content breaks off if the job is deleted or retried.
pub async fn download(
    backend: &Backend,
    job_id: JobId,
    filter: RowFilter,
) -> Result<Download<impl Stream<Item = Result<Bytes>> + use<>>> {
    let job = query::get(&backend.pool, job_id).await?;
    if job.state.status != JobStatus::Completed {
        return Err(Error::Conflict(format!(
            "The results can be downloaded once the job is completed; it is {}.",
            job.state.status
        )));
    }
    let source = query::source(&backend.pool, job_id)
        .await?
        .ok_or(Error::NotFound("Result"))?;
    let chunks = ledger::committed(&backend.pool, source.result_id, filter).await?;
    let reader = Reader::new(&backend.pool, &backend.storage, source);
    let (pieces, content) = mpsc::channel(PIECES);
    tokio::spawn(async move {
        if let Err(Stop::Failed(error)) = write(reader, chunks, filter, &pieces).await {
            // The reader has gone, if this fails.
            let _ = pieces.send(Err(error)).await;
        }
    });
    let content = stream::unfold(content, async |mut content| {
        let piece = content.recv().await?;
        Some((piece, content))
    });
    // Whoever compresses it asks once more after the end.
    let content = content.fuse();
    Ok(Download {
        filename: job.filename,
        content: content.boxed(),
    })
}

type Pieces = mpsc::Sender<Result<Bytes>>;

enum Stop {
    /// Nobody reads any more.
    NoReader,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

async fn write(
    reader: Reader,
    chunks: Vec<CommittedChunk>,
    filter: RowFilter,
    pieces: &Pieces,
) -> Result<(), Stop> {
    let mut header = Vec::new();
    validator::write_results_header(&reader.layout, &mut header);
    let header = pieces.send(Ok(header.into())).await;
    header.map_err(|_| Stop::NoReader)?;
    for chunk in chunks {
        let bytes = reader.bytes(&chunk).await?;
        let verdicts = reader.verdicts(std::slice::from_ref(&chunk)).await?;
        let layout = reader.layout.clone();
        let mut out = Pieced::new(pieces.clone());
        blocking(move || {
            let first_row = chunk.first_row as u64;
            let first_line = chunk.line_after(Some(0));
            let known = verdicts[0].from_row(0);
            read_rows(&layout, &bytes, first_row, first_line, known, |row| {
                if out.is_wanted && filter.matches(row.verdict()) {
                    out.write(|piece| row.write_csv(piece));
                }
            });
            out.finish()
        })
        .await?
        .map_err(|_| Stop::NoReader)?;
    }
    Ok(())
}

/// Sends what is written in pieces, and knows when nobody wants more.
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

    fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.piece);
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
        match self.is_wanted {
            true => Ok(()),
            false => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}
