//! Work that continues when the request that asked for it is dropped, as that of a client that disconnects.

use crate::{Error, Result, traces};

/// Runs work that must not stop halfway in a task of its own, and returns its result.
pub(crate) async fn complete<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(traces::in_current_spans(work))
        .await
        .map_err(|error| Error::Internal(error.into()))?
}
