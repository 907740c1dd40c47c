//! Reads jobs.

use std::{collections::HashSet, time::Duration};

use domain::{Job, JobEvent, JobId, JobProgress, ResultId, UserId};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor, types::Json};
use validator::{Format, Layout, Question, Reading};

use super::{numbers, query_jobs};
use crate::{Error, Result, storage::CheckedFile, temporal::Attempt};

pub(crate) async fn get(database: impl PgExecutor<'_>, job_id: JobId) -> Result<Job> {
    query_jobs!("select", "from job_states where id = $1", job_id.get())
        .fetch_optional(database)
        .await?
        .ok_or(Error::NotFound("Job"))
}

/// Returns the job that was uploaded with this key. `None` if that was another file.
pub(crate) async fn uploaded_with(
    database: impl PgExecutor<'_>,
    user_id: UserId,
    upload_key: &str,
    sha256: &str,
) -> sqlx::Result<Option<Job>> {
    query_jobs!(
        "select",
        "from job_states where user_id = $1 and sha256 = $3
             and id in (select id from jobs where user_id = $1 and upload_key = $2)",
        user_id.get(),
        upload_key,
        sha256
    )
    .fetch_optional(database)
    .await
}

/// Returns the owner of a job.
pub(crate) async fn owner(
    database: impl PgExecutor<'_>,
    job_id: JobId,
) -> sqlx::Result<Option<UserId>> {
    let user_id = sqlx::query_scalar!("select user_id from jobs where id = $1", job_id.get())
        .fetch_optional(database)
        .await?;
    Ok(user_id.map(UserId::from))
}

/// Locks and returns all jobs of a user, in the same order as for jobs that are started together.
pub(crate) async fn lock_of_user(
    tx: &mut PgConnection,
    user_id: UserId,
) -> sqlx::Result<Vec<JobId>> {
    sqlx::query!(
        "select id from jobs where user_id = $1 order by id for update",
        user_id.get()
    )
    .map(|job| job.id.into())
    .fetch_all(tx)
    .await
}

/// Locks those of the jobs that belong to this user, or to anybody, in the same order as for jobs that are started
/// together. Returns them with their users.
pub(crate) async fn lock(
    tx: &mut PgConnection,
    owner: Option<UserId>,
    job_ids: &[JobId],
) -> sqlx::Result<Vec<(JobId, UserId)>> {
    sqlx::query!(
        "select id, user_id from jobs where id = any($1) and ($2::bigint is null or user_id = $2)
         order by id for update",
        &numbers(job_ids),
        owner.map(UserId::get)
    )
    .map(|job| (job.id.into(), job.user_id.into()))
    .fetch_all(tx)
    .await
}

/// Returns the current states of these jobs. Omits deleted ones.
pub(crate) async fn states(
    database: impl PgExecutor<'_>,
    job_ids: &[JobId],
) -> Result<Vec<JobProgress>> {
    let jobs = query_jobs!(
        "select",
        "from job_states where id = any($1) order by id",
        &numbers(job_ids)
    );
    let jobs = jobs.fetch_all(database).await?;
    Ok(jobs.iter().map(JobProgress::from).collect())
}

/// Returns the current states of the user's active jobs, of those in `also` whatever their status, and of those that
/// ended within `since`.
pub(crate) async fn states_of_user(
    database: impl PgExecutor<'_>,
    user_id: UserId,
    also: &[JobId],
    since: Duration,
) -> Result<Vec<JobProgress>> {
    let jobs = query_jobs!(
        "select",
        "from job_states where user_id = $1 and (status in ('processing', 'paused') or id = any($2)
             or finished_at > now() - $3 * interval '1 second') order by id",
        user_id.get(),
        &numbers(also),
        since.as_secs_f64()
    );
    let jobs = jobs.fetch_all(database).await?;
    Ok(jobs.iter().map(JobProgress::from).collect())
}

/// The object beside the stored file that maps ids to rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IdIndex {
    pub storage_key: String,
    /// The key of the hash by which the entries are ordered, in hexadecimal.
    pub hash_key: String,
    pub entries: u64,
}

