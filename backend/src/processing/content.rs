//! The text of a file: the file itself, or the text unpacked or converted from an archive or a workbook.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use container::{
    Converted, Kind, Limits, Outcome, Refusal, Request, SNIFF_BYTES, shown_name, sniff,
};
use serde_json::json;
use tokio::{fs::File, io::AsyncWriteExt, sync::Semaphore};
use uuid::Uuid;
use validator::{Choice, Container, FileError, Question};

use super::{StepError, convert::convert, scratch::Scratch};
use crate::{
    Backend, Storage, database, deletion_queue,
    error::{STORAGE_AWAY, disk_error},
    jobs::{query::Work, transition, usage},
    storage::{self, CheckedFile, Checksummer},
    temporal::Attempt,
};

/// The maximum size of the text of an archive or a workbook, in bytes.
const MAX_TEXT_BYTES: u64 = 10 << 30;

/// The code of an error for the user's quota.
const QUOTA: &str = "file.quota";

const NO_ROOM: &str = "There isn't enough room for the text of this file in the file storage. Delete jobs that are no \
                       longer needed, or tell your administrator.";

const NO_SCRATCH: &str =
    "There isn't enough room on this server's disk to convert this file. Tell your administrator.";

/// The maximum ratio of the text's size to that of the archive or workbook.
const MAX_RATIO: u64 = 200;

/// The limit on the address space of the process that converts a file, in bytes.
const MAX_MEMORY_BYTES: u64 = 1 << 30;

/// The number of files that this process converts at the same time. `mem_limit` in docker-compose.yml leaves room for
/// them.
static CONVERSIONS: Semaphore = Semaphore::const_new(2);

/// How long planning waits for its turn to convert before it is put off.
const PATIENCE: Duration = Duration::from_secs(2);

fn busy() -> StepError {
    StepError::Retry(anyhow::anyhow!("other files are being converted"))
}

/// The limits on the processor time and the running time of the converting process.
const MAX_CPU_SECONDS: u64 = 600;
const DEADLINE: Duration = Duration::from_secs(900);

/// The number of bytes per read.
const PIECE_BYTES: u64 = 4 << 20;

/// The location of the text of a job's file.
pub(super) struct Content {
    pub file: CheckedFile,
    pub bytes: u64,
    pub container: Option<Container>,
    pub sheet: Option<String>,
}

/// Finds the text of the file or converts the file to text. For a workbook, converts the sheet with this name. The
/// inner error says why the file has no text.
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
    // Planning that would wait longer is retried later. Otherwise it would block other files on this worker, and this
    // file would be blamed if the worker was killed meanwhile.
    let conversion = tokio::time::timeout(PATIENCE, CONVERSIONS.acquire()).await;
    let conversion = conversion.map_err(|_| busy())?;
    let _conversion = conversion.map_err(|closed| StepError::Defect(closed.into()))?;
    let scratch = Scratch::new().map_err(scratch_failed)?;
    let input = local_copy(&backend.storage, &file, bytes, scratch.path().join("in")).await?;
    let room = room(backend, attempt, scratch.path()).await?;
    let request = Request {
        input,
        output: scratch.path().join("out"),
        limits: Limits {
            max_unpacked_bytes: room.bytes,
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
        Outcome::Refused(refusal) => {
            let is_too_large = matches!(refusal, Refusal::TooLargeUnpacked { .. });
            let error = room.error.filter(|_| is_too_large);
            Ok(Err(error.unwrap_or_else(|| refused(&refusal))))
        }
        Outcome::Failed(error) => Err(StepError::Retry(anyhow::anyhow!("converting: {error}"))),
        Outcome::Converted(converted) => {
            store(backend, attempt, work, request.output, converted).await
        }
    }
}

/// How large the text of a file may be.
struct Room {
    bytes: u64,
    /// What is wrong with a larger text, if the limit isn't the same for all files.
    error: Option<FileError>,
}

/// Returns the room that the quota of the job's user and the disks of the storage and of `scratch` leave.
async fn room(backend: &Backend, attempt: Attempt, scratch: &Path) -> Result<Room, StepError> {
    let free = backend.storage.accepts().await;
    let free = free.map_err(|error| {
        let sentence = disk_error(&*error).unwrap_or(STORAGE_AWAY);
        StepError::Storage(sentence, error)
    })?;
    let disks = Disks {
        storage: free,
        reserve: backend.intake.reserve_bytes,
        scratch: storage::free_bytes(scratch).map_err(scratch_failed)?,
        are_same: (backend.storage.shares_disk(scratch)).map_err(scratch_failed)?,
    };
    let (bytes, sentence) = disks.room();
    let mut room = match bytes < MAX_TEXT_BYTES {
        true => Room {
            bytes,
            error: Some(no_room("file.no_room", sentence.to_owned())),
        },
        false => Room {
            bytes: MAX_TEXT_BYTES,
            error: None,
        },
    };
    let mut database = backend.pool.acquire().await?;
    let quota = usage::limiting_text(&mut database, attempt.job_id, &backend.quotas).await?;
    if let Some(quota) = quota
        && let Some(bytes) = quota.remaining().filter(|free| *free < room.bytes)
        && let Err(exceeded) = usage::check_text(quota, bytes + 1)
    {
        let error = Some(no_room(QUOTA, exceeded.to_string()));
        room = Room { bytes, error };
    }
    Ok(room)
}

