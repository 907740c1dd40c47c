//! Ends jobs whose files take workers down. Each try to read such a file leaves a mark, which it removes when it ends,
//! whatever its outcome. Marks that remain are tries whose worker died.

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

use super::StepError;
use crate::{
    Backend, database,
    jobs::{query::Work, transition},
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

/// A try to read a file. Removes its mark when dropped: the worker has survived. That includes a step that is dropped in
/// an orderly shutdown.
pub(super) struct Try {
    backend: Backend,
    attempt: Attempt,
    /// Whether the results are stored, which removes the mark too.
    is_stored: bool,
    _alone: Option<MutexGuard<'static, ()>>,
}

impl Try {
    /// Leaves a mark. Fails if too many earlier tries didn't end.
    ///
    /// Runs in a task of its own. So the mark never exists without the guard, even if the caller is dropped or
    /// PostgreSQL's response is lost.
    pub async fn begin(
        backend: &Backend,
        attempt: Attempt,
        work: &Work,
    ) -> Result<Self, StepError> {
        let alone = match work.unfinished_plans {
            0 => None,
            _ => Some(ALONE.lock().await),
        };
        let begun = Self {
            backend: backend.clone(),
            attempt,
            is_stored: false,
            _alone: alone,
        };
        let begins = async move {
            let before = transition::plan_begins(&begun.backend.pool, attempt);
            let before = database::in_time(before).await?;
            Ok::<_, StepError>((before.ok_or_else(planned_meanwhile)?, begun))
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
        let (pool, attempt) = (self.backend.pool.clone(), self.attempt);
        tokio::spawn(async move {
            // An unreachable database may be the reason why the try ended.
            for _ in 0..ENDED_TRIES {
                match transition::plan_ended(&pool, attempt).await {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::debug!(%error, "the end of a try could not be recorded")
                    }
                }
                tokio::time::sleep(ENDED_PAUSE).await;
            }
            tracing::warn!(
                job_id = attempt.job_id.get(),
                "a try to read a file counts as unfinished"
            );
        });
    }
}

pub(super) fn planned_meanwhile() -> StepError {
    // The attempt is outdated, or another try of this step was faster. The retry finds out which.
    StepError::Retry(anyhow::anyhow!("the job was planned or ended meanwhile"))
}