/// A planned file, with the result that it belongs to.
#[derive(Clone)]
pub(crate) struct Source {
    pub job_id: i64,
    pub result_id: ResultId,
    pub storage_key: String,
    pub checksums: Option<Vec<u8>>,
    pub layout: Json<Layout>,
    pub id_index: Option<Json<IdIndex>>,
}

impl Source {
    pub fn file(&self) -> Result<CheckedFile> {
        CheckedFile::new(&self.storage_key, self.checksums.as_deref())
    }
}

/// A query that returns [`Source`]s of planned jobs under a condition.
macro_rules! query_sources {
    ($condition:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Source,
            r#"select id as job_id, result_id as "result_id!", coalesce(content_key, storage_key) as "storage_key!",
                      case when content_key is null then checksums else content_checksums end as checksums,
                      layout as "layout!: Json<Layout>", id_index as "id_index: Json<IdIndex>"
               from jobs where layout is not null and "#
                + $condition
            $(, $argument)*
        )
    };
}

/// Returns the file of a job. `None` before it is planned, or if there is no such job.
pub(crate) async fn source(
    database: impl PgExecutor<'_>,
    job_id: JobId,
) -> sqlx::Result<Option<Source>> {
    query_sources!("id = $1", job_id.get())
        .fetch_optional(database)
        .await
}

/// Returns the file of a result, whichever job has it.
pub(crate) async fn source_of_result(
    database: impl PgExecutor<'_>,
    result_id: ResultId,
) -> sqlx::Result<Option<Source>> {
    query_sources!("result_id = $1", result_id.get())
        .fetch_optional(database)
        .await
}

/// Returns the file of a job that is being processed in this attempt. `None` before it is planned.
pub(crate) async fn source_of_attempt(
    database: impl PgExecutor<'_>,
    attempt: Attempt,
) -> sqlx::Result<Option<Source>> {
    query_sources!(
        "id = $1 and run = $2 and status = 'processing'",
        attempt.job_id.get(),
        attempt.number as i32
    )
    .fetch_optional(database)
    .await
}

/// Returns those of the files that belong to no job, aren't being written and aren't in the deletion queue.
pub(crate) async fn unknown_files(
    database: impl PgExecutor<'_>,
    keys: &[String],
) -> sqlx::Result<HashSet<String>> {
    let unknown = sqlx::query_scalar!(
        r#"select key as "key!" from unnest($1::text[]) as files (key)
           where not exists (select from removals where storage_key = key)
             and not exists (select from jobs where storage_key = key)
             and not exists (select from jobs where content_key = key)
             and not exists (select from jobs where id_index ->> 'storage_key' = key)"#,
        keys
    )
    .fetch_all(database)
    .await?;
    Ok(unknown.into_iter().collect())
}

/// Returns the files of up to `jobs` jobs after this one, in the order of the jobs.
pub(crate) async fn files_after(
    database: impl PgExecutor<'_>,
    after: Option<JobId>,
    jobs: usize,
) -> sqlx::Result<Vec<(JobId, String)>> {
    sqlx::query!(
        r#"select id, key as "key!" from (
               select id, storage_key, content_key, id_index ->> 'storage_key' as id_index_key from jobs
               where $1::bigint is null or id > $1 order by id limit $2
           ) as found cross join unnest(array[storage_key, content_key, id_index_key]) as files (key)
           where key is not null order by id"#,
        after.map(JobId::get),
        jobs as i64
    )
    .map(|file| (file.id.into(), file.key))
    .fetch_all(database)
    .await
}

/// How a job's file is read, and the questions that must be answered first.
pub struct FileFormat {
    /// The format as given.
    pub format: Json<Format>,
    pub reading: Option<Json<Reading>>,
    pub questions: Option<Json<Vec<Question>>>,
    /// Name of the saved format under which the file is read, at the time of reading.
    pub applied_format: Option<String>,
    /// The saved format that the user chose by name.
    pub saved_format_id: Option<i64>,
}

