use std::{net::IpAddr, time::Duration};

use chrono::{DateTime, Utc};
use domain::{AuditKind, InvalidField, NewPassword, Role, Session, SessionId, UserId};
use sqlx::{PgConnection, PgPool};

use super::{
    confirmation::check_confirmed,
    half_session::{SignedIn, begin_half, end_halves},
    lock::{is_locked, refuse_locked},
    second_factor,
    secret::{Secret, hash},
    tokens,
};
use crate::{
    Backend, Result,
    access::{Account, Means, Viewer, session_ended, session_of},
    audit::{self, Event},
    database, users,
};

/// The maximum number of sessions per user. The least recently used ones end beyond it.
const MAX_PER_USER: i64 = 50;
/// How the audit names a sign-in with a password.
const BY: &str = "password";
/// The number of characters of a `User-Agent` that are kept.
const MAX_USER_AGENT_CHARS: usize = 300;

/// Who may use this installation.
#[derive(Debug, Clone, Copy)]
pub enum Auth {
    /// Anybody who can reach it.
    Open,
    /// Only users who sign in.
    SignIn(Lifetimes),
}

/// How long a session lasts.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// Since its last request.
    pub idle: Duration,
    /// In total.
    pub longest: Duration,
}

/// The credentials in a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// A token from the `Authorization` header. It takes precedence over a session.
    pub token: Option<&'a str>,
    /// The secret of a session, from a cookie.
    pub session: Option<&'a str>,
}

/// The result of authentication.
#[derive(Debug, Clone)]
pub enum Identity {
    Viewer(Viewer),
    Nobody,
    /// The token is unknown, expired or revoked.
    InvalidToken,
}

/// The client that somebody signs in from.
#[derive(Debug, Clone, Default)]
pub struct Client {
    pub address: Option<IpAddr>,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
}

/// A new session.
#[derive(Debug)]
pub struct NewSession {
    /// For the browser's cookie.
    pub secret: Secret,
    pub user_id: UserId,
}

impl Auth {
    /// Authenticates a request. Records the use of a session or token once a minute.
    pub async fn identify(
        &self,
        backend: &Backend,
        credentials: Credentials<'_>,
        address: Option<IpAddr>,
    ) -> Result<Identity> {
        let Self::SignIn(lifetimes) = self else {
            return Ok(Identity::Viewer(Viewer::anyone(address)));
        };
        if let Some(token) = credentials.token {
            return Ok(
                match tokens::use_token(&backend.pool, token, address).await? {
                    Some(viewer) => Identity::Viewer(viewer),
                    None => Identity::InvalidToken,
                },
            );
        }
        let Some(secret) = credentials.session else {
            return Ok(Identity::Nobody);
        };
        let found = find(&backend.pool, Some(&hash(secret)), None, lifetimes.idle).await?;
        Ok(match found {
            Some(found) => {
                if found.is_stale {
                    touch(&backend.pool, found.id, lifetimes.longest).await;
                }
                Identity::Viewer(found.viewer(address)?)
            }
            None => Identity::Nobody,
        })
    }

    /// Returns whether this is the secret of a session of this user that hasn't ended. Unlike [`Self::identify`], asking
    /// isn't a use of the session.
    pub async fn is_session_of(
        &self,
        backend: &Backend,
        secret: Option<&str>,
        user_id: UserId,
    ) -> Result<bool> {
        let (Self::SignIn(lifetimes), Some(secret)) = (self, secret) else {
            return Ok(false);
        };
        let found = find(&backend.pool, Some(&hash(secret)), None, lifetimes.idle).await?;
        Ok(found.is_some_and(|found| found.user_id == user_id.get()))
    }

