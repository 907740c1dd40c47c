//! Asks signed-in users to prove again who they are, before changes with which somebody at an open browser could keep or
//! extend their access (OWASP ASVS 5.0, 7.5).

use chrono::{DateTime, TimeDelta, Utc};
use domain::{AuditKind, SessionId};
use sqlx::{PgConnection, PgExecutor};

use super::{second_factor, secret::Secret, sessions::is_current};
use crate::{
    Backend, Error, Result,
    access::{Means, Viewer, session_ended, session_of},
    audit::{self, Event},
    database,
};

/// How long after an authentication a session may make these changes.
pub const CONFIRMED_MINUTES: u32 = 10;

/// How a user can confirm who they are.
#[derive(Debug, Clone, Copy)]
pub struct ConfirmationWays {
    pub has_password: bool,
    /// Whether the password needs a code, too.
    pub has_second_factor: bool,
    /// Whether they are linked to an OpenID Connect provider.
    pub has_provider: bool,
}

/// Fails with [`Error::Unconfirmed`] if the viewer's session was authenticated too long ago. API tokens and viewers
/// without an account pass: other checks decide what they may do.
///
/// If the clock was set back, the session was authenticated in the future. Unless that is close, it counts as too long
/// ago.
pub(crate) async fn check_confirmed(database: impl PgExecutor<'_>, viewer: &Viewer) -> Result<()> {
    let Some(Means::Session(session_id)) = viewer.account().map(|account| account.means) else {
        return Ok(());
    };
    let is_confirmed = sqlx::query_scalar!(
        r#"select coalesce(authenticated_at between now() - $2 * interval '1 minute' and now() + $2 * interval '1 minute',
                           false) as "is_confirmed!"
           from sessions where id = $1"#,
        session_id.get(),
        f64::from(CONFIRMED_MINUTES)
    )
    .fetch_optional(database)
    .await?;
    match is_confirmed {
        Some(true) => Ok(()),
        Some(false) => Err(Error::Unconfirmed),
        None => Err(session_ended()),
    }
}

/// Returns whether somebody who authenticated at this time may make these changes now.
pub(super) fn is_recent(authenticated_at: DateTime<Utc>) -> bool {
    Utc::now() - authenticated_at <= TimeDelta::minutes(CONFIRMED_MINUTES.into())
}

/// Returns how the viewer can confirm who they are.
pub async fn confirmation_ways(backend: &Backend, viewer: &Viewer) -> Result<ConfirmationWays> {
    let (account, _) = session_of(viewer)?;
    sqlx::query_as!(
        ConfirmationWays,
        r#"select password_hash is not null as "has_password!", openid_subject is not null as "has_provider!",
                  exists (select from second_factors where user_id = users.id and key is not null) as "has_second_factor!"
           from users where id = $1"#,
        account.user_id.get()
    )
    .fetch_optional(&backend.pool)
    .await?
    .ok_or_else(session_ended)
}

/// Confirms with the password, and a code if they have a second factor, who the viewer is. Returns the new secret of their
/// session, or `None` if one of these is wrong.
pub async fn confirm_with_password(
    backend: &Backend,
    viewer: &Viewer,
    password: &str,
    code: &str,
) -> Result<Option<Secret>> {
    let (account, session_id) = session_of(viewer)?;
    let user_id = account.user_id;
    let stored = sqlx::query_scalar!(
        "select password_hash from users where id = $1",
        user_id.get()
    )
    .fetch_optional(&backend.pool)
    .await?
    .flatten();
    let refused = async |detail: &'static str| -> Result<Option<Secret>> {
        let refused = Event::refused(AuditKind::Confirm)
            .of_user(user_id)
            .detail(detail);
        audit::note(&backend.pool, viewer, refused).await;
        Ok(None)
    };
    if !backend.passwords.verify(password, stored.clone()).await? {
        return refused("password").await;
    }
    let mut tx = database::begin(&backend.pool).await?;
    if !is_current(&mut tx, user_id, stored.as_deref()).await? {
        return Err(session_ended());
    }
    let by = match second_factor::is_on(&mut *tx, user_id).await? {
        false => "password",
        true => match second_factor::accept(&mut tx, user_id, code).await? {
            Some(accepted) => accepted.with_password(),
            None => {
                tx.commit().await?;
                return refused("code").await;
            }
        },
    };
    let secret = renew(&mut tx, viewer, session_id, Utc::now()).await?;
    let confirmed = Event::done(AuditKind::Confirm).of_user(user_id).detail(by);
    audit::record(&mut *tx, viewer, confirmed).await?;
    tx.commit().await?;
    Ok(Some(secret))
}

/// Records when the user of a session authenticated, and returns the session's new secret. The old one stops working, in
/// case somebody else knows it (OWASP ASVS 5.0, 7.2.4).
pub(super) async fn renew(
    tx: &mut PgConnection,
    viewer: &Viewer,
    session_id: SessionId,
    authenticated_at: DateTime<Utc>,
) -> Result<Secret> {
    let secret = Secret::new("")?;
    let renewed = sqlx::query!(
        "update sessions set secret_hash = $2, authenticated_at = least($3, now()) where id = $1 and user_id = $4",
        session_id.get(),
        secret.hash(),
        authenticated_at,
        viewer.account().map(|account| account.user_id.get())
    )
    .execute(tx)
    .await?;
    match renewed.rows_affected() {
        0 => Err(session_ended()),
        _ => Ok(secret),
    }
}

/// Records when the user of a new session authenticated at the provider, which may be long ago, or unknown.
pub(super) async fn set_authenticated_at(
    tx: &mut PgConnection,
    secret: &Secret,
    authenticated_at: Option<DateTime<Utc>>,
) -> Result<()> {
    sqlx::query!(
        "update sessions
         set authenticated_at = case when $2::timestamptz is null then null else least($2, now()) end
         where secret_hash = $1",
        secret.hash(),
        authenticated_at
    )
    .execute(tx)
    .await?;
    Ok(())
}
