//! The text of a file: the file itself, or what is unpacked or converted from an archive or a workbook.

use std::{env, path::PathBuf, time::Duration};

use container::{Converted, Kind, Limits, Outcome, Refusal, Request, SNIFF_BYTES, sniff};
use serde_json::json;
use tokio::{fs::File, io::AsyncWriteExt, sync::Semaphore};
use uuid::Uuid;
use validator::{Choice, Container, FileError, Question};

use super::{StepError, convert::convert, scratch::Scratch};
use crate::{
    Backend, Storage, database, deletion_queue,
    jobs::{query::Work, transition},
    storage::{CheckedFile, Checksummer},
    temporal::Attempt,
};

/// The text of an archive or a workbook, in bytes.
const MAX_TEXT_BYTES: u64 = 10 << 30;

/// How much larger than the archive its text may be.
const MAX_RATIO: u64 = 200;

/// The address space of the process that converts a file, in bytes.
const MAX_MEMORY_BYTES: u64 = 1 << 30;

/// Files that this process has converted at a time: `mem_limit` in docker-compose.yml has room for as many.
static CONVERSIONS: Semaphore = Semaphore::const_new(2);

/// How long a file waits for its turn before its plan is given up for now.
const PATIENCE: Duration = Duration::from_secs(2);

fn busy() -> StepError {
    StepError::Retry(anyhow::anyhow!("other files are being converted"))
}

/// The processor time of that process, and the time until it is ended.
const MAX_CPU_SECONDS: u64 = 600;
const DEADLINE: Duration = Duration::from_secs(900);

/// Bytes that are read at a time.
const PIECE_BYTES: u64 = 4 << 20;

/// Where the text of a job's file is.
pub(super) struct Content {
    pub file: CheckedFile,
    pub bytes: u64,
    pub container: Option<Container>,
    pub sheet: Option<String>,
}

/// Finds or makes the text of the file; of a workbook, that of the sheet of this name. The inner error says why it has none.
pub(super) async fn of(
    backend: &Backend,
    attempt: Attempt,
    work: &Work,
    sheet: Option<&str>,
) -> Result<Result<Content, FileError>, StepError> {
    let bytes = work.bytes as u64;
    let file = work.file()?;
    let beginning = 0..bytes.min(SNIFF_BYTES as u64);
    let kind = match bytes {
        0 => Kind::Text,
        _ => sniff(&backend.storage.read(&file, beginning).await?),
    };
    let stored = || Content {
        file: file.clone(),
        bytes,
        container: None,
        sheet: None,
    };
    if kind == Kind::Text {
        return Ok(Ok(stored()));
    }
    // A plan that waits for longer is tried again later: it would keep others from this worker, and a worker that is killed
    // meanwhile would be put down to this file.
    let conversion = tokio::time::timeout(PATIENCE, CONVERSIONS.acquire()).await;
    let conversion = conversion.map_err(|_| busy())?;
    let _conversion = conversion.map_err(|closed| StepError::Defect(closed.into()))?;
    let scratch = Scratch::new().map_err(scratch_failed)?;
    let request = Request {
        input: local_copy(&backend.storage, &file, bytes, scratch.path().join("in")).await?,
        output: scratch.path().join("out"),
        limits: Limits {
            max_unpacked_bytes: MAX_TEXT_BYTES,
            max_ratio: MAX_RATIO,
        },
        sheet: sheet.map(str::to_owned),
        max_memory_bytes: MAX_MEMORY_BYTES,
        max_cpu_seconds: MAX_CPU_SECONDS,
    };
    let program = env::current_exe().map_err(scratch_failed)?;
    let outcome = convert(&program, &request, DEADLINE).await;
    match outcome.map_err(StepError::Retry)? {
        Outcome::Text => Ok(Ok(stored())),
        Outcome::Refused(refusal) => Ok(Err(refused(&refusal))),
        Outcome::Failed(error) => Err(StepError::Retry(anyhow::anyhow!("converting: {error}"))),
        Outcome::Converted(converted) => store(backend, attempt, work, request.output, converted)
            .await
            .map(Ok),
    }
}

/// Keeps the text beside the stored file.
async fn store(
    backend: &Backend,
    attempt: Attempt,
    work: &Work,
    output: PathBuf,
    converted: Converted,
) -> Result<Content, StepError> {
    let key = format!("{}.{}.text", work.storage_key, Uuid::new_v4());
    deletion_queue::expect_file(&backend.pool, &key).await?;
    let write = upload(&backend.storage, &key, output);
    let file = deletion_queue::while_writing(&backend.pool, &key, write).await?;
    let mut tx = database::begin(&backend.pool).await?;
    deletion_queue::keep_file(&mut tx, &key).await?;
    if !transition::has_content(&mut tx, attempt, &file, converted.bytes).await? {
        return Err(StepError::Outdated);
    }
    tx.commit().await?;
    Ok(Content {
        file,
        bytes: converted.bytes,
        container: match converted.container {
            Kind::Ods => Some(Container::Ods),
            Kind::Text => Some(Container::Csv),
            _ => Some(Container::Xlsx),
        },
        sheet: converted.sheet,
    })
}

async fn upload(storage: &Storage, key: &str, path: PathBuf) -> Result<CheckedFile, StepError> {
    use tokio::io::AsyncReadExt;
    let mut file = File::open(path).await.map_err(scratch_failed)?;
    let mut upload = storage.upload(key).await?;
    let mut piece = vec![0; PIECE_BYTES as usize];
    let mut checksummer = Checksummer::default();
    loop {
        let length = file.read(&mut piece).await.map_err(scratch_failed)?;
        if length == 0 {
            break;
        }
        checksummer.update(&piece[..length]);
        if let Err(error) = upload.write(&piece[..length]).await {
            upload.abort().await;
            return Err(error.into());
        }
    }
    upload.finish().await?;
    Ok(CheckedFile::stored(key, checksummer.finish()))
}

/// The stored file on this machine's disk: where it is, or a copy under `path`.
async fn local_copy(
    storage: &Storage,
    stored: &CheckedFile,
    bytes: u64,
    path: PathBuf,
) -> Result<PathBuf, StepError> {
    if let Some(path) = storage.local_path(&stored.key) {
        return Ok(path);
    }
    let mut file = File::create(&path).await.map_err(scratch_failed)?;
    let mut at = 0;
    while at < bytes {
        let end = bytes.min(at + PIECE_BYTES);
        let piece = storage.read(stored, at..end).await?;
        file.write_all(&piece).await.map_err(scratch_failed)?;
        at = end;
    }
    file.flush().await.map_err(scratch_failed)?;
    Ok(path)
}

fn scratch_failed(error: std::io::Error) -> StepError {
    StepError::Retry(anyhow::Error::new(error).context("a file of the conversion"))
}

/// Why a file that isn't text can't be read.
fn refused(refusal: &Refusal) -> FileError {
    let message = refusal.to_string();
    let Refusal::ChooseSheet { sheets, .. } = refusal else {
        return FileError::Container {
            code: refusal.code().to_owned(),
            message,
        };
    };
    let choices = sheets.iter().map(|sheet| Choice {
        value: sheet.name.clone(),
        label: match sheet.is_hidden {
            true => format!("{} (hidden)", sheet.name),
            false => sheet.name.clone(),
        },
        samples: Vec::new(),
    });
    FileError::Questions(vec![Question {
        key: "sheet".to_owned(),
        code: refusal.code().to_owned(),
        message,
        choices: choices.collect(),
        suggestion: sheets.first().map(|sheet| json!(sheet.name)),
        header: Vec::new(),
        rows: Vec::new(),
    }])
}
