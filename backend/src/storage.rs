//! Stores the uploaded files unchanged, on a disk or in an object store.

mod checksums;

use std::{
    ops::Range,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use container::{Kind, SNIFF_BYTES, sniff};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use object_store::{
    BackoffConfig, ClientConfigKey, MultipartUpload, ObjectStore, ObjectStoreExt,
    ObjectStoreScheme, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    local::LocalFileSystem,
    path::Path,
    prefix::PrefixStore,
};
use rustix::fs::Access;
use sha2::{Digest, Sha256};
use tokio::{runtime::Handle, sync::Mutex, task::JoinSet};
use url::Url;

use self::checksums::Checksums;
pub(crate) use self::checksums::{BLOCK_BYTES, Checksummer};
use crate::{Error, Result};

/// The number of bytes sent to the store at a time (object stores require at least 5 MiB), and how many such parts may
/// be in flight. Together they are the memory that an upload takes.
const PART_BYTES: usize = 5 << 20;
const PARTS_IN_FLIGHT: usize = 2;

/// How long a read or a removal is retried while an object store fails. A person may be waiting for a page, and
/// Temporal retries the steps of a worker for as long as necessary.
const RETRY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a store may send nothing while something is read. Without a setting such as `AWS_READ_TIMEOUT`.
const READ_TIMEOUT: &str = "10 seconds";

/// The maximum pause between two of these retries.
const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// A prefix under which there are no objects.
const NEVER_USED: &str = "readyz";

#[derive(Clone)]
pub struct Storage {
    /// Serves reads and removals.
    store: Arc<dyn ObjectStore>,
    /// The same store for uploads, which retry longer, because a failed upload would have to be sent again from the
    /// start.
    uploads: Arc<dyn ObjectStore>,
    /// The directory of the files, if they are on a disk.
    directory: Option<Arc<std::path::Path>>,
    /// Held while the disk is checked, so that a hanging disk blocks a single thread, however often it is checked.
    asking: Arc<Mutex<()>>,
}

/// A file in a listing of the storage.
pub(crate) struct StoredObject {
    pub key: String,
    pub bytes: u64,
    pub modified_at: DateTime<Utc>,
}

/// A completely stored file.
pub(crate) struct StoredFile {
    pub bytes: u64,
    /// Lower-case hexadecimal.
    pub sha256: String,
    /// Encoded for [`CheckedFile::new`].
    pub checksums: Vec<u8>,
    /// Whether the content may be text.
    pub is_text: bool,
}

/// A stored file with its checksums.
#[derive(Clone)]
pub(crate) struct CheckedFile {
    pub key: Arc<str>,
    /// `None` for a file that an earlier version stored.
    checksums: Option<Arc<Checksums>>,
}

impl CheckedFile {
    pub fn stored(key: &str, checksums: Checksums) -> Self {
        Self {
            key: key.into(),
            checksums: Some(checksums.into()),
        }
    }

    /// `checksums` are the result of [`Self::encoded_checksums`].
    pub fn new(key: &str, checksums: Option<&[u8]>) -> Result<Self> {
        let checksums = checksums.map(Checksums::decode).transpose();
        Ok(Self {
            key: key.into(),
            checksums: checksums.map_err(anyhow::Error::new)?.map(Arc::new),
        })
    }

    pub fn encoded_checksums(&self) -> Option<Vec<u8>> {
        Some(self.checksums.as_ref()?.encode())
    }
}

/// Why a file can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Store(#[from] object_store::Error),
    #[error("the stored file has changed since it was stored")]
    Changed,
}