    /// Returns the viewer in their current state, or `None` if their session or token has ended.
    pub async fn again(&self, backend: &Backend, viewer: &Viewer) -> Result<Option<Viewer>> {
        let (Self::SignIn(lifetimes), Some(account)) = (self, viewer.account()) else {
            return Ok(Some(viewer.clone()));
        };
        match account.means {
            Means::Session(id) => find(&backend.pool, None, Some(id), lifetimes.idle)
                .await?
                .map(|found| found.viewer(viewer.address()))
                .transpose(),
            Means::Token { id, .. } => tokens::find(&backend.pool, id, viewer.address()).await,
        }
    }
}

struct Found {
    id: i64,
    user_id: i64,
    name: String,
    email: String,
    role: String,
    is_stale: bool,
}

impl Found {
    fn viewer(self, address: Option<IpAddr>) -> Result<Viewer> {
        let account = Account {
            user_id: self.user_id.into(),
            name: self.name,
            email: self.email,
            role: self.role.parse::<Role>().map_err(anyhow::Error::new)?,
            means: Means::Session(self.id.into()),
        };
        Ok(Viewer::of(account, address))
    }
}

/// Returns the session with this hash or id, unless it has ended.
///
/// If the clock was set back, a session was last used in the future. Unless that is close, it has ended: nobody knows how
/// long it was idle.
async fn find(
    pool: &PgPool,
    secret_hash: Option<&[u8]>,
    id: Option<SessionId>,
    idle: Duration,
) -> Result<Option<Found>> {
    let found = sqlx::query_as!(
        Found,
        r#"select sessions.id, user_id, name, email, role,
                  last_used_at not between now() - interval '1 minute' and now() + interval '1 minute' as "is_stale!"
           from sessions join users on users.id = user_id
           where (secret_hash = $1 or sessions.id = $2) and locked_at is null
             and expires_at > now()
             and last_used_at > now() - $3 * interval '1 second' and last_used_at < now() + $3 * interval '1 second'"#,
        secret_hash,
        id.map(SessionId::get),
        idle.as_secs_f64()
    )
    .fetch_optional(pool)
    .await?;
    Ok(found)
}

/// Records that the session is used, and that it lasts at most `longest` from now, whatever the clock said when it began.
/// A database that is read-only refuses that, but not the session.
async fn touch(pool: &PgPool, id: i64, longest: Duration) {
    let touched = sqlx::query!(
        "update sessions
         set last_used_at = now(), expires_at = least(expires_at, now() + $2 * interval '1 second')
         where id = $1 and last_used_at not between now() - interval '1 minute' and now() + interval '1 minute'",
        id,
        longest.as_secs_f64()
    )
    .execute(pool)
    .await;
    if let Err(error) = touched {
        tracing::warn!(%error, "the use of a session could not be recorded");
    }
}

/// Computes the hash used for unknown addresses, so that the first sign-in takes no longer than others.
pub async fn prepare(backend: &Backend) -> Result<()> {
    backend.passwords.verify("", None).await?;
    Ok(())
}

/// Starts a session if the password is the user's, or a half session if they also need a code. Returns `None` if the email
/// address or the password is wrong; neither the result nor its timing reveals which. Fails with
/// [`crate::Error::Forbidden`] if an admin has locked the user, which only the right password reveals. Ends the session of
/// `replaced`, the browser's current secret.
pub async fn sign_in(
    backend: &Backend,
    lifetimes: Lifetimes,
    email: &str,
    password: &str,
    client: &Client,
    replaced: Option<&str>,
) -> Result<Option<SignedIn>> {
    // Text with a NUL, which PostgreSQL can't store, matches no address.
    let user = sqlx::query!(
        "select id, name, email, role, password_hash from users where lower(email) = lower($1)",
        email.trim().replace('\0', "\u{fffd}")
    )
    .fetch_optional(&backend.pool)
    .await?;
    let stored = user.as_ref().and_then(|user| user.password_hash.clone());
    let is_right = backend.passwords.verify(password, stored.clone()).await?;
    let nobody = Viewer::anyone(client.address);
    let tried = user.as_ref().map(|user| UserId::from(user.id));
    let Some(user) = user.filter(|_| is_right) else {
        // Unknown addresses aren't recorded: they may be passwords typed into the wrong field.
        let refused = Event::refused(AuditKind::SignIn);
        let refused = audit::Event {
            user_id: tried,
            ..refused
        };
        audit::note(&backend.pool, &nobody, refused).await;
        return Ok(None);
    };
    let user_id = UserId::from(user.id);
    let mut tx = database::begin(&backend.pool).await?;
    if !is_current(&mut tx, user_id, stored.as_deref()).await? {
        return Ok(None);
    }
    if is_locked(&mut tx, user_id).await? {
        drop(tx);
        return Err(refuse_locked(backend, client.address, user_id, BY).await);
    }
    let signed_in = match begin_half(&mut tx, user_id).await? {
        Some(half) => SignedIn::NeedsCode(half),
        None => {
            let user = SigningIn {
                user_id,
                name: user.name,
                email: user.email,
                role: user.role,
            };
            let session = begin(&mut tx, lifetimes, user, BY, client, replaced).await?;
            SignedIn::Session(session)
        }
    };
    tx.commit().await?;
    if let Some(stored) = stored
        && let Err(error) = renew_hash(backend, user_id, password, &stored).await
    {
        tracing::warn!(%error, "the hash of a password could not be renewed");
    }
    Ok(Some(signed_in))
}

