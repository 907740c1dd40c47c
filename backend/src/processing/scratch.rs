//! Temporary directories for files that are being converted.

use std::{
    env,
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use tempfile::TempDir;

/// The prefix of the directories' names.
const PREFIX: &str = "batchline-";

/// The name of a file in each directory that its process keeps locked. The lock ends with the process, however that
/// ends.
const IN_USE: &str = "in-use";

/// A directory that is removed on drop.
pub(super) struct Scratch {
    directory: TempDir,
    _in_use: File,
}

impl Scratch {
    /// Creates a directory in `TMPDIR` that only this user can access.
    pub fn new() -> io::Result<Self> {
        Self::new_in(&env::temp_dir())
    }

    fn new_in(parent: &Path) -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)?;
        let new = directory.path().join("new");
        let in_use = File::create(&new)?;
        in_use.lock()?;
        // A directory without this file isn't treated as abandoned, so it can't be removed before it is locked.
        fs::rename(new, directory.path().join(IN_USE))?;
        Ok(Self {
            directory,
            _in_use: in_use,
        })
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// Removes the directories of killed processes from `TMPDIR`. Each may hold gigabytes.
///
/// # Errors
///
/// Returns an error if `TMPDIR` can't be read. Logs and skips a directory that can't be removed.
pub fn remove_abandoned() -> io::Result<()> {
    remove_abandoned_in(&env::temp_dir())
}

fn remove_abandoned_in(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if !is_ours || !entry.file_type()?.is_dir() {
            continue;
        }
        let path = entry.path();
        let is_abandoned = File::open(path.join(IN_USE)).is_ok_and(|file| file.try_lock().is_ok());
        if is_abandoned && let Err(error) = fs::remove_dir_all(&path) {
            tracing::warn!(%error, path = %path.display(), "an abandoned directory can't be removed");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unused_directories_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let used = Scratch::new_in(parent.path()).unwrap();
        fs::write(used.path().join("out"), "text").unwrap();
        let dropped = Scratch::new_in(parent.path()).unwrap();
        let dropped_path = dropped.path().to_owned();
        drop(dropped);
        assert!(!dropped_path.exists());
        // A killed process leaves the same, but without a lock.
        let abandoned = parent.path().join(format!("{PREFIX}abandoned"));
        let beginning = parent.path().join(format!("{PREFIX}beginning"));
        let other = parent.path().join("other");
        for directory in [&abandoned, &beginning, &other] {
            fs::create_dir(directory).unwrap();
            fs::write(directory.join("out"), "text").unwrap();
        }
        for directory in [&abandoned, &other] {
            fs::write(directory.join(IN_USE), "").unwrap();
        }

        remove_abandoned_in(parent.path()).unwrap();

        assert!(!abandoned.exists());
        assert!(used.path().join("out").exists());
        assert!(beginning.exists(), "it may not be locked yet");
        assert!(other.exists());
        let mode = fs::metadata(used.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
