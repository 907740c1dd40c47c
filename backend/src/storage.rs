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
}

/// A file that was stored whole.
pub(crate) struct StoredFile {
    pub key: String,
    pub bytes: u64,
    /// Lower-case hexadecimal.
    pub sha256: String,
}

impl Storage {
    /// Opens `file:///…`, `s3://…`, `gs://…` or `az://…`. The object stores take their credentials
    /// from the environment by their own standard variables.
    pub fn open(url: &str) -> anyhow::Result<Self> {
        let url = Url::parse(url).context("it is not a URL like file:///var/lib/batchline")?;
        let store: Arc<dyn ObjectStore> = if url.scheme() == "file" {
            let directory = url
                .to_file_path()
                .map_err(|()| anyhow::anyhow!("it has no absolute path"))?;
            std::fs::create_dir_all(&directory)
                .with_context(|| format!("{} can't be created", directory.display()))?;
            // An upload that was answered must outlive a power cut.
            Arc::new(LocalFileSystem::new_with_prefix(directory)?.with_fsync(true))
        } else {
            let variables =
                std::env::vars().map(|(name, value)| (name.to_ascii_lowercase(), value));
            let (store, path) = object_store::parse_url_opts(&url, variables)?;
            Arc::new(PrefixStore::new(store, path))
        };
        Ok(Self { store })
    }

    /// Stores `content` under `key`, never holding more than a few parts of it in memory. Whatever
    /// goes wrong, nothing is left behind.
    pub(crate) async fn write<E>(
        &self,
        key: String,
        mut content: impl Stream<Item = Result<Bytes, E>> + Unpin,
        limit: u64,
    ) -> Result<StoredFile>
    where
        E: std::fmt::Display,
    {
        let path = Path::from(key.as_str());
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
            key,
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

    /// Removes a file; that it is not there is fine.
    pub(crate) async fn delete(&self, key: &str) -> object_store::Result<()> {
        match self.store.delete(&Path::from(key)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            result => result,
        }
    }
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