/// Returns whether the password that was checked is still the user's, and keeps it until the transaction ends.
pub(super) async fn is_current(
    tx: &mut PgConnection,
    user_id: UserId,
    checked: Option<&str>,
) -> Result<bool> {
    let is_current = sqlx::query_scalar!(
        r#"select password_hash is not distinct from $2 as "is_current!" from users where id = $1 for share"#,
        user_id.get(),
        checked
    )
    .fetch_optional(tx)
    .await?;
    Ok(is_current == Some(true))
}

/// Replaces a hash that was made with parameters of an earlier version, unless the password was changed in the meantime.
async fn renew_hash(
    backend: &Backend,
    user_id: UserId,
    password: &str,
    stored: &str,
) -> Result<()> {
    if let Some(renewed) = backend.passwords.renewed(password, stored).await? {
        sqlx::query!(
            "update users set password_hash = $3 where id = $1 and password_hash = $2",
            user_id.get(),
            stored,
            renewed
        )
        .execute(&backend.pool)
        .await?;
    }
    Ok(())
}

/// A user who has proved their identity.
pub(super) struct SigningIn {
    pub user_id: UserId,
    pub name: String,
    pub email: String,
    pub role: String,
}

/// Starts a session and ends the session of `replaced`. `by` is recorded in the audit.
pub(super) async fn begin(
    tx: &mut PgConnection,
    lifetimes: Lifetimes,
    user: SigningIn,
    by: &str,
    client: &Client,
    replaced: Option<&str>,
) -> Result<NewSession> {
    let user_id = user.user_id;
    let secret = Secret::new("")?;
    if let Some(replaced) = replaced {
        sqlx::query!(
            "delete from sessions where secret_hash = $1",
            hash(replaced)
        )
        .execute(&mut *tx)
        .await?;
    }
    forget_ended(tx, user_id, lifetimes.idle).await?;
    let user_agent = client.user_agent.as_ref().map(|agent| {
        let agent = agent.chars().filter(|c| !c.is_control());
        agent.take(MAX_USER_AGENT_CHARS).collect::<String>()
    });
    let session_id = sqlx::query_scalar!(
        "insert into sessions (secret_hash, user_id, expires_at, user_agent, address, authenticated_at)
         values ($1, $2, now() + $3 * interval '1 second', $4, $5, now()) returning id",
        secret.hash(),
        user_id.get(),
        lifetimes.longest.as_secs_f64(),
        user_agent,
        client.address.map(|address| address.to_string())
    )
    .fetch_one(&mut *tx)
    .await?;
    let account = Account {
        user_id,
        name: user.name,
        email: user.email,
        role: user.role.parse::<Role>().map_err(anyhow::Error::new)?,
        means: Means::Session(session_id.into()),
    };
    let viewer = Viewer::of(account, client.address);
    let signed_in = Event::done(AuditKind::SignIn).of_user(user_id).detail(by);
    audit::record(&mut *tx, &viewer, signed_in).await?;
    Ok(NewSession { secret, user_id })
}

