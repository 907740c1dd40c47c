//! The time between the right password and the code of the second factor. Holds every query on `half_sessions`.
//!
//! A half session is good for nothing but the code, for a few minutes, in the browser that has its secret.

use domain::{AuditKind, UserId};
use sqlx::PgConnection;

use super::{
    Client, Lifetimes, NewSession, second_factor,
    secret::{Secret, hash},
    sessions::{SigningIn, begin},
};
use crate::{
    Backend, Result,
    access::Viewer,
    audit::{self, Event},
    database,
};

/// How long somebody may take to enter the code.
pub const HALF_SESSION_MINUTES: u32 = 5;
/// The number of codes that may be tried.
const MAX_ATTEMPTS: i32 = 5;

/// The result of a right password.
#[derive(Debug)]
pub enum SignedIn {
    Session(NewSession),
    /// The user has a second factor. Contains the secret of the half session, for the browser's cookie.
    NeedsCode(Secret),
}

/// The result of a code.
#[derive(Debug)]
pub enum HalfSession {
    SignedIn(NewSession),
    WrongCode,
    /// It has expired, was used, or too many codes were tried. The password has to be entered again.
    Ended,
}

/// Starts a half session for a user whose password was right. Returns `None` if they have no second factor.
pub(super) async fn begin_half(tx: &mut PgConnection, user_id: UserId) -> Result<Option<Secret>> {
    if !second_factor::is_on(&mut *tx, user_id).await? {
        return Ok(None);
    }
    let secret = Secret::new("")?;
    sqlx::query!(
        "insert into half_sessions (secret_hash, user_id, expires_at) values ($1, $2, now() + $3 * interval '1 minute')",
        secret.hash(),
        user_id.get(),
        f64::from(HALF_SESSION_MINUTES)
    )
    .execute(tx)
    .await?;
    Ok(Some(secret))
}

/// Returns the email address of the user who is signing in, unless the half session has ended.
pub async fn half_session_owner(backend: &Backend, secret: &str) -> Result<Option<String>> {
    let email = sqlx::query_scalar!(
        "select email from half_sessions join users on users.id = user_id
         where secret_hash = $1 and expires_at > now() and attempts < $2",
        hash(secret),
        MAX_ATTEMPTS
    )
    .fetch_optional(&backend.pool)
    .await?;
    Ok(email)
}

/// Starts a session if the code is right: one of the user's app, or a recovery code. Ends the session of `replaced`, the
/// browser's current secret.
pub async fn finish_sign_in(
    backend: &Backend,
    lifetimes: Lifetimes,
    secret: &str,
    code: &str,
    client: &Client,
    replaced: Option<&str>,
) -> Result<HalfSession> {
    let mut tx = database::begin(&backend.pool).await?;
    // Keeps the user from being deleted meanwhile.
    let user = sqlx::query!(
        "select users.id, name, email, role from half_sessions join users on users.id = user_id
         where secret_hash = $1 for key share of users",
        hash(secret)
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(user) = user else {
        return Ok(HalfSession::Ended);
    };
    let user_id = UserId::from(user.id);
    let accepted = second_factor::accept(&mut tx, user_id, code).await?;
    // Locks the half session. Whatever ends all sessions of the user waits for that, and then finds the new one. If it has
    // ended, nothing is committed, so the code isn't used up.
    let counted = sqlx::query!(
        "update half_sessions set attempts = attempts + 1
         where secret_hash = $1 and expires_at > now() and attempts < $2",
        hash(secret),
        MAX_ATTEMPTS
    )
    .execute(&mut *tx)
    .await?;
    if counted.rows_affected() == 0 {
        return Ok(HalfSession::Ended);
    }
    let by = match accepted {
        Some(accepted) => accepted.with_password(),
        None => {
            // The attempt counts.
            tx.commit().await?;
            let refused = Event::refused(AuditKind::SignIn)
                .of_user(user_id)
                .detail("code");
            audit::note(&backend.pool, &Viewer::anyone(client.address), refused).await;
            return Ok(HalfSession::WrongCode);
        }
    };
    sqlx::query!(
        "delete from half_sessions where secret_hash = $1",
        hash(secret)
    )
    .execute(&mut *tx)
    .await?;
    let user = SigningIn {
        user_id,
        name: user.name,
        email: user.email,
        role: user.role,
    };
    let session = begin(&mut tx, lifetimes, user, by, client, replaced).await?;
    tx.commit().await?;
    Ok(HalfSession::SignedIn(session))
}

/// Ends the user's half sessions.
pub(super) async fn end_halves(tx: &mut PgConnection, user_id: UserId) -> Result<()> {
    sqlx::query!(
        "delete from half_sessions where user_id = $1",
        user_id.get()
    )
    .execute(tx)
    .await?;
    Ok(())
}
