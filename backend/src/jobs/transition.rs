//! Every state transition of a job.
//!
//! The job's row is the fence. A commit of chunks locks it, checks that its attempt is still current, and holds the
//! lock until the end. Each transition that ends an attempt takes the same lock first. So it waits for the chunks that
//! are being committed, counts them, and no chunk is committed after it.

use domain::{Job, JobDeleted, JobId, JobProgress, JobStatus, SavedFormatId, UserId};
use sqlx::{PgConnection, PgPool, PgTransaction, types::Json};
use validator::{Counts, FileError, Format, Layout, Reading};

use super::{events, numbers, query, query::IdIndex, query_jobs, usage};
use crate::{
    Error, QuotaDefaults, Result, database,
    error::violates,
    storage::{CheckedFile, StoredFile},
    temporal::Attempt,
};

/// A pending job for a stored file.
pub(crate) struct NewJob<'a> {
    pub user_id: UserId,
    pub filename: &'a str,
    pub storage_key: &'a str,
    pub file: &'a StoredFile,
    pub format: &'a Format,
    pub saved_format_id: Option<SavedFormatId>,
    pub corrects: Option<JobId>,
    pub upload_key: Option<&'a str>,
}

/// Creates a job. Returns `None` if the user already has a job with this upload key. Fails with [`Error::NotFound`] if
/// the user is gone.
pub(crate) async fn create(tx: &mut PgConnection, job: NewJob<'_>) -> Result<Option<Job>> {
    let NewJob {
        user_id,
        filename,
        storage_key,
        file,
        format,
        saved_format_id,
        corrects,
        upload_key,
    } = job;
    query_jobs!(
        "insert into jobs (user_id, filename, bytes, sha256, storage_key, format, is_text, saved_format_id,
                           corrects_job_id, checksums, upload_key)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         on conflict (user_id, upload_key) where upload_key is not null do nothing returning",
        "",
        user_id.get(),
        filename,
        file.bytes as i64,
        file.sha256,
        storage_key,
        Json(format) as _,
        file.is_text,
        saved_format_id.map(SavedFormatId::get),
        corrects.map(JobId::get),
        file.checksums,
        upload_key
    )
    .fetch_optional(&mut *tx)
    .await
    .map_err(|error| {
        if violates(&error, "jobs_user_id_fkey") {
            return Error::NotFound("User");
        }
        if violates(&error, "jobs_saved_format_id_fkey") {
            return Error::NotFound("Saved format");
        }
        if violates(&error, "jobs_corrects_job_id_fkey") {
            return Error::NotFound("Job");
        }
        Error::from(error)
    })
}

