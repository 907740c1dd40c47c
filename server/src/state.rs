//! What the handlers share.

use axum::extract::FromRef;
use backend::{Backend, progress::ProgressHub};
use leptos::config::LeptosOptions;
use tokio::sync::watch;

use crate::config::ServerConfig;

#[derive(Clone, FromRef)]
pub struct AppState {
    pub backend: Backend,
    pub hub: ProgressHub,
    pub leptos_options: LeptosOptions,
    pub stopping: Stopping,
}

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
        // Leptos looks for a relative path beside the program. Without a site, as in tests, there is no such file.
        let names = config.site_root.join("hash.txt").canonicalize();
        let leptos_options = LeptosOptions::builder()
            .output_name("batchline")
            .site_root(config.site_root.to_string_lossy().into_owned())
            .site_addr(config.web_addr)
            .hash_files(names.is_ok())
            .hash_file(names.unwrap_or_default().to_string_lossy().into())
            .build();
        Self {
            backend,
            hub,
            leptos_options,
            stopping,
        }
    }
}
