//! Users: create, list, open, change.

use domain::{NewUser, User, UserChange, UserId};
use sqlx::PgConnection;

use crate::{Backend, Error, Result, error::violates};

/// All users, newest first.
pub async fn list(backend: &Backend) -> Result<Vec<User>> {
    Ok(sqlx::query_as!(
        User,
        "select id, name, email, created_at from users order by id desc"
    )
    .fetch_all(&backend.pool)
    .await?)
}

/// A page of users, newest first.
pub struct UserPage {
    pub users: Vec<User>,
    /// All there are.
    pub total: u64,
}

/// Returns the page of this number, from 1. It is empty where there are fewer users.
pub async fn page(backend: &Backend, page: u64, size: u64) -> Result<UserPage> {
    let total = sqlx::query_scalar!(r#"select count(*) as "total!" from users"#)
        .fetch_one(&backend.pool)
        .await?;
    let offset = i64::try_from((page - 1).saturating_mul(size)).unwrap_or(i64::MAX);
    let users = sqlx::query_as!(
        User,
        "select id, name, email, created_at from users order by id desc limit $1 offset $2",
        i64::try_from(size).unwrap_or(i64::MAX),
        offset
    )
    .fetch_all(&backend.pool)
    .await?;
    Ok(UserPage {
        users,
        total: total as u64,
    })
}

/// A page of the users that a search finds, newest first.
pub struct FoundUsers {
    /// Its number, from 1.
    pub page: u64,
    pub users: Vec<User>,
    /// On all pages.
    pub total: u64,
}

impl FoundUsers {
    pub const SIZE: u64 = 20;
}

/// The page of this number of the users whose name or email address contains `search`, whatever the case, or the last
/// page where there are fewer.
pub async fn search(backend: &Backend, page: u64, search: &str) -> Result<FoundUsers> {
    let total = sqlx::query_scalar!(
        r#"select count(*) as "total!" from users
           where strpos(lower(name), lower($1)) > 0 or strpos(lower(email), lower($1)) > 0"#,
        search
    )
    .fetch_one(&backend.pool)
    .await? as u64;
    let page = page.clamp(1, total.div_ceil(FoundUsers::SIZE).max(1));
    let users = sqlx::query_as!(
        User,
        "select id, name, email, created_at from users
         where strpos(lower(name), lower($1)) > 0 or strpos(lower(email), lower($1)) > 0
         order by id desc limit $2 offset $3",
        search,
        FoundUsers::SIZE as i64,
        ((page - 1) * FoundUsers::SIZE) as i64
    )
    .fetch_all(&backend.pool)
    .await?;
    Ok(FoundUsers { page, users, total })
}

pub async fn get(backend: &Backend, user_id: UserId) -> Result<User> {
    sqlx::query_as!(
        User,
        "select id, name, email, created_at from users where id = $1",
        user_id.get()
    )
    .fetch_optional(&backend.pool)
    .await?
    .ok_or(Error::NotFound("User"))
}

/// Fails with [`Error::Conflict`] when the address is taken, whatever its case.
pub async fn create(backend: &Backend, user: &NewUser) -> Result<User> {
    sqlx::query_as!(
        User,
        "insert into users (name, email) values ($1, $2) returning id, name, email, created_at",
        user.name.as_str(),
        user.email.as_str()
    )
    .fetch_one(&backend.pool)
    .await
    .map_err(email_taken)
    .inspect(|user| tracing::info!(user_id = %user.id, "user created"))
}

/// Fails with [`Error::Conflict`] when the new address belongs to somebody else.
pub async fn update(backend: &Backend, user_id: UserId, change: &UserChange) -> Result<User> {
    sqlx::query_as!(
        User,
        "update users set name = coalesce($2, name), email = coalesce($3, email) where id = $1
         returning id, name, email, created_at",
        user_id.get(),
        change.name.as_ref().map(|name| name.as_str()),
        change.email.as_ref().map(|email| email.as_str())
    )
    .fetch_optional(&backend.pool)
    .await
    .map_err(email_taken)?
    .ok_or(Error::NotFound("User"))
}

/// Keeps the user from being changed or deleted until the transaction ends. Fails with [`Error::NotFound`].
pub(crate) async fn lock(tx: &mut PgConnection, user_id: UserId) -> Result<()> {
    let user = sqlx::query_scalar!(
        "select id from users where id = $1 for update",
        user_id.get()
    )
    .fetch_optional(tx)
    .await?;
    user.map(|_| ()).ok_or(Error::NotFound("User"))
}

/// Lets one transaction at a time change what is saved for the user, and keeps the user until it ends. Fails with
/// [`Error::NotFound`].
pub(crate) async fn lock_settings(tx: &mut PgConnection, user_id: UserId) -> Result<()> {
    let user = sqlx::query_scalar!(
        "select id from users where id = $1 for no key update",
        user_id.get()
    )
    .fetch_optional(tx)
    .await?;
    user.map(|_| ()).ok_or(Error::NotFound("User"))
}

/// Removes a user without jobs.
pub(crate) async fn remove(tx: &mut PgConnection, user_id: UserId) -> sqlx::Result<()> {
    sqlx::query!("delete from users where id = $1", user_id.get())
        .execute(tx)
        .await?;
    Ok(())
}

fn email_taken(error: sqlx::Error) -> Error {
    if violates(&error, "users_email_key") {
        return Error::Conflict("That email address is already in use.".to_owned());
    }
    error.into()
}
