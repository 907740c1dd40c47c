//! Compares the storage with the database. After a restore, they may come from backups of different moments.

use std::time::Duration;

use chrono::Utc;
use domain::JobId;
use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use super::sweep;
use crate::{Backend, Result, deletion_queue, jobs::query, storage::StoredObject};

/// The number of files, or jobs, that are looked up together.
const PAGE: usize = 5_000;
/// The number of files that are requested at the same time.
const LANES: usize = 16;

/// A file that exists only in the storage or only in the database.
pub enum Mismatch {
    /// A file that belongs to no job and no upload in progress.
    Orphan { key: String, bytes: u64 },
    /// A job with a file that is missing from the storage.
    MissingFile { job_id: JobId, key: String },
}

/// Finds files of ours that the database doesn't know and that are older than `min_age`, and jobs with missing files.
/// Calls `on_found` for each. With `remove`, removes the files.
///
/// A file is known to its job, or to the deletion queue while it is being written. `min_age` allows for files that
/// neither knows yet, because clocks and stores may lag.
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
        .try_chunks(PAGE);
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
        let files = query::files_after(&backend.pool, after, PAGE).await?;
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

/// Returns whether the name may be one of ours: `{uuid}.csv`, or an object beside such a file. Others may use the same
/// storage.
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
    fn only_files_with_our_names_are_ours() {
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