/// Begins these attempts and returns the jobs whose attempt has begun. Skips jobs that aren't at rest in the attempt
/// before, and jobs beyond their user's quota. A paused job continues where it was; any other job gets a new, empty
/// result. Publishes their states with the transaction. `shared_workflow_id` names the workflow unless each job has its
/// own.
pub(crate) async fn begin(
    tx: &mut PgConnection,
    defaults: &QuotaDefaults,
    attempts: &[Attempt],
    shared_workflow_id: Option<&str>,
) -> Result<Vec<Job>> {
    let beyond = usage::beyond_quota(tx, attempts, defaults).await?;
    refuse(tx, &beyond).await?;
    let begun = query_jobs!(
        changed "with at_rest as (
             select id, result_id, id_index ->> 'storage_key' as id_index_key, content_key, status,
                    status = 'paused' as paused
             from jobs join unnest($1::bigint[], $2::integer[]) as next (job_id, run)
                 on id = next.job_id and jobs.run = next.run - 1
             where status in ('pending', 'paused', 'failed', 'cancelled')
             order by id for update of jobs
         ), removal as (
             insert into removals (result_id, storage_key)
             select result_id, id_index_key from at_rest where not paused and result_id is not null
             union all
             select null, content_key from at_rest where not paused and content_key is not null
         ), changed as (
             update jobs
             set status = 'processing', run = run + 1, shared_workflow_id = $3,
                 result_id = case when paused then jobs.result_id else nextval('result_ids') end,
                 layout = case when paused then layout end,
                 id_index = case when paused then id_index end,
                 reading = case when paused then reading end,
                 applied_format = case when paused then applied_format end,
                 questions = null, error_code = null,
                 content_key = case when paused then jobs.content_key end,
                 content_bytes = case when paused then content_bytes end,
                 unfinished_plans = 0,
                 total_records = case when paused then total_records else 0 end,
                 processed_records = case when paused then processed_records else 0 end,
                 valid_records = case when paused then valid_records else 0 end,
                 invalid_records = case when paused then invalid_records else 0 end,
                 suspicious_records = case when paused then suspicious_records else 0 end,
                 ignored_records = case when paused then ignored_records else 0 end,
                 batch_completed = case when paused then batch_completed else 0 end,
                 total_batches = case when paused then total_batches else 0 end,
                 started_at = case when paused then started_at else clock_timestamp() end,
                 paused_seconds = case when paused then paused_seconds
                     + extract(epoch from clock_timestamp() - paused_at) else 0 end,
                 finished_at = null, paused_at = null, error = null, updated_at = clock_timestamp(),
                 version = version + 1
             from at_rest where jobs.id = at_rest.id",
        "), event as (
             insert into job_events (job_id, run, kind)
             select changed.id, changed.run,
                    case at_rest.status when 'pending' then 'started' when 'paused' then 'resumed' else 'retried' end
             from changed join at_rest on changed.id = at_rest.id
         )",
        &attempts
            .iter()
            .map(|next| next.job_id.get())
            .collect::<Vec<_>>(),
        &attempts
            .iter()
            .map(|next| next.number as i32)
            .collect::<Vec<_>>(),
        shared_workflow_id
    )
    .fetch_all(&mut *tx)
    .await?;
    notify(tx, &begun).await?;
    Ok(begun)
}

