//! PostgreSQL, file storage, the Temporal client, and the use cases on top of them.
//!
//! **Invariants.** SQL stands only in this crate. It knows no HTTP, no HTML and no workflow code:
//! the server, the pages and the worker each call one function here and translate the result.

pub mod config;
pub mod control;
mod database;
pub mod demo;
pub mod downloads;
mod error;
pub mod housekeeping;
pub mod jobs;
mod probe;
pub mod processing;
pub mod program;
pub mod progress;
mod reconcile;
mod removals;
pub mod reports;
mod search;
mod starter;
mod storage;
mod stored_result;
mod temporal;
pub mod transactions;
pub mod users;

use anyhow::Context;
use sqlx::PgPool;

use crate::{search::Searches, starter::Starter};

pub use config::BackendConfig;
pub use error::{Error, Result};
pub use probe::probe;
pub use storage::Storage;
pub use temporal::{
    Assignment, ProcessJob, ProcessSmallJobs, Run, Temporal, connect as connect_to_temporal,
};

/// What every use case works on. Cheap to clone.
#[derive(Clone)]
pub struct Backend {
    pub(crate) pool: PgPool,
    pub(crate) storage: Storage,
    pub(crate) temporal: Temporal,
    pub(crate) starter: Starter,
    pub(crate) searches: Searches,
    pub(crate) max_upload_bytes: u64,
}

/// Whether the services behind Batchline answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    pub postgres: bool,
    pub temporal: bool,
}

impl Backend {
    /// Connects to Postgres (waiting for it for a while, as it may be starting too), runs the
    /// migrations and opens the storage. Temporal is connected to when it is first needed.
    pub async fn connect(config: &BackendConfig) -> anyhow::Result<Self> {
        // The object stores and Temporal use rustls with whichever provider is the process's default;
        // an error only says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // First what can be wrong with the settings, then what may have to be waited for.
        let storage = Storage::open(&config.storage_url)
            .with_context(|| format!("STORAGE_URL {:?} can't be used", config.storage_url))?;
        Ok(Self {
            pool: database::connect(config).await?,
            storage,
            temporal: Temporal::new(config),
            starter: Starter::new(),
            searches: Searches::new(),
            max_upload_bytes: config.max_upload_bytes,
        })
    }

    /// Larger files are refused.
    pub fn max_upload_bytes(&self) -> u64 {
        self.max_upload_bytes
    }

    pub async fn health(&self) -> Health {
        let (postgres, temporal) =
            tokio::join!(database::answers(&self.pool), self.temporal.answers());
        Health { postgres, temporal }
    }
}
