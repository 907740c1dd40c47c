use std::net::IpAddr;

use domain::{AuditKind, UserId};
use sqlx::PgConnection;

use super::{
    confirmation::check_confirmed, end_access::end_access, members::keep_an_admin,
    sessions::end_link,
};
use crate::{
    Backend, Error, Result,
    access::{Act, Viewer, check_admin, session_of},
    audit::{self, Event},
    database, users,
};

/// Locks a user: ends their access and the link to set a password, and keeps them from signing in. Their jobs go on.
/// Fails with [`Error::Conflict`] for the viewer and for the last admin, and with [`Error::Unconfirmed`]. Requires an admin
/// in a session.
pub async fn lock_user(backend: &Backend, viewer: &Viewer, user_id: UserId) -> Result<()> {
    check_admin(&backend.pool, viewer, Act::Change).await?;
    let (account, _) = session_of(viewer)?;
    if account.user_id == user_id {
        return Err(Error::Conflict(
            "You can't lock yourself. Ask another admin.".to_owned(),
        ));
    }
    let mut tx = database::begin(&backend.pool).await?;
    keep_an_admin(&mut tx, user_id).await?;
    // Here, so that two admins can't lock each other at the same moment.
    check_confirmed(&mut *tx, viewer).await?;
    let locked = sqlx::query!(
        "update users set locked_at = now() where id = $1 and locked_at is null",
        user_id.get()
    )
    .execute(&mut *tx)
    .await?;
    if locked.rows_affected() == 0 {
        // There is no such user, or they are already locked.
        return users::lock_settings(&mut tx, user_id).await;
    }
    end_access(&mut tx, viewer, user_id).await?;
    end_link(&mut tx, user_id).await?;
    let locked = Event::done(AuditKind::LockUser).of_user(user_id);
    audit::record(&mut *tx, viewer, locked).await?;
    tx.commit().await?;
    Ok(())
}

/// Lets a locked user sign in again. Their sessions and tokens stay ended. Fails with [`Error::Unconfirmed`].
/// Requires an admin in a session.
pub async fn unlock_user(backend: &Backend, viewer: &Viewer, user_id: UserId) -> Result<()> {
    check_admin(&backend.pool, viewer, Act::Change).await?;
    session_of(viewer)?;
    let mut tx = database::begin(&backend.pool).await?;
    users::lock_settings(&mut tx, user_id).await?;
    check_confirmed(&mut *tx, viewer).await?;
    if unlock(&mut tx, user_id).await? {
        let unlocked = Event::done(AuditKind::UnlockUser).of_user(user_id);
        audit::record(&mut *tx, viewer, unlocked).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Unlocks the user. Returns whether they were locked.
pub(super) async fn unlock(tx: &mut PgConnection, user_id: UserId) -> Result<bool> {
    let unlocked = sqlx::query!(
        "update users set locked_at = null where id = $1 and locked_at is not null",
        user_id.get()
    )
    .execute(tx)
    .await?;
    Ok(unlocked.rows_affected() > 0)
}

/// Returns whether the user is locked, and keeps that as it is until the transaction ends.
pub(super) async fn is_locked(tx: &mut PgConnection, user_id: UserId) -> Result<bool> {
    let is_locked = sqlx::query_scalar!(
        r#"select locked_at is not null as "is_locked!" from users where id = $1 for share"#,
        user_id.get()
    )
    .fetch_one(tx)
    .await?;
    Ok(is_locked)
}

/// Records that a locked user tried to sign in, and returns the error for them. `by` is how they identified themselves.
pub(super) async fn refuse_locked(
    backend: &Backend,
    address: Option<IpAddr>,
    user_id: UserId,
    by: &str,
) -> Error {
    let detail = format!("{by}: locked");
    let refused = Event::refused(AuditKind::SignIn)
        .of_user(user_id)
        .detail(&detail);
    audit::note(&backend.pool, &Viewer::anyone(address), refused).await;
    Error::Forbidden("Your account is locked. Ask an admin to unlock it.".to_owned())
}
