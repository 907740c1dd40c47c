//! Uploads: stores a file while it arrives, and creates its job.

mod filename;
mod intake;

use std::fmt::Display;

use bytes::Bytes;
use domain::{
    AuditKind, Command, Format, FormatName, GivenFormat, InvalidField, Job, JobId, JobStatus,
    Quotas, SavedFormatId, UserId, hidden::without_hidden,
};
use futures::Stream;
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    Backend, Error, Result,
    access::{Act, Viewer, check_user},
    audit::{self, Event},
    control, database, deletion_queue,
    error::DATABASE_AWAY,
    jobs::{
        query,
        transition::{self, NewJob},
        usage,
    },
    maintenance, own_task, saved_formats,
    storage::StoredFile,
    traces,
};

pub(crate) use self::intake::Intake;
use self::intake::PATIENCE;
pub use self::{filename::filename_of, intake::check_intake};

/// Everything that an upload says about its file.
#[derive(Debug, Clone, Default)]
pub struct UploadOptions {
    /// How to read it.
    pub given: GivenFormat,
    /// The job of the same user whose file this one corrects. Keys of the format that aren't given are taken from that
    /// job; `processing` ignores those that don't hold for the file.
    pub corrects: Option<JobId>,
    /// Identifies the upload if its sender may have to send it again.
    pub key: Option<UploadKey>,
}

/// The value of `Idempotency-Key`: an upload that is sent again with the same key returns the job of the first one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadKey(String);

impl UploadKey {
    pub const HEADER: &str = "idempotency-key";
    const MAX_LENGTH: usize = 100;

    /// # Errors
    ///
    /// Returns an error unless the value has 1 to 100 printable ASCII characters.
    pub fn parse(value: &[u8]) -> Result<Self, InvalidField> {
        let is_printable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
        let text = str::from_utf8(value)
            .ok()
            .filter(|text| (1..=Self::MAX_LENGTH).contains(&text.len()))
            .filter(|text| text.as_bytes().iter().all(is_printable));
        let sentence = "Idempotency-Key must have 1 to 100 printable ASCII characters.";
        text.map(|text| Self(text.to_owned()))
            .ok_or_else(|| InvalidField::new("Idempotency-Key", sentence))
    }
}

/// Everything that the form of an upload says, including the fields after the file.
pub struct UploadRest {
    /// How to read the file.
    pub given: GivenFormat,
    /// Whether to start the job.
    pub starts: bool,
}

/// The job of an upload.
#[derive(Debug)]
pub struct Uploaded {
    pub job: Job,
    /// Why the job wasn't started, although the form said so. It stays pending and can be started by hand.
    pub not_started: Option<Error>,
}

/// The maximum size of a multipart form without its file, in bytes: other fields, headers and boundaries.
pub const FORM_OVERHEAD: u64 = 1 << 20;

/// Permission to upload a file for a user.
pub struct Admission {
    user_id: UserId,
    /// `None` if nothing limits the user's files.
    quotas: Option<Quotas>,
}

/// Checks, before a file is read, that the viewer may upload it for the user and that it can be stored. `form_bytes` is
/// the size of its form, if known. Fails with [`Error::QuotaExceeded`] if the file exceeds the user's quotas, or like
/// [`check_intake`].
pub async fn admit(
    backend: &Backend,
    viewer: &Viewer,
    user_id: UserId,
    form_bytes: Option<u64>,
) -> Result<Admission> {
    check_intake(backend, form_bytes).await?;
    let admitted = async {
        check_user(&backend.pool, viewer, user_id, Act::Change).await?;
        usage::limiting_files(&backend.pool, user_id, &backend.quotas).await
    };
    // The database may have become unreachable since it was last checked.
    let quotas = timeout(PATIENCE, admitted)
        .await
        .unwrap_or_else(|_| Err(Error::Unavailable(DATABASE_AWAY.to_owned())))?;
    let least_bytes = form_bytes.unwrap_or_default().saturating_sub(FORM_OVERHEAD);
    if let Some(quotas) = &quotas {
        usage::check_file(quotas, least_bytes)?;
    }
    Ok(Admission { user_id, quotas })
}

