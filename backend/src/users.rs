//! Creates, lists and searches users, and the queries that change them.

use domain::{AuditKind, NewUser, User, UserChange, UserId};
use sqlx::PgConnection;

use crate::{
    Backend, Error, Result,
    access::{Act, Viewer, check_admin, check_user},
    audit::{self, Event},
    error::violates,
};

/// A page of users, newest first.
pub struct UserPage {
    pub users: Vec<User>,
    /// The number of users on all pages.
    pub total: u64,
}

/// Returns the page with this number, from 1, of the users that the viewer may see. It is empty beyond the last page.
pub async fn page(backend: &Backend, viewer: &Viewer, page: u64, size: u64) -> Result<UserPage> {
    let owner = viewer.owner().map(UserId::get);
    let total = sqlx::query_scalar!(
        r#"select count(*) as "total!" from users where $1::bigint is null or id = $1"#,
        owner
    )
    .fetch_one(&backend.pool)
    .await?;
    let offset = i64::try_from((page - 1).saturating_mul(size)).unwrap_or(i64::MAX);
    let users = sqlx::query_as!(
        User,
        "select id, name, email, created_at from users where $3::bigint is null or id = $3
         order by id desc limit $1 offset $2",
        i64::try_from(size).unwrap_or(i64::MAX),
        offset,
        owner
    )
    .fetch_all(&backend.pool)
    .await?;
    Ok(UserPage {
        users,
        total: total as u64,
    })
}

/// A page of a search for users, newest first.
pub struct FoundUsers {
    /// The page number, from 1.
    pub page: u64,
    pub users: Vec<User>,
    /// The number of users on all pages.
    pub total: u64,
}

impl FoundUsers {
    pub const SIZE: u64 = 20;
}

/// Returns the page with this number of the users whose name or email address contains `search`, ignoring case, or the
/// last page if there are fewer. Includes only users that the viewer may see.
pub async fn search(
    backend: &Backend,
    viewer: &Viewer,
    page: u64,
    search: &str,
) -> Result<FoundUsers> {
    let size = FoundUsers::SIZE as i64;
    // Not materialized: the count needs no rows, and a page only some.
    let found = sqlx::query!(
        r#"with found as not materialized (
               select id, name, email, created_at from users
               where ($1::bigint is null or id = $1)
                 and (strpos(lower(name), lower($2)) > 0 or strpos(lower(email), lower($2)) > 0)
           ), counted as (
               select count(*) as total, least($3, (greatest(count(*), 1) - 1) / $4) as pages_before from found
           )
           select id as "id!", name as "name!", email as "email!", created_at as "created_at!",
                  total as "total!", pages_before as "pages_before!"
           from found cross join counted
           order by id desc limit $4 offset (select pages_before * $4 from counted)"#,
        viewer.owner().map(UserId::get),
        search,
        i64::try_from(page.saturating_sub(1)).unwrap_or(i64::MAX),
        size
    )
    .fetch_all(&backend.pool)
    .await?;
    let (page, total) = (found.first()).map_or((1, 0), |first| {
        (first.pages_before as u64 + 1, first.total as u64)
    });
    let users = found.into_iter().map(|found| User {
        id: found.id.into(),
        name: found.name,
        email: found.email,
        created_at: found.created_at,
    });
    Ok(FoundUsers {
        page,
        users: users.collect(),
        total,
    })
}

pub async fn get(backend: &Backend, viewer: &Viewer, user_id: UserId) -> Result<User> {
    check_user(&backend.pool, viewer, user_id, Act::Read).await?;
    sqlx::query_as!(
        User,
        "select id, name, email, created_at from users where id = $1",
        user_id.get()
    )
    .fetch_optional(&backend.pool)
    .await?
    .ok_or(Error::NotFound("User"))
}

/// Returns the user with this email address, ignoring case. Requires an admin.
pub async fn of_email(backend: &Backend, viewer: &Viewer, email: &str) -> Result<Option<UserId>> {
    check_admin(&backend.pool, viewer, Act::Read).await?;
    let id = sqlx::query_scalar!(
        "select id from users where lower(email) = lower($1)",
        email.replace('\0', "\u{fffd}")
    )
    .fetch_optional(&backend.pool)
    .await?;
    Ok(id.map(UserId::from))
}

/// Creates a user. Fails with [`Error::Conflict`] if the address is taken, ignoring case.
pub(crate) async fn create(tx: &mut PgConnection, viewer: &Viewer, user: &NewUser) -> Result<User> {
    let user = sqlx::query_as!(
        User,
        "insert into users (name, email) values ($1, $2) returning id, name, email, created_at",
        user.name.as_str(),
        user.email.as_str()
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(email_taken)?;
    let created = Event::done(AuditKind::CreateUser)
        .of_user(user.id)
        .detail(&user.email);
    audit::record(tx, viewer, created).await?;
    Ok(user)
}

/// Changes a user. Fails with [`Error::Conflict`] if the new address belongs to another user.
pub(crate) async fn change(
    tx: &mut PgConnection,
    user_id: UserId,
    change: &UserChange,
) -> Result<User> {
    sqlx::query_as!(
        User,
        "update users set name = coalesce($2, name), email = coalesce($3, email) where id = $1
         returning id, name, email, created_at",
        user_id.get(),
        change.name.as_ref().map(|name| name.as_str()),
        change.email.as_ref().map(|email| email.as_str())
    )
    .fetch_optional(tx)
    .await
    .map_err(email_taken)?
    .ok_or(Error::NotFound("User"))
}

/// Returns the user's email address, and keeps them from being changed or deleted until the transaction ends. Fails with
/// [`Error::NotFound`].
pub(crate) async fn lock_email(tx: &mut PgConnection, user_id: UserId) -> Result<String> {
    let email = sqlx::query_scalar!(
        "select email from users where id = $1 for no key update",
        user_id.get()
    )
    .fetch_optional(tx)
    .await?;
    email.ok_or(Error::NotFound("User"))
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

/// Serializes changes of the user's saved settings, and keeps the user from being deleted, until the transaction ends.
/// Fails with [`Error::NotFound`].
pub(crate) async fn lock_settings(tx: &mut PgConnection, user_id: UserId) -> Result<()> {
    let user = sqlx::query_scalar!(
        "select id from users where id = $1 for no key update",
        user_id.get()
    )
    .fetch_optional(tx)
    .await?;
    user.map(|_| ()).ok_or(Error::NotFound("User"))
}

/// Removes a user without jobs. Returns their email address.
pub(crate) async fn remove(tx: &mut PgConnection, user_id: UserId) -> sqlx::Result<String> {
    sqlx::query_scalar!(
        "delete from users where id = $1 returning email",
        user_id.get()
    )
    .fetch_one(tx)
    .await
}

fn email_taken(error: sqlx::Error) -> Error {
    if violates(&error, "users_email_key") {
        return Error::Conflict("That email address is already in use.".to_owned());
    }
    error.into()
}