pub(crate) async fn file_format(
    database: impl PgExecutor<'_>,
    job_id: JobId,
) -> Result<FileFormat> {
    sqlx::query_as!(
        FileFormat,
        r#"select format as "format: Json<Format>", reading as "reading: Json<Reading>",
                  questions as "questions: Json<Vec<Question>>", applied_format,
                  saved_format_id
           from jobs where id = $1"#,
        job_id.get()
    )
    .fetch_optional(database)
    .await?
    .ok_or(Error::NotFound("Job"))
}

/// Returns the latest earlier job of the same user with the same file.
pub(crate) async fn same_file(
    database: impl PgExecutor<'_>,
    job: &Job,
) -> sqlx::Result<Option<JobId>> {
    let earlier = sqlx::query_scalar!(
        "select id from jobs where user_id = $1 and sha256 = $2 and id < $3 order by id desc limit 1",
        job.state.user_id.get(),
        job.sha256,
        job.id.get()
    )
    .fetch_optional(database)
    .await?;
    Ok(earlier.map(JobId::from))
}

/// The maximum number of versions of a file that are shown.
const MAX_VERSIONS: i32 = 50;

/// Returns the ids of the latest versions of a job's file, including this job, each with the id of the job that it
/// corrects.
pub(crate) async fn versions(
    database: impl PgExecutor<'_>,
    job_id: JobId,
) -> sqlx::Result<Vec<(JobId, Option<JobId>)>> {
    let versions = sqlx::query!(
        r#"with recursive before as (
               select id, corrects_job_id, 0 as step from jobs where id = $1
               union all
               select jobs.id, jobs.corrects_job_id, step + 1 from jobs join before on jobs.id = before.corrects_job_id
               where step < $2
           ), thread as (
               (select id, corrects_job_id, 0 as step from before order by before.step desc limit 1)
               union all
               select jobs.id, jobs.corrects_job_id, step + 1 from jobs join thread on jobs.corrects_job_id = thread.id
               where step < 2 * $2
           )
           select id as "id!", corrects_job_id from (select id, corrects_job_id from thread limit 1000) as walked
           order by id = $1 desc, id desc limit $2"#,
        job_id.get(),
        MAX_VERSIONS
    )
    .fetch_all(database)
    .await?;
    Ok(versions
        .into_iter()
        .map(|version| (version.id.into(), version.corrects_job_id.map(JobId::from)))
        .collect())
}

/// The maximum number of a job's events that are read. The oldest ones of a longer history are left out.
const MAX_EVENTS: i64 = 200;

/// Returns the job's events, oldest first.
pub(crate) async fn events(
    database: impl PgExecutor<'_>,
    job_id: JobId,
) -> sqlx::Result<Vec<JobEvent>> {
    let mut events = sqlx::query!(
        "select kind, run, at from job_events where job_id = $1 order by id desc limit $2",
        job_id.get(),
        MAX_EVENTS
    )
    .try_map(|event| {
        let kind = event.kind.parse();
        Ok(JobEvent {
            kind: kind.map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            run: event.run as u32,
            at: event.at,
        })
    })
    .fetch_all(database)
    .await?;
    events.reverse();
    Ok(events)
}

/// What the steps need to know about a job that is being processed.
pub(crate) struct Work {
    pub result_id: ResultId,
    pub user_id: i64,
    pub storage_key: String,
    pub checksums: Option<Vec<u8>>,
    pub bytes: i64,
    pub is_planned: bool,
    /// The number of tries to read the file that haven't ended.
    pub unfinished_plans: i16,
    /// Whether the attempt began more than four seconds ago. Temporal notices after five that a worker died.
    pub is_late: bool,
    /// The format as given.
    pub format: Json<Format>,
    /// The saved format that the user chose by name.
    pub saved_format_id: Option<i64>,
    pub filename: String,
    /// The encodings of the user's formats that may apply to the file without being chosen; an empty text for a format
    /// without one. Empty if there are no such formats.
    pub saved_encodings: Vec<String>,
    /// The format that was given for the file that this one corrects.
    pub corrected_format: Option<Json<Format>>,
}

impl Work {
    /// Returns the file as it was uploaded.
    pub fn file(&self) -> Result<CheckedFile> {
        CheckedFile::new(&self.storage_key, self.checksums.as_deref())
    }

