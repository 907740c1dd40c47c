//! Saved formats: every query on the table `saved_formats`.
//!
//! **Invariant.** A user has at most one format per header and at most [`SavedFormat::MAX_PER_USER`] formats. A
//! transaction that adds or changes one holds the user's lock of [`users::lock_settings`], taken before any lock on a
//! job.

use chrono::{DateTime, Utc};
use domain::{
    AuditKind, FormatName, HeaderKey, InvalidField, JobId, NewSavedFormat, SavedFormat,
    SavedFormatChange, SavedFormatId, UserId,
};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgExecutor, PgPool, types::Json};
use validator::{Format, PossibleHeader};

use crate::{
    Backend, Error, Result,
    access::{Act, Viewer, check_user},
    audit::{self, Actor, Event},
    database,
    error::violates,
    users,
};

struct Stored {
    id: i64,
    name: String,
    header: Option<Json<Vec<String>>>,
    format: Json<Format>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Stored> for SavedFormat {
    fn from(stored: Stored) -> Self {
        Self {
            id: stored.id.into(),
            name: stored.name,
            header: stored.header.map(|header| header.0),
            format: stored.format.0,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        }
    }
}

/// Returns a user's saved formats, sorted by name. Fails with [`Error::NotFound`] if there is no such user.
pub async fn list(backend: &Backend, viewer: &Viewer, user_id: UserId) -> Result<Vec<SavedFormat>> {
    users::get(backend, viewer, user_id).await?;
    let formats = sqlx::query_as!(
        Stored,
        r#"select id, name, header as "header: Json<Vec<String>>", format as "format: Json<Format>",
                  created_at, updated_at
           from saved_formats where user_id = $1 order by lower(name), id"#,
        user_id.get()
    )
    .fetch_all(&backend.pool)
    .await?;
    Ok(formats.into_iter().map(SavedFormat::from).collect())
}

pub async fn get(
    backend: &Backend,
    viewer: &Viewer,
    user_id: UserId,
    format_id: SavedFormatId,
) -> Result<SavedFormat> {
    check_user(&backend.pool, viewer, user_id, Act::Read).await?;
    sqlx::query_as!(
        Stored,
        r#"select id, name, header as "header: Json<Vec<String>>", format as "format: Json<Format>",
                  created_at, updated_at
           from saved_formats where user_id = $1 and id = $2"#,
        user_id.get(),
        format_id.get()
    )
    .fetch_optional(&backend.pool)
    .await?
    .map(SavedFormat::from)
    .ok_or(Error::NotFound("Saved format"))
}

/// Adds a format. Fails with [`Error::Conflict`] if the user already has a format with that name or header, or the
/// maximum number of formats.
pub async fn create(
    backend: &Backend,
    viewer: &Viewer,
    user_id: UserId,
    new: &NewSavedFormat,
) -> Result<SavedFormat> {
    check_user(&backend.pool, viewer, user_id, Act::Change).await?;
    let mut tx = database::begin(&backend.pool).await?;
    users::lock_settings(&mut tx, user_id).await?;
    if count(&mut *tx, user_id).await? >= SavedFormat::MAX_PER_USER {
        return Err(Error::Conflict(format!(
            "A user can have {} saved formats. Delete one first.",
            SavedFormat::MAX_PER_USER
        )));
    }
    let created = insert(
        &mut tx,
        user_id,
        &new.name,
        new.header.as_ref(),
        &new.format,
    );
    let created = created.await.map_err(taken)?;
    let event = Event::done(AuditKind::CreateFormat).of_user(user_id);
    audit::record(&mut *tx, viewer, event.detail(&created.name)).await?;
    tx.commit().await?;
    Ok(created)
}

/// Changes a format. Fails with [`Error::Conflict`] if another of the user's formats has that name or header.
pub async fn update(
    backend: &Backend,
    viewer: &Viewer,
    user_id: UserId,
    format_id: SavedFormatId,
    change: &SavedFormatChange,
) -> Result<SavedFormat> {
    check_user(&backend.pool, viewer, user_id, Act::Change).await?;
    let mut tx = database::begin(&backend.pool).await?;
    users::lock_settings(&mut tx, user_id).await?;
    let header = change.header.as_ref().and_then(Option::as_ref);
    let updated = sqlx::query_as!(
        Stored,
        r#"update saved_formats
           set name = coalesce($3, name), format = coalesce($4, format),
               header = case when $5 then $6 else header end,
               header_hash = case when $5 then $7 else header_hash end,
               updated_at = clock_timestamp()
           where user_id = $1 and id = $2
           returning id, name, header as "header: Json<Vec<String>>", format as "format: Json<Format>",
                     created_at, updated_at"#,
        user_id.get(),
        format_id.get(),
        change.name.as_ref().map(FormatName::as_str),
        change.format.as_ref().map(Json) as _,
        change.header.is_some(),
        header.map(|header| Json(header.names())) as _,
        header.map(|header| hash(header.names())) as _
    )
    .fetch_optional(&mut *tx)
    .await
    .map_err(taken)?
    .ok_or(Error::NotFound("Saved format"))?;
    let event = Event::done(AuditKind::ChangeFormat).of_user(user_id);
    audit::record(&mut *tx, viewer, event.detail(&updated.name)).await?;
    tx.commit().await?;
    Ok(updated.into())
}

/// Deletes a format. Jobs that were read under it stay as they are.
pub async fn delete(
    backend: &Backend,
    viewer: &Viewer,
    user_id: UserId,
    format_id: SavedFormatId,
) -> Result<()> {
    check_user(&backend.pool, viewer, user_id, Act::Change).await?;
    let mut tx = database::begin(&backend.pool).await?;
    let name = sqlx::query_scalar!(
        "delete from saved_formats where user_id = $1 and id = $2 returning name",
        user_id.get(),
        format_id.get()
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(Error::NotFound("Saved format"))?;
    let event = Event::done(AuditKind::DeleteFormat).of_user(user_id);
    audit::record(&mut *tx, viewer, event.detail(&name)).await?;
    tx.commit().await?;
    Ok(())
}

/// Returns the user's format with this name. Fails with [`Error::Invalid`] if there is none.
pub(crate) async fn find_by_name(
    database: impl PgExecutor<'_>,
    user_id: UserId,
    name: &FormatName,
) -> Result<SavedFormatId> {
    let id = sqlx::query_scalar!(
        "select id from saved_formats where user_id = $1 and name = $2",
        user_id.get(),
        name.as_str()
    )
    .fetch_optional(database)
    .await?;
    id.map(SavedFormatId::from)
        .ok_or_else(|| no_such_name(name.as_str()))
}

pub(crate) fn no_such_name(name: &str) -> Error {
    Error::Invalid(InvalidField::new(
        "format_name",
        &format!("This user has no saved format named \"{name}\"."),
    ))
}

/// A saved format for use on a file.
pub(crate) struct Applied {
    pub name: String,
    pub format: Format,
}

/// Returns the saved format that was chosen for a job. `None` if it was deleted.
pub(crate) async fn chosen(
    database: impl PgExecutor<'_>,
    user_id: UserId,
    format_id: SavedFormatId,
) -> sqlx::Result<Option<Applied>> {
    let found = sqlx::query!(
        r#"select name, format as "format: Json<Format>" from saved_formats where user_id = $1 and id = $2"#,
        user_id.get(),
        format_id.get()
    )
    .fetch_optional(database)
    .await?;
    Ok(found.map(|found| Applied {
        name: found.name,
        format: found.format.0,
    }))
}

/// Returns the user's format for the first of these headers for which there is one. The download of a file without a
/// header only has generated names. For those, returns the user's only format without a header, if there is only one.
pub(crate) async fn find_by_header(
    pool: &PgPool,
    user_id: UserId,
    headers: &[PossibleHeader],
) -> sqlx::Result<Option<Applied>> {
    let hashes: Vec<Vec<u8>> = headers.iter().map(|header| hash(&header.names)).collect();
    let found = sqlx::query!(
        r#"select name, format as "format: Json<Format>", header_hash as "header_hash!"
           from saved_formats where user_id = $1 and header_hash = any($2)
           order by array_position($2, header_hash) limit 1"#,
        user_id.get(),
        &hashes
    )
    .fetch_optional(pool)
    .await?;
    if let Some(found) = found
        && let Some(at) = hashes.iter().position(|hash| *hash == found.header_hash)
    {
        return Ok(Some(Applied {
            name: found.name,
            format: headers[at].complete(&found.format.0),
        }));
    }
    match headers.iter().any(PossibleHeader::is_of_headless) {
        true => only_headless(pool, user_id).await,
        false => Ok(None),
    }
}

async fn only_headless(pool: &PgPool, user_id: UserId) -> sqlx::Result<Option<Applied>> {
    let mut found = sqlx::query!(
        r#"select name, format as "format: Json<Format>" from saved_formats
           where user_id = $1 and header is null and format -> 'header' = 'false' limit 2"#,
        user_id.get()
    )
    .fetch_all(pool)
    .await?;
    Ok(match found.len() {
        1 => found.pop().map(|found| Applied {
            name: found.name,
            format: found.format.0,
        }),
        _ => None,
    })
}

/// What is known about a completed job's file and format.
pub(crate) struct CompletedFile<'a> {
    pub user_id: UserId,
    pub job_id: JobId,
    pub filename: &'a str,
    /// The keys that were given for the file and hold for others.
    pub given: Format,
    /// The saved format that the user chose by name.
    pub chosen: Option<SavedFormatId>,
    /// The header in the layout. `None` without a header.
    pub header: Option<Vec<String>>,
}

/// Saves the given format for other files with the same header, or, without a header, for files for which the user
/// chooses it by name. Does nothing if nothing was given, if the user has the maximum number of formats, or if the
/// header is too large to save. Call it in the transaction of the job's completion, before that locks the job.
pub(crate) async fn save_after_completion(
    tx: &mut PgConnection,
    file: &CompletedFile<'_>,
) -> Result<()> {
    let given = file.given.clone();
    if given.is_empty() {
        return Ok(());
    }
    users::lock_settings(tx, file.user_id).await?;
    let header = match file.header.as_deref().map(HeaderKey::parse) {
        Some(Err(_)) => return Ok(()),
        Some(Ok(header)) => Some(header),
        None if given.header != Some(false) && file.chosen.is_none() => return Ok(()),
        None => None,
    };
    let before = match &header {
        Some(header) => of_header(tx, file.user_id, header).await?,
        None => file.chosen,
    };
    let chosen = match file.chosen {
        Some(id) => chosen(&mut *tx, file.user_id, id).await?,
        None => None,
    };
    if let Some(id) = before
        && let Some(old) = self::chosen(&mut *tx, file.user_id, id).await?
    {
        let format = given.or(&old.format);
        if format != old.format {
            sqlx::query!(
                "update saved_formats set format = $2, updated_at = clock_timestamp() where id = $1",
                id.get(),
                Json(&format) as _
            )
            .execute(&mut *tx)
            .await?;
            record_saved(tx, AuditKind::ChangeFormat, file, &old.name).await?;
        }
        return Ok(());
    }
    // With a header of its own, the file needs everything it was read by.
    let format = match chosen {
        Some(chosen) => given.or(&chosen.format),
        None => given,
    };
    let is_known = header.is_none() && has_headless(tx, file.user_id, &format).await?;
    if is_known || count(&mut *tx, file.user_id).await? >= SavedFormat::MAX_PER_USER {
        return Ok(());
    }
    let name = free_name(tx, file.user_id, file.filename).await?;
    insert(tx, file.user_id, &name, header.as_ref(), &format).await?;
    record_saved(tx, AuditKind::CreateFormat, file, name.as_str()).await
}

/// Adds the change of a saved format that follows from a completed job to the audit.
async fn record_saved(
    tx: &mut PgConnection,
    kind: AuditKind,
    file: &CompletedFile<'_>,
    name: &str,
) -> Result<()> {
    let event = Event::done(kind).of_job(file.user_id, file.job_id);
    audit::record(tx, Actor::worker(), event.detail(name)).await?;
    Ok(())
}

async fn of_header(
    tx: &mut PgConnection,
    user_id: UserId,
    header: &HeaderKey,
) -> sqlx::Result<Option<SavedFormatId>> {
    let id = sqlx::query_scalar!(
        "select id from saved_formats where user_id = $1 and header_hash = $2",
        user_id.get(),
        hash(header.names())
    )
    .fetch_optional(tx)
    .await?;
    Ok(id.map(SavedFormatId::from))
}

/// Returns whether the user already has an identical format for files without a header.
async fn has_headless(
    tx: &mut PgConnection,
    user_id: UserId,
    format: &Format,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists(
               select from saved_formats where user_id = $1 and header is null and format = $2
           ) as "exists!""#,
        user_id.get(),
        Json(format) as _
    )
    .fetch_one(tx)
    .await
}

