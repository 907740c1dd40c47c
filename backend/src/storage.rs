//! The uploaded files, kept as they came: on a disk or in an object store.

use std::{ops::Range, sync::Arc};

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, TryStreamExt, stream};
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
        let mut hasher = Sha256::new();
        let mut bytes = 0_u64;
        let mut upload = self.upload(key).await?;
        loop {
            let piece = match content.try_next().await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(error) => {
                    upload.abort().await;
                    tracing::info!(%error, "an upload broke off");
                    return Err(Error::BadUpload(
                        "The upload broke off before the file was complete.".to_owned(),
                    ));
                }
            };
            bytes += piece.len() as u64;
            if bytes > limit {
                upload.abort().await;
                discard(content, limit).await;
                return Err(Error::TooLarge { limit });
            }
            hasher.update(&piece);
            upload.write(&piece).await?;
        }
        upload.finish().await?;
        Ok(StoredFile {
            bytes,
            sha256: format!("{:x}", HexDigest(&hasher.finalize())),
        })
    }

    /// Begins to store an object under `key`. It is there once [`Upload::finish`] has returned.
    pub(crate) async fn upload(&self, key: &str) -> object_store::Result<Upload> {
        Ok(Upload {
            store: self.store.clone(),
            path: Path::from(key),
            head: BytesMut::new(),
            multipart: None,
        })
    }

    /// The bytes of a range that lies within the file.
    pub(crate) async fn read(&self, key: &str, range: Range<u64>) -> object_store::Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        self.store.get_range(&Path::from(key), range).await
    }

    /// The bytes of several ranges that lie within the file. From an object store neighbours come with one request.
    pub(crate) async fn read_ranges(
        &self,
        key: &str,
        ranges: &[Range<u64>],
    ) -> object_store::Result<Vec<Bytes>> {
        match ranges {
            [] => Ok(Vec::new()),
            [range] => Ok(vec![self.read(key, range.clone()).await?]),
            ranges => self.store.get_ranges(&Path::from(key), ranges).await,
        }
    }

    /// A file of `bytes` bytes in slices of `slice_bytes` bytes.
    pub(crate) fn slices(&self, key: &str, bytes: u64, slice_bytes: u64) -> SliceReader {
        SliceReader {
            storage: self.clone(),
            key: key.into(),
            bytes,
            slice_bytes,
            at: 0,
        }
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

/// An object that is being stored. It takes a few parts in memory, however long it gets.
pub(crate) struct Upload {
    store: Arc<dyn ObjectStore>,
    path: Path,
    /// Object stores refuse a multipart upload without parts, so a small object goes in one piece.
    head: BytesMut,
    multipart: Option<WriteMultipart>,
}

impl Upload {
    pub async fn write(&mut self, piece: &[u8]) -> object_store::Result<()> {
        match &mut self.multipart {
            None if self.head.len() + piece.len() <= PART_BYTES => {
                self.head.extend_from_slice(piece);
            }
            None => {
                let mut started = WriteMultipart::new_with_chunk_size(
                    self.store.put_multipart(&self.path).await?,
                    PART_BYTES,
                );
                started.write(&std::mem::take(&mut self.head));
                started.write(piece);
                self.multipart = Some(started);
            }
            Some(multipart) => {
                multipart.wait_for_capacity(PARTS_IN_FLIGHT).await?;
                multipart.write(piece);
            }
        }
        Ok(())
    }

    pub async fn finish(self) -> object_store::Result<()> {
        match self.multipart {
            Some(multipart) => multipart.finish().await?,
            None => {
                let payload = self.head.freeze().into();
                self.store.put(&self.path, payload).await?
            }
        };
        Ok(())
    }

    pub async fn abort(self) {
        if let Some(multipart) = self.multipart
            && let Err(error) = multipart.abort().await
        {
            tracing::warn!(%error, "the parts of a broken upload could not be removed");
        }
    }
}

/// Reads a file slice by slice. Each comes with its place in the file.
pub(crate) struct SliceReader {
    storage: Storage,
    key: Arc<str>,
    bytes: u64,
    slice_bytes: u64,
    at: u64,
}

impl SliceReader {
    pub async fn next(&mut self) -> object_store::Result<Option<(u64, Bytes)>> {
        if self.at >= self.bytes {
            return Ok(None);
        }
        let start = self.at;
        self.at = self.bytes.min(start + self.slice_bytes);
        let slice = self.storage.read(&self.key, start..self.at).await?;
        Ok(Some((start, slice)))
    }

    /// The slices that are left, in their order. So many are read at the same time.
    pub fn stream(self, lanes: usize) -> impl Stream<Item = object_store::Result<(u64, Bytes)>> {
        let Self {
            storage,
            key,
            bytes,
            slice_bytes,
            at,
        } = self;
        let starts = (at..bytes).step_by(usize::try_from(slice_bytes).unwrap_or(usize::MAX));
        stream::iter(starts)
            .map(move |start| {
                let (storage, key) = (storage.clone(), key.clone());
                async move {
                    let end = bytes.min(start + slice_bytes);
                    Ok((start, storage.read(&key, start..end).await?))
                }
            })
            .buffered(lanes)
    }
}

struct HexDigest<'a>(&'a [u8]);

impl std::fmt::LowerHex for HexDigest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