    /// Returns the sheet that was given for the file that this one corrects.
    pub fn corrected_sheet(&self) -> Option<&str> {
        self.corrected_format.as_ref()?.0.sheet.as_deref()
    }
}

/// Returns the job if it is being processed in this attempt.
pub(crate) async fn work(
    database: impl PgExecutor<'_>,
    attempt: Attempt,
) -> sqlx::Result<Option<Work>> {
    sqlx::query_as!(
        Work,
        r#"select result_id as "result_id!", user_id, storage_key, checksums, bytes,
                  layout is not null as "is_planned!", unfinished_plans,
                  coalesce(started_at < clock_timestamp() - interval '4 seconds', false) as "is_late!",
                  format as "format: Json<Format>", saved_format_id, filename,
                  array(
                      select distinct coalesce(saved.format ->> 'encoding', '') from saved_formats as saved
                      where saved.user_id = jobs.user_id
                        and (saved.header_hash is not null or saved.format -> 'header' = 'false') order by 1
                  ) as "saved_encodings!",
                  (
                      select corrected.format from jobs as corrected where corrected.id = jobs.corrects_job_id
                  ) as "corrected_format: Json<Format>"
           from jobs where id = $1 and run = $2 and status = 'processing'"#,
        attempt.job_id.get(),
        attempt.number as i32
    )
    .fetch_optional(database)
    .await
}

/// What completion needs to save a job's format.
pub(crate) struct Completing {
    pub user_id: i64,
    pub filename: String,
    pub format: Json<Format>,
    pub saved_format_id: Option<i64>,
    pub layout: Json<Layout>,
}

/// Returns the job if it is planned and being processed in this attempt.
pub(crate) async fn completing(
    database: impl PgExecutor<'_>,
    attempt: Attempt,
) -> sqlx::Result<Option<Completing>> {
    sqlx::query_as!(
        Completing,
        r#"select user_id, filename, format as "format: Json<Format>", saved_format_id,
                  layout as "layout!: Json<Layout>"
           from jobs where id = $1 and run = $2 and status = 'processing' and layout is not null"#,
        attempt.job_id.get(),
        attempt.number as i32
    )
    .fetch_optional(database)
    .await
}

/// Returns whether a small file may be processed in one step. It may not if it has to be converted, or if its next
/// attempt continues with planned chunks.
pub(crate) async fn fits_one_step(
    database: impl PgExecutor<'_>,
    job_id: JobId,
) -> sqlx::Result<bool> {
    let planned = sqlx::query_scalar!(
        r#"select is_text and not (status = 'paused' and layout is not null) as "may!" from jobs where id = $1"#,
        job_id.get()
    )
    .fetch_optional(database)
    .await?;
    Ok(planned.unwrap_or_default())
}

/// A job that is being processed but hasn't made progress for a while.
pub(crate) struct QuietJob {
    pub attempt: Attempt,
    pub shared_workflow_id: Option<String>,
}

/// Returns the jobs that are being processed but haven't made progress for the duration `since`. A change that lies as
/// far in the future counts as none, because the clock was set back.
pub(crate) async fn quiet(
    database: impl PgExecutor<'_>,
    since: Duration,
) -> sqlx::Result<Vec<QuietJob>> {
    let quiet = sqlx::query!(
        r#"select id, run, shared_workflow_id from jobs
           where status = 'processing'
             and updated_at not between clock_timestamp() - $1 * interval '1 second'
                                    and clock_timestamp() + $1 * interval '1 second'
             and not exists (
                 select from job_chunks where job_chunks.result_id = jobs.result_id
                   and committed_at between clock_timestamp() - $1 * interval '1 second'
                                        and clock_timestamp() + $1 * interval '1 second')
           order by updated_at"#,
        since.as_secs_f64()
    )
    .fetch_all(database)
    .await?;
    Ok(quiet
        .into_iter()
        .map(|job| QuietJob {
            attempt: Attempt {
                job_id: job.id.into(),
                number: job.run as u32,
            },
            shared_workflow_id: job.shared_workflow_id,
        })
        .collect())
}