/// The free bytes of the disks that a text passes through.
struct Disks {
    /// `None` if the storage isn't on a disk.
    storage: Option<u64>,
    /// The bytes that must stay free on the disk of the storage.
    reserve: u64,
    scratch: u64,
    are_same: bool,
}

impl Disks {
    /// Returns how large a text may be, and what is wrong with a larger one. The scratch directory holds the text and,
    /// until the conversion ends, a workbook from an archive, which may be as large. On the same disk, the storage
    /// takes the place of the workbook.
    fn room(&self) -> (u64, &'static str) {
        let storage = self.storage.map(|free| free.saturating_sub(self.reserve));
        let scratch = self.scratch / 2;
        match storage {
            Some(storage) if self.are_same => (storage / 2, NO_ROOM),
            Some(storage) if storage <= scratch => (storage, NO_ROOM),
            _ => (scratch, NO_SCRATCH),
        }
    }
}

fn no_room(code: &str, message: String) -> FileError {
    FileError::Container {
        code: code.to_owned(),
        message,
    }
}

/// Stores the text beside the uploaded file. The inner error says why it doesn't fit.
async fn store(
    backend: &Backend,
    attempt: Attempt,
    work: &Work,
    output: PathBuf,
    converted: Converted,
) -> Result<Result<Content, FileError>, StepError> {
    let key = format!("{}.{}.text", work.storage_key, Uuid::new_v4());
    deletion_queue::expect_file(&backend.pool, &key).await?;
    let write = upload(&backend.storage, &key, output);
    let file = deletion_queue::while_writing(&backend.pool, &key, write).await?;
    let mut tx = database::begin(&backend.pool).await?;
    // Other files may have taken the room in the meantime.
    let quota = usage::limiting_text(&mut tx, attempt.job_id, &backend.quotas).await?;
    if let Some(quota) = quota
        && let Err(exceeded) = usage::check_text(quota, converted.bytes)
    {
        tx.rollback().await?;
        deletion_queue::discard_file(&backend.pool, &key).await;
        return Ok(Err(no_room(QUOTA, exceeded.to_string())));
    }
    deletion_queue::keep_file(&mut tx, &key).await?;
    if !transition::has_content(&mut tx, attempt, &file, converted.bytes).await? {
        return Err(StepError::Outdated);
    }
    tx.commit().await?;
    Ok(Ok(Content {
        file,
        bytes: converted.bytes,
        container: match converted.container {
            Kind::Ods => Some(Container::Ods),
            Kind::Text => Some(Container::Csv),
            _ => Some(Container::Xlsx),
        },
        sheet: converted.sheet,
    }))
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

/// Returns a path to the stored file on this machine's disk: its own, or that of a copy at `path`.
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

/// Converts the refusal of a file that isn't text to a file error.
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
            true => format!("{} (hidden)", shown_name(&sheet.name)),
            false => shown_name(&sheet.name),
        },
        samples: Vec::new(),
    });
    let question = Question {
        key: "sheet".to_owned(),
        code: refusal.code().to_owned(),
        message,
        choices: choices.collect(),
        suggestion: sheets.first().map(|sheet| json!(sheet.name)),
        header: Vec::new(),
        rows: Vec::new(),
    };
    FileError::Questions(vec![question].into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_may_need_its_room_twice() {
        let disks = |storage, reserve, scratch, are_same| {
            let disks = Disks {
                storage,
                reserve,
                scratch,
                are_same,
            };
            disks.room()
        };
        assert_eq!(disks(Some(1000), 200, 1000, true), (400, NO_ROOM));
        assert_eq!(disks(Some(1000), 200, 5000, false), (800, NO_ROOM));
        assert_eq!(disks(Some(1000), 200, 300, false), (150, NO_SCRATCH));
        assert_eq!(disks(Some(100), 200, 300, true), (0, NO_ROOM));
        assert_eq!(disks(None, 200, 300, false), (150, NO_SCRATCH));
    }

    #[test]
    fn sheets_are_shown_without_hidden_characters() {
        let name = "Fees\u{202E}";
        let sheet = |is_hidden| container::Sheet {
            name: name.to_owned(),
            is_hidden,
            has_cells: true,
        };
        let refusal = Refusal::ChooseSheet {
            asked: None,
            sheets: vec![sheet(false), sheet(true)],
        };
        let error = refused(&refusal);
        let choices = &error.questions()[0].choices;
        let shown = Vec::from_iter(choices.iter().map(|it| (&*it.value, &*it.label)));
        assert_eq!(
            shown,
            [(name, "Fees\u{FFFD}"), (name, "Fees\u{FFFD} (hidden)")]
        );
    }
}
