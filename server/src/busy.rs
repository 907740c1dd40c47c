//! Limits on concurrent work.

use std::{sync::Arc, time::Duration};

use prometheus::IntCounter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    limits::Limits,
    metrics::{Limited, Metrics},
    problem::{Problem, ProblemKind},
};

/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// Limits on expensive operations.
#[derive(Clone)]
pub struct Turns {
    pub searches: Turn,
    pub downloads: Turn,
}

impl Turns {
    pub fn new(limits: &Limits, metrics: &Metrics) -> Self {
        Self {
            searches: Turn::new(limits.max_searches, metrics.refused(Limited::Searches)),
            downloads: Turn::new(limits.max_downloads, metrics.refused(Limited::Downloads)),
        }
    }
}

#[derive(Clone)]
pub struct Turn {
    free: Arc<Semaphore>,
    at_once: usize,
    refused: IntCounter,
}

impl Turn {
    fn new(at_once: u32, refused: IntCounter) -> Self {
        let at_once = at_once as usize;
        Self {
            free: Arc::new(Semaphore::new(at_once)),
            at_once,
            refused,
        }
    }

    /// Returns the number of turns in use.
    pub fn taken(&self) -> usize {
        self.at_once - self.free.available_permits()
    }

    /// Waits briefly for a free turn. Dropping the permit frees the turn.
    pub async fn take(&self) -> Result<OwnedSemaphorePermit, Busy> {
        let permit = tokio::time::timeout(PATIENCE, self.free.clone().acquire_owned()).await;
        permit.ok().and_then(Result::ok).ok_or_else(|| {
            self.refused.inc();
            Busy
        })
    }
}

/// All turns are in use.
#[derive(Debug)]
pub struct Busy;

impl Busy {
    pub const SENTENCE: &str =
        "Too many requests of this kind are being answered right now. Try again in a few seconds.";
}

impl From<Busy> for Problem {
    fn from(_: Busy) -> Self {
        Self::new(ProblemKind::Busy, Busy::SENTENCE).retry_after(2)
    }
}
