//! Whether files can be taken in at the moment: whether the database and the storage accept changes, and how much room
//! is left. Checked before the body of an upload is read.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::PgPool;
use tokio::{sync::Mutex, time::timeout};

use crate::{
    Backend, Error, Result, Storage, database,
    error::{DATABASE_AWAY, DATABASE_READ_ONLY, STORAGE_AWAY, disk_error},
};

/// How long the database and the storage may take to respond.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// How long a result is cached. However many files are uploaded, the services are checked at most this often.
const FRESH: Duration = Duration::from_secs(1);

const NO_ROOM: &str = "There isn't enough room for this file in the file storage. Delete jobs that are no longer needed, or \
                       tell your administrator.";

/// The latest result, and the room that uploads must leave.
#[derive(Clone)]
pub(crate) struct Intake {
    /// The lock is held during a check, so that uploads that arrive meanwhile share its result.
    latest: Arc<Mutex<Option<(Instant, State)>>>,
    pub reserve_bytes: u64,
}

impl Intake {
    /// `bytes` is the room that uploads leave free in a storage on a disk.
    pub fn with_reserve(bytes: u64) -> Self {
        Self {
            latest: Arc::default(),
            reserve_bytes: bytes,
        }
    }
}

#[derive(Clone)]
enum State {
    /// Files can be stored. Contains the number of free bytes, if the storage has a limit that we know.
    Open { free_bytes: Option<u64> },
    /// Contains a sentence that says what is wrong and what to do.
    Closed(Arc<str>),
}

/// Checks whether a file can be taken in. `form_bytes` is the size of its form, if known.
///
/// Fails with [`Error::Unavailable`] if the database or the storage is unreachable or read-only, and with
/// [`Error::NoRoom`] if the file would take up the reserve of the storage.
pub async fn check_intake(backend: &Backend, form_bytes: Option<u64>) -> Result<()> {
    match latest(backend).await {
        State::Closed(sentence) => Err(Error::Unavailable(sentence.to_string())),
        State::Open { free_bytes } => {
            let needed = form_bytes
                .unwrap_or_default()
                .saturating_add(backend.intake.reserve_bytes);
            match free_bytes.is_some_and(|free| free < needed) {
                true => Err(Error::NoRoom(NO_ROOM.to_owned())),
                false => Ok(()),
            }
        }
    }
}

async fn latest(backend: &Backend) -> State {
    let mut latest = backend.intake.latest.lock().await;
    if let Some((at, state)) = &*latest
        && at.elapsed() < FRESH
    {
        return state.clone();
    }
    let (database, storage) = tokio::join!(
        check_database(&backend.pool),
        check_storage(&backend.storage)
    );
    let state = match (database, storage) {
        (Ok(()), Ok(free_bytes)) => State::Open { free_bytes },
        (Err(sentence), _) | (_, Err(sentence)) => State::Closed(sentence),
    };
    *latest = Some((Instant::now(), state.clone()));
    state
}

async fn check_database(pool: &PgPool) -> Result<(), Arc<str>> {
    let asked = async {
        match database::is_writable(pool).await {
            Ok(is_writable) => Ok(is_writable),
            // One lost connection must not refuse everybody's uploads until the next check.
            Err(_) => database::is_writable(pool).await,
        }
    };
    match timeout(PATIENCE, asked).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(DATABASE_READ_ONLY.into()),
        Ok(Err(error)) => match Error::from(error) {
            Error::Unavailable(sentence) => Err(sentence.into()),
            // The upload itself reports what is wrong.
            _ => Ok(()),
        },
        Err(_) => Err(DATABASE_AWAY.into()),
    }
}

/// Returns the number of free bytes, if it is known.
async fn check_storage(storage: &Storage) -> Result<Option<u64>, Arc<str>> {
    match timeout(PATIENCE, storage.accepts()).await {
        Ok(Ok(free_bytes)) => Ok(free_bytes),
        Ok(Err(error)) => {
            tracing::warn!(
                error = format!("{error:#}"),
                "the file storage can't be used"
            );
            Err(disk_error(&*error).unwrap_or(STORAGE_AWAY).into())
        }
        Err(_) => {
            tracing::warn!("the file storage doesn't respond");
            Err(STORAGE_AWAY.into())
        }
    }
}