/// Keeps these attempts from beginning later. Their workflows may have been started although the request was refused.
/// Their numbers are skipped, so that no job appears to be in one of them. The jobs must be locked.
async fn refuse(tx: &mut PgConnection, attempts: &[Attempt]) -> sqlx::Result<()> {
    if attempts.is_empty() {
        return Ok(());
    }
    let job_ids: Vec<i64> = attempts.iter().map(|it| it.job_id.get()).collect();
    sqlx::query!(
        "update jobs set run = run + 2, version = version + 1, updated_at = clock_timestamp() where id = any($1)",
        &job_ids
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Replaces the given format of a job that is about to begin its next attempt, and its chosen saved format if
/// `saved_format_id` is set. Returns whether the job is still in this attempt.
pub(crate) async fn give_format(
    pool: &PgPool,
    attempt: Attempt,
    format: &Format,
    saved_format_id: Option<SavedFormatId>,
) -> Result<bool> {
    let given = sqlx::query!(
        "update jobs set format = $3, saved_format_id = coalesce($4, saved_format_id)
         where id = $1 and run = $2 and status in ('pending', 'failed', 'cancelled')",
        attempt.job_id.get(),
        attempt.number as i32,
        Json(format) as _,
        saved_format_id.map(SavedFormatId::get)
    )
    .execute(pool)
    .await
    .map_err(
        |error| match violates(&error, "jobs_saved_format_id_fkey") {
            true => Error::NotFound("Saved format"),
            false => error.into(),
        },
    )?;
    Ok(given.rows_affected() == 1)
}

/// Stores why the attempt can't read its file, and under which saved format. [`fail`] then ends the attempt.
pub(crate) async fn refused(
    pool: &PgPool,
    attempt: Attempt,
    error: &FileError,
    applied_format: Option<&str>,
) -> sqlx::Result<()> {
    let questions = Some(error.questions()).filter(|questions| !questions.is_empty());
    sqlx::query!(
        "update jobs set error_code = $3, questions = $4, applied_format = $5
         where id = $1 and run = $2 and status = 'processing'",
        attempt.job_id.get(),
        attempt.number as i32,
        error.code(),
        questions.map(Json) as _,
        applied_format
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Records what the attempt waits for before a step is tried again, a sentence. It holds until the job changes. Returns
/// whether it is news.
pub(crate) async fn waits(pool: &PgPool, attempt: Attempt, what: &str) -> sqlx::Result<bool> {
    let changed = sqlx::query!(
        "update jobs set waits_for = $3, version = jobs.version + 1, waits_version = state.version + 1
         from job_states as state
         where jobs.id = $1 and state.id = jobs.id and jobs.run = $2 and jobs.status = 'processing'
           and state.waits_for is distinct from $3",
        attempt.job_id.get(),
        attempt.number as i32,
        what
    )
    .execute(pool)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Pauses or cancels the job if it is still in this attempt, and publishes its state with the transaction.
pub(crate) async fn stop(
    tx: &mut PgConnection,
    attempt: Attempt,
    status: JobStatus,
) -> Result<Option<Job>> {
    lock(tx, attempt).await?;
    let stopped = query_jobs!(
        changed "with done as (select valid, invalid, suspicious, ignored, chunks from job_sums where job_id = $1),
         changed as (
         update jobs
         set status = $3, run = run + 1, unfinished_plans = 0,
             paused_at = case when $3 = 'paused' then clock_timestamp() end,
             paused_seconds = paused_seconds
                 + coalesce(extract(epoch from clock_timestamp() - paused_at), 0),
             finished_at = case when $3 = 'cancelled' then clock_timestamp() end,
             processed_records = done.valid + done.invalid, valid_records = done.valid,
             invalid_records = done.invalid, suspicious_records = done.suspicious,
             ignored_records = done.ignored,
             batch_completed = done.chunks, updated_at = clock_timestamp(),
             version = version + done.chunks + 1
         from done
         where id = $1 and run = $2 and status in ('processing', 'paused')",
        "), event as (
             insert into job_events (job_id, run, kind) select id, run - 1, status from changed
         )",
        attempt.job_id.get(),
        attempt.number as i32,
        status.as_str()
    )
    .fetch_optional(&mut *tx)
    .await?;
    notify(tx, stopped.as_slice()).await?;
    Ok(stopped)
}

/// Marks the attempt as failed. Returns whether it was current. `error` is a sentence for the person who uploaded the
/// file.
pub(crate) async fn fail(pool: &PgPool, attempt: Attempt, error: &str) -> Result<bool> {
    let mut tx = database::begin(pool).await?;
    lock(&mut tx, attempt).await?;
    let failed = query_jobs!(
        changed "with done as (select valid, invalid, suspicious, ignored, chunks from job_sums where job_id = $1),
         changed as (
         update jobs
         set status = 'failed', error = $3, finished_at = clock_timestamp(),
             processed_records = done.valid + done.invalid, valid_records = done.valid,
             invalid_records = done.invalid, suspicious_records = done.suspicious,
             ignored_records = done.ignored,
             batch_completed = done.chunks, updated_at = clock_timestamp(),
             version = version + done.chunks + 1
         from done
         where id = $1 and run = $2 and status = 'processing'",
        "), event as (
             insert into job_events (job_id, run, kind) select id, run, status from changed
         )",
        attempt.job_id.get(),
        attempt.number as i32,
        error
    )
    .fetch_optional(&mut *tx)
    .await?;
    notify(&mut tx, failed.as_slice()).await?;
    tx.commit().await?;
    Ok(failed.is_some())
}

/// Marks the attempt as completed and commits the transaction if every chunk of the file is committed; otherwise rolls
/// the transaction back. Returns whether the attempt was completed.
pub(crate) async fn complete(mut tx: PgTransaction<'_>, attempt: Attempt) -> Result<bool> {
    let completed = query_jobs!(
        changed "with done as (select valid, invalid, suspicious, ignored, chunks from job_sums where job_id = $1),
         changed as (
         update jobs
         set status = 'completed', finished_at = clock_timestamp(),
             processed_records = done.valid + done.invalid, valid_records = done.valid,
             invalid_records = done.invalid, suspicious_records = done.suspicious,
             ignored_records = done.ignored,
             batch_completed = done.chunks, updated_at = clock_timestamp(),
             version = version + done.chunks + 1
         from done
         where id = $1 and run = $2 and status = 'processing' and layout is not null
           and done.chunks = total_batches and done.valid + done.invalid = total_records",
        "), event as (
             insert into job_events (job_id, run, kind) select id, run, status from changed
         )",
        attempt.job_id.get(),
        attempt.number as i32
    )
    .fetch_optional(&mut *tx)
    .await?;
    if completed.is_none() {
        tx.rollback().await?;
        return Ok(false);
    }
    notify(&mut tx, completed.as_slice()).await?;
    tx.commit().await?;
    Ok(true)
}

/// The result of planning.
pub(crate) struct Planned<'a> {
    pub layout: &'a Layout,
    pub reading: &'a Reading,
    /// Name of the saved format under which the file is read.
    pub applied_format: Option<&'a str>,
    pub id_index: Option<&'a IdIndex>,
    /// Excludes rows that aren't transactions.
    pub rows: u64,
    pub chunks: usize,
}

/// Stores the location of the text of the attempt's file and queues the previous one for removal. Returns whether the
/// attempt is current.
pub(crate) async fn has_content(
    tx: &mut PgConnection,
    attempt: Attempt,
    content: &CheckedFile,
    bytes: u64,
) -> sqlx::Result<bool> {
    let noted = sqlx::query!(
        "with before as (
             select id, content_key from jobs where id = $1 and run = $2 and status = 'processing' for no key update
         ), removal as (
             insert into removals (storage_key) select content_key from before where content_key is not null
         )
         update jobs set content_key = $3, content_bytes = $4, content_checksums = $5 from before where jobs.id = before.id",
        attempt.job_id.get(),
        attempt.number as i32,
        &*content.key,
        bytes as i64,
        content.encoded_checksums()
    )
    .execute(tx)
    .await?;
    Ok(noted.rows_affected() == 1)
}

/// Counts an attempt to plan the file. Returns how many began earlier without succeeding or failing, or `None` if the
/// attempt is no longer current.
pub(crate) async fn plan_begins(pool: &PgPool, attempt: Attempt) -> sqlx::Result<Option<u32>> {
    let before = sqlx::query_scalar!(
        r#"with begun as (
               update jobs set unfinished_plans = unfinished_plans + 1
               where id = $1 and run = $2 and status = 'processing' and layout is null
               returning id, run, unfinished_plans - 1 as before
           ), event as (
               insert into job_events (job_id, run, kind) select id, run, 'worker_lost' from begun where before > 0
           )
           select before as "before!" from begun"#,
        attempt.job_id.get(),
        attempt.number as i32
    )
    .fetch_optional(pool)
    .await?;
    Ok(before.map(|before| before as u32))
}

/// Takes back [`plan_begins`]: planning has ended, and its worker survived.
pub(crate) async fn plan_ended(pool: &PgPool, attempt: Attempt) -> sqlx::Result<()> {
    sqlx::query!(
        "update jobs set unfinished_plans = greatest(unfinished_plans - 1, 0) where id = $1 and run = $2",
        attempt.job_id.get(),
        attempt.number as i32
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Stores the result of planning, unless one is stored or the attempt is no longer current. Returns whether it did. The
/// caller stores the chunks in the same transaction, before [`announce`].
pub(crate) async fn planned(
    tx: &mut PgConnection,
    attempt: Attempt,
    planned: &Planned<'_>,
) -> sqlx::Result<bool> {
    let stored = sqlx::query!(
        "update jobs set layout = $3, id_index = $4, total_records = $5, total_batches = $6, reading = $7,
                applied_format = $8,
                unfinished_plans = 0, updated_at = clock_timestamp(), version = version + 1
         where id = $1 and run = $2 and status = 'processing' and layout is null",
        attempt.job_id.get(),
        attempt.number as i32,
        Json(planned.layout) as _,
        planned.id_index.map(Json) as _,
        planned.rows as i64,
        planned.chunks as i32,
        Json(planned.reading) as _,
        planned.applied_format
    )
    .execute(tx)
    .await?;
    Ok(stored.rows_affected() == 1)
}

/// Stores the plan and the counts of a small file and marks its attempt as completed. Returns whether it was current.
/// The caller stores the chunks in the same transaction. Doesn't notify; see `events`.
pub(crate) async fn complete_small(
    tx: &mut PgConnection,
    attempt: Attempt,
    planned: &Planned<'_>,
    counts: Counts,
) -> sqlx::Result<bool> {
    let completed = sqlx::query!(
        "with completed as (
         update jobs
         set status = 'completed', layout = $3, total_records = $4, processed_records = $4, valid_records = $5,
             invalid_records = $6, suspicious_records = $7, total_batches = $8, batch_completed = $8,
             ignored_records = $9, reading = $10, applied_format = $11, unfinished_plans = 0,
             finished_at = clock_timestamp(), updated_at = clock_timestamp(), version = version + 1
         where id = $1 and run = $2 and status = 'processing' and layout is null
         returning id, run, status
         )
         insert into job_events (job_id, run, kind) select id, run, status from completed",
        attempt.job_id.get(),
        attempt.number as i32,
        Json(planned.layout) as _,
        planned.rows as i64,
        counts.valid as i64,
        counts.invalid as i64,
        counts.suspicious as i64,
        planned.chunks as i32,
        counts.ignored as i64,
        Json(planned.reading) as _,
        planned.applied_format
    )
    .execute(tx)
    .await?;
    Ok(completed.rows_affected() == 1)
}

/// Deletes these jobs and returns their last attempts. Their files, chunks and id indexes are removed in the
/// background.
pub(crate) async fn delete(tx: &mut PgConnection, job_ids: &[JobId]) -> Result<Vec<Attempt>> {
    // Waits for chunks that are being committed and fences off all later ones.
    let deleted = sqlx::query!(
        "with deleted as (
             delete from jobs where id = any($1)
             returning id, user_id, run, storage_key, result_id, content_key, id_index ->> 'storage_key' as id_index_key
         ), files as (
             insert into removals (storage_key, result_id) select storage_key, result_id from deleted
         ), indexes as (
             insert into removals (storage_key)
             select key from deleted cross join unnest(array[id_index_key, content_key]) as keys (key)
             where key is not null
         )
         select id, user_id, run from deleted",
        &numbers(job_ids)
    )
    .fetch_all(&mut *tx)
    .await?;
    let messages: Vec<JobDeleted> = deleted
        .iter()
        .map(|job| JobDeleted::new(job.id.into(), job.user_id.into()))
        .collect();
    events::notify_deleted(tx, &messages).await?;
    Ok(deleted
        .into_iter()
        .map(|job| Attempt {
            job_id: job.id.into(),
            number: job.run as u32,
        })
        .collect())
}

/// Waits for the chunks of this attempt that are being committed, and blocks others until the transaction ends. Later
/// reads in the transaction count the committed ones.
async fn lock(tx: &mut PgConnection, attempt: Attempt) -> sqlx::Result<()> {
    sqlx::query!(
        "select id from jobs where id = $1 and run = $2 for no key update",
        attempt.job_id.get(),
        attempt.number as i32
    )
    .fetch_optional(tx)
    .await?;
    Ok(())
}

/// Publishes the states of these jobs when the transaction is committed.
async fn notify(tx: &mut PgConnection, changed: &[Job]) -> Result<()> {
    let states: Vec<_> = changed.iter().map(JobProgress::from).collect();
    events::notify(tx, &states).await
}

/// Publishes the current state of a job whose plan this transaction has stored.
pub(crate) async fn announce(tx: &mut PgConnection, attempt: Attempt) -> Result<()> {
    let states = query::states(&mut *tx, &[attempt.job_id]).await?;
    events::notify(tx, &states).await
}
