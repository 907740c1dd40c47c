//! Limits on concurrent work, in total and per user.

use std::{net::IpAddr, sync::Arc, time::Duration};

use app::AppError;
use backend::Viewer;
use domain::UserId;
use prometheus::IntCounter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    limits::Limits,
    metrics::{Limited, Metrics},
    problem::{Problem, ProblemKind},
    rate::whose,
    shares::Shares,
};

/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// Limits on expensive operations.
#[derive(Clone)]
pub struct Turns {
    pub searches: Turn,
    pub downloads: Turn,
    pub checks: Turn,
    pub uploads: Turn,
}

impl Turns {
    pub fn new(limits: &Limits, metrics: &Metrics) -> Self {
        let turn = |at_once, limited| Turn::new(at_once, metrics.refused(limited));
        Self {
            searches: turn(limits.max_searches, Limited::Searches),
            downloads: turn(limits.max_downloads, Limited::Downloads),
            checks: turn(limits.max_checks, Limited::Checks),
            uploads: turn(limits.max_uploads, Limited::Uploads),
        }
    }
}

/// The turns of one kind of operation. Nobody holds more than half of them.
#[derive(Clone)]
pub struct Turn {
    free: Arc<Semaphore>,
    shares: Shares<Holder>,
    at_once: usize,
    refused: IntCounter,
}

/// Who holds a turn: a user or, if sign-in is disabled, an address.
#[derive(PartialEq, Eq, Hash)]
enum Holder {
    User(UserId),
    Address(Option<IpAddr>),
}

impl Holder {
    fn of(viewer: &Viewer) -> Self {
        match viewer.account() {
            Some(account) => Self::User(account.user_id),
            None => Self::Address(viewer.address().map(whose)),
        }
    }
}

/// A turn in use. Dropping it frees the turn.
#[derive(Debug)]
pub struct Taken {
    _share: OwnedSemaphorePermit,
    _turn: OwnedSemaphorePermit,
}

impl Turn {
    fn new(at_once: u32, refused: IntCounter) -> Self {
        let at_once = at_once as usize;
        Self {
            free: Arc::new(Semaphore::new(at_once)),
            shares: Shares::new((at_once / 2).max(1)),
            at_once,
            refused,
        }
    }

    /// Returns the number of turns in use.
    pub fn taken(&self) -> usize {
        self.at_once - self.free.available_permits()
    }

    /// Waits briefly for a free turn of the viewer's share.
    pub async fn take(&self, viewer: &Viewer) -> Result<Taken, Busy> {
        let taken = async {
            // Whoever waits for their own turns must not keep others waiting.
            let share = self.shares.of(Holder::of(viewer)).acquire_owned().await;
            let turn = self.free.clone().acquire_owned().await;
            Some(Taken {
                _share: share.ok()?,
                _turn: turn.ok()?,
            })
        };
        let taken = tokio::time::timeout(PATIENCE, taken).await;
        taken.ok().flatten().ok_or_else(|| {
            self.refused.inc();
            Busy
        })
    }
}

/// All turns, or all of the viewer's share, are in use.
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

impl From<Busy> for AppError {
    fn from(_: Busy) -> Self {
        Self::unavailable(Busy::SENTENCE)
    }
}
