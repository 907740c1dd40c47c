//! Ends everything with which a user is signed in.

use domain::{AuditKind, UserId};
use sqlx::PgConnection;

use super::{
    confirmation::check_confirmed,
    sessions::{end_link, end_others},
    tokens::revoke_all,
};
use crate::{
    Backend, Result,
    access::{Act, Viewer, check_admin, session_of},
    audit::{self, Actor, Event},
    database, users,
};

/// Ends all sessions of the user and revokes all their API tokens, which also closes their sockets. The audit names
/// each revoked token. The caller holds a lock on the user, for which [`super::create_token`] waits.
pub(super) async fn end_access(
    tx: &mut PgConnection,
    actor: impl Into<Actor>,
    user_id: UserId,
) -> Result<()> {
    end_others(tx, user_id, None).await?;
    revoke_all(tx, actor.into(), user_id).await
}

/// Signs a user out everywhere, revokes their API tokens, and invalidates a link with which they could set a password.
/// Requires an admin in a session; tokens are refused. Fails with [`crate::Error::Unconfirmed`].
pub async fn sign_out_everywhere(
    backend: &Backend,
    viewer: &Viewer,
    user_id: UserId,
) -> Result<()> {
    check_admin(&backend.pool, viewer, Act::Change).await?;
    session_of(viewer)?;
    let mut tx = database::begin(&backend.pool).await?;
    users::lock_settings(&mut tx, user_id).await?;
    check_confirmed(&mut *tx, viewer).await?;
    end_access(&mut tx, viewer, user_id).await?;
    end_link(&mut tx, user_id).await?;
    let ended = Event::done(AuditKind::EndAccess).of_user(user_id);
    audit::record(&mut *tx, viewer, ended).await?;
    tx.commit().await?;
    Ok(())
}
