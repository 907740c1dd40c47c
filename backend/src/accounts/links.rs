use chrono::{DateTime, Utc};
use domain::{AuditKind, NewPassword, UserId};
use sqlx::{PgConnection, PgPool};

use super::{
    Client,
    confirmation::check_confirmed,
    end_access::end_access,
    secret::{Secret, hash},
    sessions::set_password,
};
use crate::{
    Backend, Error, Result,
    access::{Act, Viewer, check_admin, session_of},
    audit::{self, Event},
    database, users,
};

/// How long a link is valid.
pub const LINK_HOURS: u32 = 72;

/// A one-time link with which a user sets their password.
#[derive(Debug)]
pub struct PasswordLink {
    pub secret: Secret,
    pub expires_at: DateTime<Utc>,
}

/// Creates a link for the user and invalidates the previous one. Requires an admin in a session; tokens are refused. Fails
/// with [`Error::Unconfirmed`].
pub async fn create_link(
    backend: &Backend,
    viewer: &Viewer,
    user_id: UserId,
) -> Result<PasswordLink> {
    check_admin(&backend.pool, viewer, Act::Change).await?;
    session_of(viewer)?;
    let mut tx = database::begin(&backend.pool).await?;
    users::lock_settings(&mut tx, user_id).await?;
    check_confirmed(&mut *tx, viewer).await?;
    let link = insert_link(&mut tx, viewer, user_id).await?;
    tx.commit().await?;
    Ok(link)
}

/// Creates a link for the user, whose settings are locked, and invalidates the previous one.
pub(super) async fn insert_link(
    tx: &mut PgConnection,
    viewer: &Viewer,
    user_id: UserId,
) -> Result<PasswordLink> {
    let secret = Secret::new("")?;
    let expires_at = sqlx::query_scalar!(
        "insert into password_links (user_id, secret_hash, expires_at)
         select id, $2, now() + $3 * interval '1 hour' from users where id = $1
         on conflict (user_id) do update
         set secret_hash = excluded.secret_hash, created_at = now(), expires_at = excluded.expires_at
         returning expires_at",
        user_id.get(),
        secret.hash(),
        f64::from(LINK_HOURS)
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(Error::NotFound("User"))?;
    let created = Event::done(AuditKind::CreatePasswordLink).of_user(user_id);
    audit::record(tx, viewer, created).await?;
    Ok(PasswordLink { secret, expires_at })
}

struct Owner {
    id: i64,
    name: String,
    email: String,
}

async fn owner(pool: &PgPool, secret: &str) -> Result<Owner> {
    sqlx::query_as!(
        Owner,
        "select users.id, name, email from password_links join users on users.id = user_id
         where secret_hash = $1 and expires_at > now()",
        hash(secret)
    )
    .fetch_optional(pool)
    .await?
    .ok_or(Error::NotFound("Link"))
}

/// Returns the email address of the user whose password the link sets. Fails with [`Error::NotFound`] if the link was
/// used, replaced or has expired.
pub async fn link_owner(backend: &Backend, secret: &str) -> Result<String> {
    Ok(owner(&backend.pool, secret).await?.email)
}

/// Uses up the link: sets its user's password, ends their sessions and revokes their API tokens. Fails with
/// [`Error::NotFound`] as [`link_owner`] does, and with [`Error::Invalid`] if the password is easy to guess or known from a
/// breach.
pub async fn use_link(
    backend: &Backend,
    secret: &str,
    new: &NewPassword,
    client: &Client,
) -> Result<()> {
    let nobody = Viewer::anyone(client.address);
    let Owner { id, name, email } = match owner(&backend.pool, secret).await {
        Err(error @ Error::NotFound(_)) => {
            let refused = Event::refused(AuditKind::UsePasswordLink);
            audit::note(&backend.pool, &nobody, refused).await;
            return Err(error);
        }
        found => found?,
    };
    backend.passwords.check(new, &[&name, &email]).await?;
    let hashed = backend.passwords.hash(new).await?;
    let user_id = UserId::from(id);
    let mut tx = database::begin(&backend.pool).await?;
    // Before the link, as everybody else does who ends it.
    users::lock_settings(&mut tx, user_id).await?;
    let used = sqlx::query!(
        "delete from password_links where secret_hash = $1 and expires_at > now()",
        hash(secret)
    )
    .execute(&mut *tx)
    .await?;
    if used.rows_affected() == 0 {
        return Err(Error::NotFound("Link"));
    }
    set_password(&mut tx, user_id, &hashed).await?;
    end_access(&mut tx, &nobody, user_id).await?;
    let used = Event::done(AuditKind::UsePasswordLink).of_user(user_id);
    audit::record(&mut *tx, &nobody, used).await?;
    tx.commit().await?;
    Ok(())
}
