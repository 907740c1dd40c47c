//! Directories for what tests and measurements write.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::project::say;

/// A directory that is removed at the end. Its `*.log` are the logs of services.
pub struct WorkDirectory(TempDir);

impl WorkDirectory {
    pub fn new(task: &str) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix(&format!("batchline-{task}."))
            .tempdir()?;
        // PostgreSQL may run as another user.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711))?;
        Ok(Self(directory))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn log(&self, service: &str) -> PathBuf {
        self.file(&format!("{service}.log"))
    }

    /// Keeps the logs if the task has failed.
    pub fn keep_logs_of<T>(&self, result: anyhow::Result<T>) -> anyhow::Result<T> {
        if result.is_err() {
            let kept = Path::new(".local/test-logs");
            fs::create_dir_all(kept)?;
            let mut count = 0;
            for entry in fs::read_dir(self.path())? {
                let log = entry?.path();
                if let (Some(name), true) = (
                    log.file_name(),
                    log.extension().is_some_and(|extension| extension == "log"),
                ) {
                    fs::copy(&log, kept.join(name))?;
                    count += 1;
                }
            }
            if count > 0 {
                say(format!(
                    "The logs of the programs that were running are in {}.",
                    kept.display()
                ));
            }
        }
        result
    }
}
