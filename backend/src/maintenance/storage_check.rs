//! Compares the files with the database, which may be of different moments after they were restored from a backup.

use std::time::Duration;

use chrono::Utc;
use domain::JobId;
use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use super::sweep;
use crate::{Backend, Result, deletion_queue, jobs::query, storage::StoredObject};

/// Files, or jobs, that are looked up at a time.
const BATCH: usize = 5_000;
/// Files that are asked for at the same time.
const LANES: usize = 16;

/// Something that is in one of the two only.
pub enum Mismatch {
    /// A file that belongs to no job and no upload under way.
    Orphan { key: String, bytes: u64 },
    /// A job one of whose files isn't there.
    MissingFile { job_id: JobId, key: String },
}

/// Finds the files of ours that nothing knows and that are older than `min_age`, and the jobs whose files are missing;
/// `on_found` is called with each. With `remove`, the files are removed.
///
/// A file is known to its job, or to the deletion queue, where it stands while it is written. `min_age` is for what
/// neither knows yet, as clocks and stores may be late.
pub async fn check_storage(
    backend: &Backend,
    min_age: Duration,
    remove: bool,
    mut on_found: impl FnMut(Mismatch),
) -> Result<()> {
    let newest = Utc::now() - min_age;
    let is_candidate = |object: &StoredObject| is_ours(&object.key) && object.modified_at < newest;
    let mut batches = backend
        .storage
        .list()
        .try_filter(|object| std::future::ready(is_candidate(object)))
        .try_chunks(BATCH);
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(|error| error.1)?;
        let keys: Vec<String> = batch.iter().map(|object| object.key.clone()).collect();
        let unknown = query::unknown_files(&backend.pool, &keys).await?;
        if remove {
            deletion_queue::remove_unknown(&backend.pool, &unknown).await?;
        }
        for object in batch {
            if unknown.contains(&object.key) {
                on_found(Mismatch::Orphan {
                    key: object.key,
                    bytes: object.bytes,
                });
            }
        }
    }
    if remove {
        sweep::sweep(&backend.pool, &backend.storage).await?;
    }
    let mut after = None;
    loop {
        let files = query::files_after(&backend.pool, after, BATCH).await?;
        let Some((last, _)) = files.last() else {
            return Ok(());
        };
        after = Some(*last);
        let mut checked = stream::iter(files)
            .map(async |(job_id, key)| {
                let is_there = backend.storage.has(&key).await?;
                Ok::<_, crate::Error>((!is_there).then_some((job_id, key)))
            })
            .buffered(LANES);
        while let Some(missing) = checked.next().await {
            if let Some((job_id, key)) = missing? {
                on_found(Mismatch::MissingFile { job_id, key });
            }
        }
    }
}

/// Whether we may have named it: `{uuid}.csv`, and what stands beside such a file. Others may keep theirs in the same place.
fn is_ours(key: &str) -> bool {
    let Some((id, rest)) = key.split_at_checked(36) else {
        return false;
    };
    Uuid::try_parse(id).is_ok() && (rest == ".csv" || rest.starts_with(".csv."))
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn only_files_that_we_have_named_are_ours() {
        let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        for ours in [".csv", ".csv.67e55044-10b1-426f-9247-bb680e5fe0c8.ids"] {
            assert!(is_ours(&format!("{id}{ours}")), "{ours}");
        }
        for other in [
            "",
            "payments.csv",
            &format!("{id}.csvx"),
            &format!("x/{id}.csv"),
            id,
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