impl Storage {
    /// Opens `file:///…`, `s3://…`, `gs://…` or `az://…`. Object stores read their credentials and options from
    /// environment variables that begin with `AWS_`, `GOOGLE_` or `AZURE_`.
    pub fn open(url: &str) -> anyhow::Result<Self> {
        let url = Url::parse(url).context("it is not a URL like file:///var/lib/batchline")?;
        if url.scheme() == "file" {
            let directory = url
                .to_file_path()
                .map_err(|()| anyhow::anyhow!("it has no absolute path"))?;
            std::fs::create_dir_all(&directory)
                .with_context(|| format!("{} can't be created", directory.display()))?;
            // An upload that was acknowledged must survive a power cut.
            let store = LocalFileSystem::new_with_prefix(&directory)?.with_fsync(true);
            let store = Arc::new(store);
            return Ok(Self {
                store: store.clone(),
                uploads: store,
                directory: Some(directory.into()),
                asking: Arc::default(),
            });
        }
        let impatient = RetryConfig {
            retry_timeout: RETRY_TIMEOUT,
            backoff: BackoffConfig {
                max_backoff: MAX_BACKOFF,
                ..BackoffConfig::default()
            },
            ..RetryConfig::default()
        };
        Ok(Self {
            store: open_object_store(&url, impatient, Some(READ_TIMEOUT))?,
            // The timeout would include the time that it takes to send a part.
            uploads: open_object_store(&url, RetryConfig::default(), None)?,
            directory: None,
            asking: Arc::default(),
        })
    }