/// Stores a file while it arrives, and creates a pending job for it. The content is only read when the job is started. If
/// the upload fails, the file is removed, even if this process dies.
///
/// Fails with [`Error::QuotaExceeded`] as soon as the file exceeds the user's quotas. If several uploads at the same time
/// exceed them together, those that end last fail.
///
/// If the user has already uploaded the same file with the key of this upload, the job of that upload is returned.
///
/// `rest` resolves after the end of the content, or to `None` if the request was interrupted. From then on, everything
/// happens even if the caller is dropped: a file that has arrived gets its job, and the job is started if the form says so.
pub async fn upload<E: Display>(
    backend: &Backend,
    viewer: &Viewer,
    admission: Admission,
    filename: &str,
    with: &UploadOptions,
    content: impl Stream<Item = Result<Bytes, E>> + Unpin,
    rest: impl Future<Output = Option<UploadRest>>,
) -> Result<Uploaded> {
    let Admission { user_id, quotas } = admission;
    let UploadOptions {
        given,
        corrects,
        key: upload_key,
    } = with;
    let mut before = Format::default();
    if let Some(corrected) = *corrects {
        if query::owner(&backend.pool, corrected).await? != Some(user_id) {
            return Err(Error::NotFound("Job"));
        }
        before = query::file_format(&backend.pool, corrected).await?.format.0;
    }
    // A wrong name is refused before the file arrives.
    saved_format(backend, user_id, given.saved.as_ref()).await?;
    let key = format!("{}.csv", Uuid::new_v4());
    deletion_queue::expect_file(&backend.pool, &key).await?;
    let write = async {
        let room = quotas.as_ref().and_then(|quotas| quotas.bytes.remaining());
        let limit = room.unwrap_or(u64::MAX).min(backend.max_upload_bytes);
        let file = match (backend.storage.write(&key, content, limit).await, &quotas) {
            (Err(Error::TooLarge { limit }), Some(quotas)) if limit < backend.max_upload_bytes => {
                return usage::check_file(quotas, limit + 1).and(Err(Error::TooLarge { limit }));
            }
            (written, _) => written?,
        };
        let rest = rest.await;
        let broken = || Error::BadUpload("The upload was interrupted.".to_owned());
        Ok::<_, Error>((file, rest.ok_or_else(broken)?))
    };
    let (file, rest) = match deletion_queue::while_writing(&backend.pool, &key, write).await {
        Ok(written) => written,
        Err(error) => {
            discard(backend, &key).await;
            return Err(error);
        }
    };
    let arrived = Arrived {
        user_id,
        is_limited: quotas.is_some(),
        filename: shown_filename(filename),
        key,
        file,
        format: rest.given.format.apply(&before),
        saved_name: rest.given.saved,
        corrects: *corrects,
        upload_key: upload_key.clone(),
    };
    let (backend, viewer) = (backend.clone(), viewer.clone());
    own_task::complete(async move {
        let created = arrived.create_job(&backend, &viewer).await;
        if !matches!(created, Ok(Some(_))) {
            discard(&backend, &arrived.key).await;
        }
        let job = match created? {
            Some(job) => job,
            None => arrived.first_job(&backend).await?,
        };
        let mut uploaded = Uploaded {
            job,
            not_started: None,
        };
        if rest.starts && uploaded.job.state.status == JobStatus::Pending {
            uploaded.start(&backend, &viewer).await;
        }
        Ok(uploaded)
    })
    .await
}

/// A file in the storage, without a job yet.
struct Arrived {
    user_id: UserId,
    /// Whether the user's quotas limit their files.
    is_limited: bool,
    filename: String,
    key: String,
    file: StoredFile,
    /// What is given, and otherwise what holds for the file that this one corrects.
    format: Format,
    saved_name: Option<FormatName>,
    corrects: Option<JobId>,
    upload_key: Option<UploadKey>,
}

