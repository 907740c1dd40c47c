//! What the handlers share.

use std::path::PathBuf;

use app::Site;
use axum::extract::FromRef;
use backend::{Backend, ProgressHub};
use tokio::sync::watch;

use crate::config::ServerConfig;

#[derive(Clone, FromRef)]
pub struct AppState {
    pub backend: Backend,
    pub hub: ProgressHub,
    pub site: Site,
    /// Directory of the site's files.
    pub site_root: PathBuf,
    pub stopping: Stopping,
    pub max_check_bytes: MaxCheckBytes,
}

/// The largest file that is checked without a job, in bytes. It is held in memory.
#[derive(Clone, Copy)]
pub struct MaxCheckBytes(pub usize);

/// Becomes true when the server is about to stop.
#[derive(Clone)]
pub struct Stopping(pub watch::Receiver<bool>);

impl Stopping {
    /// Resolves when the server is about to stop.
    pub async fn wait(&mut self) {
        // An error says that the sender is gone, which means the same.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}

impl AppState {
    pub fn new(
        backend: Backend,
        hub: ProgressHub,
        config: &ServerConfig,
        stopping: Stopping,
    ) -> Self {
        Self {
            backend,
            hub,
            site: Site::new(&config.site_root),
            site_root: config.site_root.clone(),
            max_check_bytes: MaxCheckBytes(config.max_check_bytes),
            stopping,
        }
    }
}
