//! Bounds on work that is done at the same time.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    limits::Limits,
    problem::{Problem, ProblemKind},
};

/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// The turns of what takes long.
#[derive(Clone)]
pub struct Turns {
    pub searches: Turn,
    pub downloads: Turn,
}

impl Turns {
    pub fn new(limits: &Limits) -> Self {
        Self {
            searches: Turn::new(limits.max_searches),
            downloads: Turn::new(limits.max_downloads),
        }
    }
}

#[derive(Clone)]
pub struct Turn(Arc<Semaphore>);

impl Turn {
    fn new(at_once: u32) -> Self {
        Self(Arc::new(Semaphore::new(at_once as usize)))
    }

    /// Waits for a moment until fewer are under way. The turn ends when the permit is dropped.
    pub async fn take(&self) -> Result<OwnedSemaphorePermit, Busy> {
        let permit = tokio::time::timeout(PATIENCE, self.0.clone().acquire_owned()).await;
        permit.map_or(Err(Busy), |permit| permit.map_err(|_| Busy))
    }
}

/// Too much of a kind is under way.
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
