//! Readiness: whether PostgreSQL, Temporal and the storage respond.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::{sync::Mutex, time::timeout};

use crate::{Backend, database};

/// How long each service may take to respond.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a result is cached. However many clients request it, each service is checked at most this often.
const FRESH: Duration = Duration::from_secs(1);

const OK: &str = "ok";

/// The result of the check of each service.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Readiness {
    /// `ok`, or `unavailable` if a service doesn't respond.
    pub status: &'static str,
    /// `ok` or a short reason; the same holds for the others. Never the service's own error, because anybody may see
    /// this.
    pub postgres: &'static str,
    pub temporal: &'static str,
    pub storage: &'static str,
}

impl Readiness {
    /// Returns whether every service responds.
    pub fn is_ready(&self) -> bool {
        self.parts().into_iter().all(|(_, answers)| answers)
    }

    /// Returns the name of each service, and whether it responds.
    pub fn parts(&self) -> [(&'static str, bool); 3] {
        [
            ("postgres", self.postgres == OK),
            ("temporal", self.temporal == OK),
            ("storage", self.storage == OK),
        ]
    }
}

/// The latest result, and when it was obtained.
pub(crate) type LatestReadiness = Arc<Mutex<Option<(Instant, Readiness)>>>;

/// Checks PostgreSQL, Temporal and the storage. Returns within a few seconds, even if one of them hangs.
pub async fn readiness(backend: &Backend) -> Readiness {
    // Runs in a separate task, so that a client that disconnects doesn't cancel the check for others.
    let asked = tokio::spawn(ask(backend.clone())).await;
    asked.unwrap_or_else(|error| {
        tracing::error!(%error, "a health check panicked");
        let unknown = "the check failed";
        report(unknown, unknown, unknown)
    })
}

async fn ask(backend: Backend) -> Readiness {
    let mut latest = backend.readiness.lock().await;
    if let Some((at, readiness)) = *latest
        && at.elapsed() < FRESH
    {
        return readiness;
    }
    let (postgres, temporal, storage) = tokio::join!(
        part("postgres", async {
            Ok(database::answers(&backend.pool).await?)
        }),
        part("temporal", backend.temporal.answers()),
        part("storage", backend.storage.answers()),
    );
    let readiness = report(postgres, temporal, storage);
    *latest = Some((Instant::now(), readiness));
    readiness
}

fn report(postgres: &'static str, temporal: &'static str, storage: &'static str) -> Readiness {
    let mut readiness = Readiness {
        status: OK,
        postgres,
        temporal,
        storage,
    };
    if !readiness.is_ready() {
        readiness.status = "unavailable";
    }
    readiness
}

async fn part(name: &str, answer: impl Future<Output = anyhow::Result<()>>) -> &'static str {
    match timeout(PATIENCE, answer).await {
        Ok(Ok(())) => OK,
        Ok(Err(error)) => {
            tracing::warn!(
                part = name,
                error = format!("{error:#}"),
                "a part doesn't answer"
            );
            "can't be reached or used"
        }
        Err(_) => {
            tracing::warn!(part = name, "a part doesn't answer in time");
            "no answer within 2 s"
        }
    }
}