/// Returns the first unused name for a format of this file.
async fn free_name(
    tx: &mut PgConnection,
    user_id: UserId,
    filename: &str,
) -> sqlx::Result<FormatName> {
    // One more than the user's maximum, so at least one is free.
    let names: Vec<FormatName> = (1..=SavedFormat::MAX_PER_USER + 1)
        .map(|number| FormatName::of_file(filename, number))
        .collect();
    let texts: Vec<String> = names.iter().map(|it| it.as_str().to_owned()).collect();
    let taken = sqlx::query_scalar!(
        "select name from saved_formats where user_id = $1 and name = any($2)",
        user_id.get(),
        &texts
    )
    .fetch_all(tx)
    .await?;
    let free = names.into_iter().find(|name| {
        let name = name.as_str();
        !taken.iter().any(|taken| taken == name)
    });
    Ok(free.unwrap_or_else(|| FormatName::of_file(filename, SavedFormat::MAX_PER_USER + 2)))
}

async fn count(database: impl PgExecutor<'_>, user_id: UserId) -> sqlx::Result<usize> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from saved_formats where user_id = $1"#,
        user_id.get()
    )
    .fetch_one(database)
    .await?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

async fn insert(
    tx: &mut PgConnection,
    user_id: UserId,
    name: &FormatName,
    header: Option<&HeaderKey>,
    format: &Format,
) -> sqlx::Result<SavedFormat> {
    let inserted = sqlx::query_as!(
        Stored,
        r#"insert into saved_formats (user_id, name, header, header_hash, format) values ($1, $2, $3, $4, $5)
           returning id, name, header as "header: Json<Vec<String>>", format as "format: Json<Format>",
                     created_at, updated_at"#,
        user_id.get(),
        name.as_str(),
        header.map(|header| Json(header.names())) as _,
        header.map(|header| hash(header.names())) as _,
        Json(format) as _
    )
    .fetch_one(tx)
    .await?;
    Ok(inserted.into())
}

/// Returns the SHA-256 of the names, each preceded by its length.
fn hash(names: &[String]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for name in names {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
    }
    hash.finalize().to_vec()
}

fn taken(error: sqlx::Error) -> Error {
    if violates(&error, "saved_formats_user_id_name_key") {
        return Error::Conflict(
            "A saved format already has that name. Choose another one.".to_owned(),
        );
    }
    if violates(&error, "saved_formats_user_id_header_hash_key") {
        return Error::Conflict(
            "A saved format already has that header. Edit it, or delete it first.".to_owned(),
        );
    }
    error.into()
}
