//! Periodic tasks of every worker. They run as long as at least one worker does.

mod old_results;
mod reconcile;
pub mod retention;
mod storage_check;
mod sweep;

pub use storage_check::{Mismatch, check_storage};
pub(crate) use sweep::sweep_soon;

use domain::ResultId;

use crate::{
    Backend, Error, Result,
    jobs::{list, usage},
};

/// What a process does every few seconds.
pub struct Maintenance {
    backend: Backend,
    /// The results of an earlier version whose verdicts this version can't derive.
    differing: Vec<ResultId>,
}

impl Maintenance {
    pub fn new(backend: Backend) -> Self {
        Self {
            backend,
            differing: Vec::new(),
        }
    }

    /// Runs one round. A task that fails doesn't keep the others from running.
    pub async fn round(&mut self) -> Result<()> {
        let Backend { pool, storage, .. } = &self.backend;
        let results = [
            sweep::sweep(pool, storage).await,
            reconcile::reconcile(&self.backend).await,
            old_results::derive(pool, storage, &mut self.differing).await,
            list::sum_up_counts(pool).await.map_err(Error::from),
            usage::sum_up(pool).await.map_err(Error::from),
        ];
        results.into_iter().collect()
    }
}