    /// Stores `content` under `key` and holds at most a few parts of it in memory. After an error nothing remains in
    /// the storage.
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
        let mut checksummer = Checksummer::default();
        let mut beginning = Vec::new();
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
                        "The upload was interrupted. Try again.".to_owned(),
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
            checksummer.update(&piece);
            let lacking = SNIFF_BYTES.saturating_sub(beginning.len());
            beginning.extend_from_slice(&piece[..lacking.min(piece.len())]);
            if let Err(error) = upload.write(&piece).await {
                upload.abort().await;
                discard(content, limit).await;
                return Err(error.into());
            }
        }
        upload.finish().await?;
        Ok(StoredFile {
            bytes,
            sha256: format!("{:x}", HexDigest(&hasher.finalize())),
            checksums: checksummer.finish().encode(),
            is_text: sniff(&beginning) == Kind::Text,
        })
    }

    /// Returns the file's path if the storage is on this machine's disk.
    pub(crate) fn local_path(&self, key: &str) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join(key))
    }

    /// Starts to store an object under `key`. It exists once [`Upload::finish`] has returned.
    pub(crate) async fn upload(&self, key: &str) -> object_store::Result<Upload> {
        Ok(Upload {
            store: self.uploads.clone(),
            path: Path::from(key),
            rest: BytesMut::new(),
            multipart: None,
            parts: JoinSet::new(),
        })
    }

    /// Returns the bytes of a range within an object.
    pub(crate) async fn read_object(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> object_store::Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        self.store.get_range(&Path::from(key), range).await
    }

    /// Returns the bytes of a range within the file.
    pub(crate) async fn read(
        &self,
        file: &CheckedFile,
        range: Range<u64>,
    ) -> Result<Bytes, ReadError> {
        let mut read = self.read_ranges(file, &[range]).await?;
        Ok(read.pop().unwrap_or_default())
    }

    /// Returns the bytes of several ranges within the file. An object store serves neighbouring ranges with one
    /// request.
    pub(crate) async fn read_ranges(
        &self,
        file: &CheckedFile,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, ReadError> {
        let path = Path::from(&*file.key);
        let Some(checksums) = &file.checksums else {
            return Ok(self.get(&path, ranges).await?);
        };
        let around: Vec<_> = ranges.iter().map(|range| checksums.around(range)).collect();
        let began = Instant::now();
        let blocks = match self.get(&path, &around).await {
            Ok(blocks) => blocks,
            // A file that has become shorter doesn't contain these bytes. A store that takes long to refuse them is
            // unavailable, and isn't asked again.
            Err(error @ object_store::Error::Generic { .. }) if began.elapsed() < RETRY_TIMEOUT => {
                let now = self.store.head(&path).await;
                return Err(match now.is_ok_and(|now| now.size != checksums.bytes()) {
                    true => ReadError::Changed,
                    false => error.into(),
                });
            }
            Err(error) => return Err(error.into()),
        };
        let mut read = Vec::with_capacity(ranges.len());
        for ((range, around), blocks) in ranges.iter().zip(around).zip(blocks) {
            if range.is_empty() {
                read.push(Bytes::new());
                continue;
            }
            let wanted = range.start - around.start..range.end - around.start;
            let is_whole = blocks.len() as u64 == around.end - around.start;
            if !is_whole || !checksums.match_blocks(around.start, &blocks) {
                return Err(ReadError::Changed);
            }
            read.push(blocks.slice(wanted.start as usize..wanted.end as usize));
        }
        Ok(read)
    }

    async fn get(&self, path: &Path, ranges: &[Range<u64>]) -> object_store::Result<Vec<Bytes>> {
        match ranges {
            [] => Ok(Vec::new()),
            [range] if range.is_empty() => Ok(vec![Bytes::new()]),
            [range] => Ok(vec![self.store.get_range(path, range.clone()).await?]),
            ranges => self.store.get_ranges(path, ranges).await,
        }
    }

    /// Returns whether the file exists.
    pub(crate) async fn has(&self, key: &str) -> object_store::Result<bool> {
        match self.store.head(&Path::from(key)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Yields all files. On a disk, this includes partially written ones, under their final names.
    pub(crate) fn list(&self) -> impl Stream<Item = Result<StoredObject>> + Unpin + use<> {
        let half_written = match &self.directory {
            Some(directory) => staged(directory),
            None => Ok(Vec::new()),
        };
        let half_written: Vec<Result<StoredObject>> = match half_written {
            Ok(objects) => objects.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(anyhow::Error::new(error).into())],
        };
        let whole = self.store.list(None).map(|object| -> Result<StoredObject> {
            let object = object?;
            Ok(StoredObject {
                key: object.location.to_string(),
                bytes: object.size,
                modified_at: object.last_modified,
            })
        });
        stream::iter(half_written).chain(whole).boxed()
    }

    /// Reads a file of `bytes` bytes in slices of `slice_bytes` bytes.
    pub(crate) fn slices(&self, file: &CheckedFile, bytes: u64, slice_bytes: u64) -> SliceReader {
        SliceReader {
            storage: self.clone(),
            file: file.clone(),
            bytes,
            slice_bytes,
            at: 0,
        }
    }

    /// Succeeds if the storage can be read. Lists the directory, or the objects under a prefix that is never used.
    /// Unlike reading an object, the latter also fails if the bucket doesn't exist.
    pub(crate) async fn answers(&self) -> anyhow::Result<()> {
        let Some(directory) = self.directory.clone() else {
            let mut found = self.store.list(Some(&Path::from(NEVER_USED)));
            found.try_next().await?;
            return Ok(());
        };
        self.ask_disk(move || std::fs::read_dir(&*directory)?.next().transpose())
            .await?;
        Ok(())
    }

    /// Succeeds if the storage can be reached and, on a disk, written. Returns the number of free bytes, if it is known.
    pub(crate) async fn accepts(&self) -> anyhow::Result<Option<u64>> {
        self.answers().await?;
        let Some(directory) = self.directory.clone() else {
            return Ok(None);
        };
        let free_bytes = self.ask_disk(move || {
            // The second one fails even for root if the file system is read-only.
            let free = free_bytes(&directory)?;
            rustix::fs::access(&*directory, Access::WRITE_OK | Access::EXEC_OK)?;
            Ok(free)
        });
        Ok(Some(free_bytes.await?))
    }

    /// Returns whether the storage is on the same disk as a local directory.
    pub(crate) fn shares_disk(&self, other: &std::path::Path) -> std::io::Result<bool> {
        use std::os::unix::fs::MetadataExt;
        let device = |path: &std::path::Path| std::fs::metadata(path).map(|it| it.dev());
        match &self.directory {
            Some(directory) => Ok(device(directory)? == device(other)?),
            None => Ok(false),
        }
    }

    /// Runs `ask` where it may block.
    async fn ask_disk<T: Send + 'static>(
        &self,
        ask: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let asking = self.asking.clone().lock_owned().await;
        let asked = tokio::task::spawn_blocking(move || {
            let _asking = asking;
            ask()
        });
        Ok(asked.await??)
    }

    /// Removes a file, complete or partially written. Succeeds if it doesn't exist. If this process dies during an
    /// upload to an object store, a lifecycle rule of the bucket has to remove the uploaded parts.
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

fn open_object_store(
    url: &Url,
    retry: RetryConfig,
    read_timeout: Option<&str>,
) -> anyhow::Result<Arc<dyn ObjectStore>> {
    let (scheme, prefix) = ObjectStoreScheme::parse(url)?;
    // Applies unless the environment sets it.
    macro_rules! with_timeout {
        ($builder:expr, $key:path) => {{
            let builder = $builder;
            let key = $key(ClientConfigKey::ReadTimeout);
            match (builder.get_config_value(&key), read_timeout) {
                (None, Some(timeout)) => builder.with_config(key, timeout),
                _ => builder,
            }
        }};
    }
    let store: Box<dyn ObjectStore> = match scheme {
        ObjectStoreScheme::AmazonS3 => {
            let builder = with_timeout!(AmazonS3Builder::from_env(), AmazonS3ConfigKey::Client);
            let builder = builder.with_url(url.as_str());
            Box::new(builder.with_retry(retry).build()?)
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let builder = GoogleCloudStorageBuilder::from_env();
            let builder = with_timeout!(builder, GoogleConfigKey::Client).with_url(url.as_str());
            Box::new(builder.with_retry(retry).build()?)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let builder = with_timeout!(MicrosoftAzureBuilder::from_env(), AzureConfigKey::Client);
            let builder = builder.with_url(url.as_str());
            Box::new(builder.with_retry(retry).build()?)
        }
        _ => anyhow::bail!("use file://, s3://, gs:// or az://"),
    };
    Ok(Arc::new(PrefixStore::new(store, prefix)))
}

/// The maximum number of partially written files with the same name. Each attempt of a step can leave one.
const MAX_STAGED: u32 = 16;

/// Returns the number of free bytes on the disk of a directory.
pub(crate) fn free_bytes(directory: &std::path::Path) -> std::io::Result<u64> {
    let disk = rustix::fs::statvfs(directory)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Returns the partially written files.
fn staged(directory: &std::path::Path) -> std::io::Result<Vec<StoredObject>> {
    let mut staged = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some((key, number)) = name.to_str().and_then(|name| name.rsplit_once('#')) else {
            continue;
        };
        if number.parse::<u32>().is_err() {
            continue;
        }
        match entry.metadata() {
            Ok(metadata) => staged.push(StoredObject {
                key: key.to_owned(),
                bytes: metadata.len(),
                modified_at: metadata.modified()?.into(),
            }),
            // Completed or removed in the meantime.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(staged)
}

/// Deletes the partially written files of `key`. `object_store` calls them `key#1`, or uses the next free number.
fn delete_staged(directory: &std::path::Path, key: &str) -> std::io::Result<()> {
    for number in 1..=MAX_STAGED {
        match std::fs::remove_file(directory.join(format!("{key}#{number}"))) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Reads the rest and discards it, because a client that is still sending would see a connection reset instead of our
/// response. Reads at most `limit` bytes more; the HTTP server deals with whatever follows.
async fn discard<E>(mut content: impl Stream<Item = Result<Bytes, E>> + Unpin, limit: u64) {
    let mut bytes = 0;
    while bytes <= limit
        && let Ok(Some(piece)) = content.try_next().await
    {
        bytes += piece.len() as u64;
    }
}

/// An object that is being stored. It holds a few parts in memory, regardless of the object's size. If it is dropped
/// before it is finished, for example when a step fails or is cancelled, the upload is aborted in the background.
pub(crate) struct Upload {
    store: Arc<dyn ObjectStore>,
    path: Path,
    /// Bytes that aren't sent yet. Object stores refuse a multipart upload without parts, so a small object is sent in
    /// a single request.
    rest: BytesMut,
    multipart: Option<Box<dyn MultipartUpload>>,
    /// The parts in flight.
    parts: JoinSet<object_store::Result<()>>,
}

impl Upload {
    pub async fn write(&mut self, piece: &[u8]) -> object_store::Result<()> {
        self.rest.extend_from_slice(piece);
        while self.rest.len() > PART_BYTES {
            let part = self.rest.split_to(PART_BYTES);
            self.send(part.freeze()).await?;
        }
        Ok(())
    }

    async fn send(&mut self, part: Bytes) -> object_store::Result<()> {
        while self.parts.len() >= PARTS_IN_FLIGHT {
            self.part_sent().await?;
        }
        let multipart = match &mut self.multipart {
            Some(multipart) => multipart,
            none => none.insert(self.store.put_multipart(&self.path).await?),
        };
        self.parts.spawn(multipart.put_part(part.into()));
        Ok(())
    }

    /// Waits until one of the parts in flight is sent.
    async fn part_sent(&mut self) -> object_store::Result<()> {
        match self.parts.join_next().await {
            Some(sent) => sent?,
            None => Ok(()),
        }
    }

    pub async fn finish(mut self) -> object_store::Result<()> {
        let rest = std::mem::take(&mut self.rest).freeze();
        if self.multipart.is_none() {
            self.store.put(&self.path, rest.into()).await?;
            return Ok(());
        }
        self.send(rest).await?;
        while !self.parts.is_empty() {
            self.part_sent().await?;
        }
        if let Some(multipart) = &mut self.multipart {
            multipart.complete().await?;
        }
        self.multipart = None;
        Ok(())
    }

    pub async fn abort(mut self) {
        self.parts.shutdown().await;
        if let Some(multipart) = self.multipart.take() {
            abort(multipart).await;
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Without a runtime, the process is shutting down.
        if let Some(multipart) = self.multipart.take()
            && let Ok(runtime) = Handle::try_current()
        {
            let mut parts = std::mem::take(&mut self.parts);
            runtime.spawn(async move {
                parts.shutdown().await;
                abort(multipart).await;
            });
        }
    }
}

async fn abort(mut multipart: Box<dyn MultipartUpload>) {
    if let Err(error) = multipart.abort().await {
        tracing::warn!(%error, "the parts of a broken upload could not be removed");
    }
}

/// Reads a file slice by slice. Yields each slice with its position in the file.
pub(crate) struct SliceReader {
    storage: Storage,
    file: CheckedFile,
    bytes: u64,
    slice_bytes: u64,
    at: u64,
}

impl SliceReader {
    pub async fn next(&mut self) -> Result<Option<(u64, Bytes)>, ReadError> {
        if self.at >= self.bytes {
            return Ok(None);
        }
        let start = self.at;
        self.at = self.bytes.min(start + self.slice_bytes);
        let slice = self.storage.read(&self.file, start..self.at).await?;
        Ok(Some((start, slice)))
    }

    /// Yields the remaining slices in order, and reads `lanes` of them at the same time.
    pub fn stream(self, lanes: usize) -> impl Stream<Item = Result<(u64, Bytes), ReadError>> {
        let Self {
            storage,
            file,
            bytes,
            slice_bytes,
            at,
        } = self;
        let starts = (at..bytes).step_by(usize::try_from(slice_bytes).unwrap_or(usize::MAX));
        stream::iter(starts)
            .map(move |start| {
                let (storage, file) = (storage.clone(), file.clone());
                async move {
                    let end = bytes.min(start + slice_bytes);
                    Ok((start, storage.read(&file, start..end).await?))
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
