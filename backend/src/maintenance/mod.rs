//! Periodic tasks of every worker. They run as long as at least one worker does.

mod old_results;
mod reconcile;
pub mod retention;
mod storage_check;
mod sweep;

pub use storage_check::{Mismatch, check_storage};
pub(crate) use sweep::sweep_soon;

use crate::{
    Backend, Error, Result,
    jobs::{list, usage},
};

/// Runs one round. A task that fails doesn't keep the others from running.
pub async fn round(backend: &Backend) -> Result<()> {
    let results = [
        sweep::sweep(&backend.pool, &backend.storage).await,
        reconcile::reconcile(backend).await,
        old_results::derive(&backend.pool, &backend.storage).await,
        list::sum_up_counts(&backend.pool)
            .await
            .map_err(Error::from),
        usage::sum_up(&backend.pool).await.map_err(Error::from),
    ];
    results.into_iter().collect()
}