impl Arrived {
    /// Returns `None` if the user already has a job with this upload key.
    async fn create_job(&self, backend: &Backend, viewer: &Viewer) -> Result<Option<Job>> {
        let user_id = self.user_id;
        let saved = saved_format(backend, user_id, self.saved_name.as_ref()).await?;
        let create = async {
            let mut tx = database::begin(&backend.pool).await?;
            if self.is_limited {
                usage::admit_file(&mut tx, user_id, self.file.bytes, &backend.quotas).await?;
            }
            deletion_queue::keep_file(&mut tx, &self.key).await?;
            let job = NewJob {
                user_id,
                filename: &self.filename,
                storage_key: &self.key,
                file: &self.file,
                format: &self.format,
                saved_format_id: saved,
                corrects: self.corrects,
                upload_key: self.upload_key(),
            };
            let Some(job) = transition::create(&mut tx, job).await? else {
                return Ok(None);
            };
            let uploaded = Event::done(AuditKind::Upload)
                .of_job(user_id, job.id)
                .detail(&self.filename);
            audit::record(&mut *tx, viewer, uploaded).await?;
            tx.commit().await?;
            Ok::<_, Error>(Some(job))
        };
        let job = traces::statement("insert", "jobs", create).await?;
        if let Some(job) = &job {
            backend.publisher.progress(job.id);
        }
        Ok(job)
    }

    /// Returns the job that was created with this upload key before.
    async fn first_job(&self, backend: &Backend) -> Result<Job> {
        let key = self.upload_key().unwrap_or_default();
        let sha256 = &self.file.sha256;
        let first = query::uploaded_with(&backend.pool, self.user_id, key, sha256).await?;
        let sentence = "Another file was uploaded with this Idempotency-Key.";
        first.ok_or_else(|| Error::Conflict(sentence.to_owned()))
    }

    fn upload_key(&self) -> Option<&str> {
        self.upload_key.as_ref().map(|UploadKey(key)| key.as_str())
    }
}

impl Uploaded {
    async fn start(&mut self, backend: &Backend, viewer: &Viewer) {
        let (job_id, given) = (self.job.id, GivenFormat::default());
        match control::command(backend, viewer, job_id, Command::Start, &given).await {
            Ok(started) => self.job = started.job,
            Err(error) => {
                tracing::warn!(%job_id, %error, "a job wasn't started after its upload");
                self.not_started = Some(error);
            }
        }
    }
}

/// Removes a file that gets no job.
async fn discard(backend: &Backend, key: &str) {
    deletion_queue::discard_file(&backend.pool, key).await;
    maintenance::sweep_soon(&backend.pool, &backend.storage);
}

/// Returns the user's saved format with this name, if one is given.
async fn saved_format(
    backend: &Backend,
    user_id: UserId,
    name: Option<&FormatName>,
) -> Result<Option<SavedFormatId>> {
    match name {
        Some(name) => {
            let id = saved_formats::find_by_name(&backend.pool, user_id, name).await?;
            Ok(Some(id))
        }
        None => Ok(None),
    }
}

/// Returns the last part of a path: at most 255 characters, without those that can't be seen.
fn shown_filename(raw: &str) -> String {
    let name = raw.rsplit(['/', '\\']).next().unwrap_or(raw);
    let name: String = without_hidden(name).chars().take(255).collect();
    match name.trim() {
        "" => "upload.csv".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::shown_filename;

    #[test]
    fn filenames_lose_their_path() {
        assert_eq!(shown_filename("C:\\data\\May 2024.csv"), "May 2024.csv");
        assert_eq!(shown_filename("../../etc/passwd"), "passwd");
        assert_eq!(shown_filename("a\u{0}b\n.csv"), "ab.csv");
        assert_eq!(shown_filename("dir/"), "upload.csv");
        assert_eq!(shown_filename("a\u{202e}vsc.exe\u{200b}"), "avsc.exe");
        assert_eq!(shown_filename("\u{200b}"), "upload.csv");
        assert_eq!(shown_filename(&"x".repeat(300)).len(), 255);
    }
}
