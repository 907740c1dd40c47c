//! PostgreSQL, file storage, the Temporal client, and the use cases on top of them.
//!
//! **Invariants.** All SQL is in this crate. It knows no HTML and no workflow code, and serves no HTTP except
//! what `monitoring` serves to operators. The server, the pages and the worker call one function here per use case and
//! translate its result.
//!
//! Dependencies point down this list and, on a line, to the right. There are two exceptions: `access` notes refusals in
//! the audit, and `storage` fails with the errors that know its own. Nothing from the readers on down takes a [`Backend`],
//! except to show the audit.
//!
//! ```text
//! entry points  demo  uploads  control  deletion                                   server and app
//!               queries  quotas  reports  versions  results::{page, row, download, workbook}
//! operators     monitoring  health
//! the worker    processing  maintenance
//! people        accounts  saved_formats  users
//! readers       results::{search, reader, id_index}  starter
//! who           audit: what they did  access: what a viewer may do, asked by every entry point
//! the ledger    ledger: every query on chunks
//! the job       jobs::{list, transition, events, query, usage}: every query on jobs  deletion_queue
//! without jobs  dry_run  health_check
//! ground        own_task  database  temporal  config  program  traces  hosts  error  storage
//!               openid: the provider that people sign in with  http_client
//! ```

mod access;
pub mod accounts;
pub mod audit;
pub mod config;
pub mod control;
mod database;
pub mod deletion;
mod deletion_queue;
pub mod demo;
pub mod dry_run;
mod error;
pub mod health;
mod health_check;
pub mod hosts;
mod http_client;
mod jobs;
mod ledger;
pub mod maintenance;
pub mod monitoring;
pub mod openid;
mod own_task;
pub mod processing;
pub mod program;
pub mod queries;
pub mod quotas;
pub mod reports;
pub mod results;
pub mod saved_formats;
mod starter;
mod storage;
mod temporal;
pub mod traces;
pub mod uploads;
pub mod users;
pub mod versions;

use std::time::Duration;

use anyhow::Context;
use sqlx::PgPool;

use crate::{
    accounts::{BreachedPasswords, Passwords},
    health::LatestReadiness,
    jobs::events::Publisher,
    results::search::Searches,
    starter::Starter,
    uploads::Intake,
};

pub use access::{Account, Means, Viewer};
pub use config::{BackendConfig, QuotaDefaults};
pub use database::migrate;
pub use error::{Error, Result};
pub use health_check::health_check;
pub use jobs::{
    events::{Event, ProgressHub},
    list::{JobList, ListedJob, StatusCounts},
    query::FileFormat,
};
pub use storage::Storage;
pub use temporal::{
    ApplyRetention, Assignment, Attempt, ProcessJob, ProcessSmallJobs, Temporal,
    connect as connect_to_temporal, schedule_retention,
};

/// The resources that every use case needs. Cheap to clone.
#[derive(Clone)]
pub struct Backend {
    pub(crate) pool: PgPool,
    pub(crate) storage: Storage,
    pub(crate) temporal: Temporal,
    pub(crate) starter: Starter,
    pub(crate) publisher: Publisher,
    pub(crate) searches: Searches,
    pub(crate) passwords: Passwords,
    pub(crate) readiness: LatestReadiness,
    pub(crate) intake: Intake,
    pub(crate) max_upload_bytes: u64,
    pub(crate) quotas: QuotaDefaults,
    pub(crate) audit_retention_days: u64,
}

impl Backend {
    /// Connects to PostgreSQL, runs the migrations and opens the storage. If the role doesn't own the database, fails
    /// unless [`migrate`] has run them. Waits a while for PostgreSQL, which may be starting at the same time. The
    /// connection to Temporal opens on first use.
    ///
    /// `statement_timeout` limits every statement except those of the migrations.
    pub async fn connect(
        config: &BackendConfig,
        statement_timeout: Option<Duration>,
    ) -> anyhow::Result<Self> {
        // The object stores and Temporal use rustls with the default provider of the process. An error only means that
        // one is already installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Settings that may be wrong come before services that may still be starting.
        let storage = Storage::open(&config.storage_url)
            .with_context(|| format!("STORAGE_URL {:?} can't be used", config.storage_url))?;
        let pool = database::connect(config, statement_timeout).await?;
        let temporal = Temporal::new(config);
        Ok(Self {
            storage,
            starter: Starter::new(pool.clone(), temporal.clone(), config.quotas),
            publisher: Publisher::start(pool.clone()),
            pool,
            temporal,
            searches: Searches::new(),
            passwords: Passwords::new(),
            readiness: LatestReadiness::default(),
            intake: Intake::with_reserve(config.storage_reserve_bytes),
            max_upload_bytes: config.max_upload_bytes,
            quotas: config.quotas,
            audit_retention_days: config.audit_retention_days.unwrap_or(0),
        })
    }

    /// Also checks new passwords against these.
    pub fn with_breached_passwords(self, breached: &BreachedPasswords) -> anyhow::Result<Self> {
        Ok(Self {
            passwords: self.passwords.with_breached(breached)?,
            ..self
        })
    }

    /// Returns the maximum size of an upload, in bytes. Larger files are refused.
    pub fn max_upload_bytes(&self) -> u64 {
        self.max_upload_bytes
    }

    /// Returns whether files are stored on this machine's disk.
    pub fn has_local_files(&self) -> bool {
        self.storage.local_path("").is_some()
    }
}