/// Removes expired sessions of all users, and the user's least recently used ones beyond the limit.
async fn forget_ended(tx: &mut PgConnection, user_id: UserId, idle: Duration) -> Result<()> {
    sqlx::query!(
        "delete from sessions
         where expires_at <= now() or last_used_at <= now() - $2 * interval '1 second'
            or last_used_at >= now() + $2 * interval '1 second'
            or id in (select id from sessions where user_id = $1 order by last_used_at desc, id desc offset $3)",
        user_id.get(),
        idle.as_secs_f64(),
        MAX_PER_USER - 1
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends the viewer's session.
pub async fn sign_out(backend: &Backend, viewer: &Viewer) -> Result<()> {
    let (account, session_id) = session_of(viewer)?;
    let mut tx = database::begin(&backend.pool).await?;
    sqlx::query!("delete from sessions where id = $1", session_id.get())
        .execute(&mut *tx)
        .await?;
    let signed_out = Event::done(AuditKind::SignOut).of_user(account.user_id);
    audit::record(&mut *tx, viewer, signed_out).await?;
    tx.commit().await?;
    Ok(())
}

/// Returns the viewer's sessions, most recently used first.
pub async fn sessions(backend: &Backend, viewer: &Viewer, idle: Duration) -> Result<Vec<Session>> {
    struct Stored {
        id: i64,
        created_at: DateTime<Utc>,
        last_used_at: DateTime<Utc>,
        expires_at: DateTime<Utc>,
        user_agent: Option<String>,
        address: Option<String>,
    }
    let (account, _) = session_of(viewer)?;
    let sessions = sqlx::query_as!(
        Stored,
        "select id, created_at, last_used_at, expires_at, user_agent, address from sessions
         where user_id = $1 and expires_at > now()
           and last_used_at > now() - $2 * interval '1 second' and last_used_at < now() + $2 * interval '1 second'
         order by last_used_at desc, id desc",
        account.user_id.get(),
        idle.as_secs_f64()
    )
    .fetch_all(&backend.pool)
    .await?;
    let session = |stored: Stored| Session {
        id: stored.id.into(),
        created_at: stored.created_at,
        last_used_at: stored.last_used_at,
        expires_at: stored.expires_at,
        user_agent: stored.user_agent,
        address: stored.address,
    };
    Ok(sessions.into_iter().map(session).collect())
}

/// Ends one of the viewer's sessions. Succeeds if it has already ended. Fails with [`crate::Error::Unconfirmed`].
pub async fn end_session(backend: &Backend, viewer: &Viewer, session_id: SessionId) -> Result<()> {
    let (account, _) = session_of(viewer)?;
    check_confirmed(&backend.pool, viewer).await?;
    let mut tx = database::begin(&backend.pool).await?;
    let ended = sqlx::query!(
        "delete from sessions where id = $1 and user_id = $2",
        session_id.get(),
        account.user_id.get()
    )
    .execute(&mut *tx)
    .await?;
    if ended.rows_affected() > 0 {
        let ended = Event::done(AuditKind::EndSession).of_user(account.user_id);
        audit::record(&mut *tx, viewer, ended).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Ends all of the viewer's sessions except the current one. Fails with [`crate::Error::Unconfirmed`].
pub async fn end_other_sessions(backend: &Backend, viewer: &Viewer) -> Result<()> {
    let (account, session_id) = session_of(viewer)?;
    check_confirmed(&backend.pool, viewer).await?;
    let mut tx = database::begin(&backend.pool).await?;
    end_others(&mut tx, account.user_id, Some(session_id)).await?;
    let ended = Event::done(AuditKind::EndSession)
        .of_user(account.user_id)
        .detail("all others");
    audit::record(&mut *tx, viewer, ended).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends all of a user's sessions except this one, and what could become one.
pub(super) async fn end_others(
    tx: &mut PgConnection,
    user_id: UserId,
    but: Option<SessionId>,
) -> Result<()> {
    // First, because one of them may become a session until this returns.
    end_halves(tx, user_id).await?;
    sqlx::query!(
        "delete from sessions where user_id = $1 and id is distinct from $2",
        user_id.get(),
        but.map(SessionId::get)
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Changes the viewer's password and ends their other sessions. With `revokes_tokens` their API tokens are revoked, too.
/// Returns the new secret of the current session. Fails with [`crate::Error::Invalid`] for the field `current_password`
/// or `new_password`, and if the viewer has a second factor, for `code`.
pub async fn change_password(
    backend: &Backend,
    viewer: &Viewer,
    current: &str,
    code: &str,
    new: &NewPassword,
    revokes_tokens: bool,
) -> Result<Secret> {
    let (account, session_id) = session_of(viewer)?;
    let user_id = account.user_id;
    let stored = sqlx::query_scalar!(
        "select password_hash from users where id = $1",
        user_id.get()
    )
    .fetch_optional(&backend.pool)
    .await?
    .flatten();
    if !backend.passwords.verify(current, stored.clone()).await? {
        let refused = Event::refused(AuditKind::ChangePassword).of_user(user_id);
        audit::note(&backend.pool, viewer, refused).await;
        let sentence = "That isn't your current password.";
        return Err(InvalidField::new("current_password", sentence).into());
    }
    let known = [account.name.as_str(), account.email.as_str()];
    backend.passwords.check(new, &known).await?;
    let hashed = backend.passwords.hash(new).await?;
    let secret = Secret::new("")?;
    let mut tx = database::begin(&backend.pool).await?;
    users::lock_settings(&mut tx, user_id).await?;
    if !is_current(&mut tx, user_id, stored.as_deref()).await? {
        return Err(session_ended());
    }
    if second_factor::is_on(&mut *tx, user_id).await?
        && second_factor::accept(&mut tx, user_id, code)
            .await?
            .is_none()
    {
        tx.commit().await?;
        let refused = Event::refused(AuditKind::ChangePassword).of_user(user_id);
        audit::note(&backend.pool, viewer, refused.detail("code")).await;
        let sentence =
            "That code isn't right, or was used before. Enter the one that your app shows now.";
        return Err(InvalidField::new("code", sentence).into());
    }
    set_password(&mut tx, user_id, &hashed).await?;
    end_others(&mut tx, user_id, Some(session_id)).await?;
    if revokes_tokens {
        tokens::revoke_all(&mut tx, viewer.into(), user_id).await?;
    }
    // The old secret must stop working too, in case somebody else knows it.
    let renewed = sqlx::query!(
        "update sessions set secret_hash = $2 where id = $1",
        session_id.get(),
        secret.hash()
    )
    .execute(&mut *tx)
    .await?;
    if renewed.rows_affected() == 0 {
        return Err(session_ended());
    }
    let changed = Event::done(AuditKind::ChangePassword).of_user(user_id);
    audit::record(&mut *tx, viewer, changed).await?;
    tx.commit().await?;
    Ok(secret)
}

/// Sets a password and invalidates a link that would set another one.
pub(super) async fn set_password(
    tx: &mut PgConnection,
    user_id: UserId,
    hashed: &str,
) -> Result<()> {
    sqlx::query!(
        "update users set password_hash = $2 where id = $1",
        user_id.get(),
        hashed
    )
    .execute(&mut *tx)
    .await?;
    end_link(tx, user_id).await
}

/// Invalidates the link with which the user could set a password.
pub(super) async fn end_link(tx: &mut PgConnection, user_id: UserId) -> Result<()> {
    sqlx::query!(
        "delete from password_links where user_id = $1",
        user_id.get()
    )
    .execute(tx)
    .await?;
    Ok(())
}
