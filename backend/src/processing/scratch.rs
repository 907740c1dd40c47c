//! Directories on this machine's disk for files that are being converted.

use std::{
    env,
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use tempfile::TempDir;

/// How the names of the directories begin.
const PREFIX: &str = "batchline-";

/// A file in each of them that its process keeps locked: the lock ends with the process, however that ends.
const IN_USE: &str = "in-use";

/// A directory that is removed when this is dropped.
pub(super) struct Scratch {
    directory: TempDir,
    _in_use: File,
}

impl Scratch {
    /// Creates one in `TMPDIR`, for this user alone.
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
        // Without this name the directory is nobody's to remove, so that it can't be removed before it is locked.
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

/// Removes what killed processes have left in `TMPDIR`: files of gigabytes, where many are converted.
///
/// # Errors
///
/// Returns an error if `TMPDIR` can't be read. A directory that can't be removed is logged and left.
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
    fn only_what_nobody_uses_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let used = Scratch::new_in(parent.path()).unwrap();
        fs::write(used.path().join("out"), "text").unwrap();
        let dropped = Scratch::new_in(parent.path()).unwrap();
        let dropped_path = dropped.path().to_owned();
        drop(dropped);
        assert!(!dropped_path.exists());
        // What a process has left that was killed: the same, without a lock.
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
