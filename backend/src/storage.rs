//! The uploaded files, kept as they came: on a disk or in an object store.

use std::{ops::Range, sync::Arc};

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use futures::{Stream, TryStreamExt};
use object_store::{
    ObjectStore, ObjectStoreExt, WriteMultipart, local::LocalFileSystem, path::Path,
    prefix::PrefixStore,
};
use sha2::{Digest, Sha256};
use url::Url;

use crate::{Error, Result};

/// Bytes that are sent to the store at a time (object stores want at least 5 MiB), and how many such
/// parts may be under way: together the memory that an upload takes.
const PART_BYTES: usize = 5 << 20;
const PARTS_IN_FLIGHT: usize = 2;

#[derive(Clone)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    /// Where the files are, if they are on a disk.
    directory: Option<Arc<std::path::Path>>,
}

/// A file that was stored whole.
pub(crate) struct StoredFile {
    pub bytes: u64,
    /// Lower-case hexadecimal.
    pub sha256: String,
}

impl Storage {
    /// Opens `file:///…`, `s3://…`, `gs://…` or `az://…`. The object stores take their credentials
    /// from the environment by their own standard variables.
    pub fn open(url: &str) -> anyhow::Result<Self> {
        let url = Url::parse(url).context("it is not a URL like file:///var/lib/batchline")?;
        if url.scheme() == "file" {
            let directory = url
                .to_file_path()
                .map_err(|()| anyhow::anyhow!("it has no absolute path"))?;
            std::fs::create_dir_all(&directory)
                .with_context(|| format!("{} can't be created", directory.display()))?;
            // An upload that was answered must outlive a power cut.
            let store = LocalFileSystem::new_with_prefix(&directory)?.with_fsync(true);
            return Ok(Self {
                store: Arc::new(store),
                directory: Some(directory.into()),
            });
        }
        let variables = std::env::vars().map(|(name, value)| (name.to_ascii_lowercase(), value));
        let (store, path) = object_store::parse_url_opts(&url, variables)?;
        Ok(Self {
            store: Arc::new(PrefixStore::new(store, path)),
            directory: None,
        })
    }

    /// Stores `content` under `key`, never holding more than a few parts of it in memory. Whatever
    /// goes wrong, nothing is left behind.
    pub(crate) async fn write<E>(
        &self,
        key: &str,
        mut content: impl Stream<Item = Result<Bytes, E>> + Unpin,
        limit: u64,
    ) -> Result<StoredFile>
    where
        E: std::fmt::Display,
    {
        let path = Path::from(key);
        let mut hasher = Sha256::new();
        let mut bytes = 0_u64;
        // Object stores refuse a multipart upload without parts, so a small file goes in one piece.
        let mut head = BytesMut::new();
        let mut upload = None;
        loop {
            let piece = match content.try_next().await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(error) => {
                    abort(upload).await;
                    tracing::info!(%error, "an upload broke off");
                    return Err(Error::BadUpload(
                        "The upload broke off before the file was complete.".to_owned(),
                    ));
                }
            };
            bytes += piece.len() as u64;
            if bytes > limit {
                abort(upload).await;
                discard(content, limit).await;
                return Err(Error::TooLarge { limit });
            }
            hasher.update(&piece);
            match &mut upload {
                None if head.len() + piece.len() <= PART_BYTES => head.extend_from_slice(&piece),
                None => {
                    let mut started = WriteMultipart::new_with_chunk_size(
                        self.store.put_multipart(&path).await?,
                        PART_BYTES,
                    );
                    started.write(&std::mem::take(&mut head));
                    started.write(&piece);
                    upload = Some(started);
                }
                Some(upload) => {
                    upload.wait_for_capacity(PARTS_IN_FLIGHT).await?;
                    upload.write(&piece);
                }
            }
        }
        match upload {
            Some(upload) => upload.finish().await?,
            None => self.store.put(&path, head.freeze().into()).await?,
        };
        Ok(StoredFile {
            bytes,
            sha256: format!("{:x}", HexDigest(&hasher.finalize())),
        })
    }

    /// The bytes of a range that lies within the file.
    pub(crate) async fn read(&self, key: &str, range: Range<u64>) -> object_store::Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        self.store.get_range(&Path::from(key), range).await
    }

    /// Removes a file, whole or half written; that it is not there is fine. The parts of an upload to an
    /// object store that broke off with this process are for a lifecycle rule of the bucket to remove.
    pub(crate) async fn delete(&self, key: &str) -> anyhow::Result<()> {
        match self.store.delete(&Path::from(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(directory) = self.directory.clone() {
            let key = key.to_owned();
            tokio::task::spawn_blocking(move || delete_staged(&directory, &key)).await??;
        }
        Ok(())
    }
}

/// While `object_store` writes the file `key` it is called `key#1` or with another number.
fn delete_staged(directory: &std::path::Path, key: &str) -> std::io::Result<()> {
    let staged = format!("{key}#");
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&staged) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Reads on without keeping anything: a sender that is still sending would see its connection reset
/// rather than our answer. Not for ever, though: at most as much again as would have been accepted.
async fn discard<E>(mut content: impl Stream<Item = Result<Bytes, E>> + Unpin, limit: u64) {
    let mut bytes = 0;
    while bytes <= limit
        && let Ok(Some(piece)) = content.try_next().await
    {
        bytes += piece.len() as u64;
    }
}

async fn abort(upload: Option<WriteMultipart>) {
    if let Some(upload) = upload
        && let Err(error) = upload.abort().await
    {
        tracing::warn!(%error, "the parts of a broken upload could not be removed");
    }
}

struct HexDigest<'a>(&'a [u8]);

impl std::fmt::LowerHex for HexDigest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
