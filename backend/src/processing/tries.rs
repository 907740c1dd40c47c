//! Ends jobs whose files take workers down. Each try to read such a file leaves a mark, which it removes when it ends,
//! whatever its outcome. Marks that remain are tries whose worker died.
//!
//! Plans of large files always leave a mark. The first try to validate chunks leaves none, as with small files: it would
//! cost a statement for every few chunks.

use std::time::Duration;

use domain::ResultId;
use sqlx::PgPool;
use tokio::sync::{Mutex, MutexGuard};

use super::StepError;
use crate::{
    Backend, database,
    jobs::{query::Work, transition},
    ledger::{self, OpenChunk},
    temporal::Attempt,
};

/// The number of tries that may take their worker down. Another one would end the same way.
const UNFINISHED_TRIES: u32 = 2;

/// How often recording the end of a try is tried, and the pause between two.
const ENDED_TRIES: u32 = 120;
const ENDED_PAUSE: Duration = Duration::from_secs(1);

/// Held by tries after one that didn't end. So of several files that were being read when a worker died, no two are read
/// at the same time again, and only the one that is to blame gets another mark.
static ALONE: Mutex<()> = Mutex::const_new(());

/// What is tried, and where its mark is.
#[derive(Debug, Clone)]
enum Tried {
    /// To plan a file, or to process a small one.
    File(Attempt),
    /// To validate these chunks.
    Chunks {
        attempt: Attempt,
        result_id: ResultId,
        numbers: Vec<i32>,
    },
}

impl Tried {
    fn attempt(&self) -> Attempt {
        match self {
            Self::File(attempt) | Self::Chunks { attempt, .. } => *attempt,
        }
    }

    /// Leaves a mark. Returns the number of earlier ones, or `None` if nothing is left to do.
    async fn begins(&self, pool: &PgPool) -> sqlx::Result<Option<u32>> {
        match self {
            Self::File(attempt) => transition::plan_begins(pool, *attempt).await,
            Self::Chunks {
                result_id, numbers, ..
            } => {
                let before = ledger::try_begins(pool, *result_id, numbers).await?;
                Ok(before.map(|before| before as u32))
            }
        }
    }

    /// Removes the mark.
    async fn ended(&self, pool: &PgPool) -> sqlx::Result<()> {
        match self {
            Self::File(attempt) => transition::plan_ended(pool, *attempt).await,
            Self::Chunks {
                result_id, numbers, ..
            } => ledger::try_ended(pool, *result_id, numbers).await,
        }
    }
}

/// A try to read a file. Removes its mark when dropped: the worker has survived. That includes a step that is dropped in
/// an orderly shutdown.
pub(super) struct Try {
    backend: Backend,
    tried: Tried,
    /// Whether the results are stored, so that the mark no longer counts.
    is_stored: bool,
    _alone: Option<MutexGuard<'static, ()>>,
}

impl Try {
    /// Leaves a mark on the job. Fails if too many earlier tries didn't end.
    pub async fn begin(
        backend: &Backend,
        attempt: Attempt,
        work: &Work,
    ) -> Result<Self, StepError> {
        Self::begin_with(backend, Tried::File(attempt), work.unfinished_plans).await
    }

    /// Leaves a mark on each of these chunks. Fails if too many earlier tries of one of them didn't end.
    pub async fn begin_chunks(
        backend: &Backend,
        attempt: Attempt,
        result_id: ResultId,
        chunks: &[OpenChunk],
    ) -> Result<Self, StepError> {
        let unfinished = chunks.iter().map(|chunk| chunk.unfinished_tries).max();
        let numbers = chunks.iter().map(|chunk| chunk.number).collect();
        let tried = Tried::Chunks {
            attempt,
            result_id,
            numbers,
        };
        Self::begin_with(backend, tried, unfinished.unwrap_or(0)).await
    }

    /// Runs in a task of its own. So the mark never exists without the guard, even if the caller is dropped or
    /// PostgreSQL's response is lost.
    async fn begin_with(
        backend: &Backend,
        tried: Tried,
        unfinished: i16,
    ) -> Result<Self, StepError> {
        let alone = match unfinished {
            0 => None,
            _ => Some(ALONE.lock().await),
        };
        let begun = Self {
            backend: backend.clone(),
            tried,
            is_stored: false,
            _alone: alone,
        };
        let begins = async move {
            let before = begun.tried.begins(&begun.backend.pool);
            let before = database::in_time(before).await?;
            Ok::<_, StepError>((before.ok_or_else(done_meanwhile)?, begun))
        };
        let (unfinished, begun) = tokio::spawn(begins).await??;
        if unfinished >= UNFINISHED_TRIES {
            return Err(StepError::Unreadable(
                "Reading this file has stopped the worker twice. This was recorded. Please tell your administrator."
                    .to_owned(),
            ));
        }
        Ok(begun)
    }

    /// Ends the try after the transaction that stored the results.
    pub fn stored(mut self) {
        self.is_stored = true;
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        if self.is_stored {
            return;
        }
        let (pool, tried) = (self.backend.pool.clone(), self.tried.clone());
        tokio::spawn(async move {
            // An unreachable database may be the reason why the try ended.
            for _ in 0..ENDED_TRIES {
                match tried.ended(&pool).await {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::debug!(%error, "the end of a try could not be recorded")
                    }
                }
                tokio::time::sleep(ENDED_PAUSE).await;
            }
            tracing::warn!(
                job_id = tried.attempt().job_id.get(),
                "a try to read a file counts as unfinished"
            );
        });
    }
}

pub(super) fn done_meanwhile() -> StepError {
    // The attempt is outdated, or another try of this step was faster. The retry finds out which.
    StepError::Retry(anyhow::anyhow!(
        "the job was planned, continued or ended meanwhile"
    ))
}
