use std::net::IpAddr;

use chrono::{DateTime, Utc};
use domain::{AuditKind, Email, Role, SessionId, UserId, UserName};
use sqlx::PgConnection;

use super::{
    Client, Lifetimes, NewSession,
    confirmation::{check_confirmed, is_recent, renew, set_authenticated_at},
    end_access::end_access,
    lock::{is_locked, refuse_locked},
    sessions::{SigningIn, begin},
};
use crate::{
    Backend, Error, Result,
    access::{Act, Viewer, check_admin, session_of},
    audit::{self, Event},
    database,
    error::violates,
    openid::{Begun, Claims, Provider, Refusal, Response, Settings},
};

/// How the audit names a sign-in through the provider.
const BY: &str = "openid connect";

/// A browser's return from the provider.
#[derive(Debug, Clone, Copy)]
pub struct SignInAttempt<'a> {
    /// The origin of our pages.
    pub origin: &'a str,
    /// The sign-in that this browser started.
    pub begun: Option<&'a Begun>,
    pub response: Response<'a>,
    pub client: &'a Client,
    /// The browser's current session secret. The new session replaces that session.
    pub replaced: Option<&'a str>,
    /// The signed-in user who confirms who they are. They keep their session.
    pub confirming: Option<&'a Viewer>,
}

/// Starts a session for the user whom the provider has authenticated, or confirms that it is the user who is signed in. The
/// audit records each refusal with its reason. Fails with [`Error::Forbidden`] if an admin has locked the user.
pub async fn sign_in_with(
    provider: &Provider,
    backend: &Backend,
    lifetimes: Lifetimes,
    attempt: SignInAttempt<'_>,
) -> Result<Result<NewSession, Refusal>> {
    let address = attempt.client.address;
    let SignInAttempt {
        origin,
        begun,
        response,
        confirming,
        ..
    } = attempt;
    let note_refusal = async |refusal: &Refusal, claims: Option<&Claims>| match confirming {
        Some(viewer) => note_refusal(backend, viewer, AuditKind::Confirm, refusal, claims).await,
        None => {
            let nobody = Viewer::anyone(address);
            note_refusal(backend, &nobody, AuditKind::SignIn, refusal, claims).await;
        }
    };
    let claims = match provider.finish(origin, begun, &response).await {
        Ok(claims) => claims,
        Err(refusal) => {
            note_refusal(&refusal, None).await;
            return Ok(Err(refusal));
        }
    };
    let mut tx = database::begin(&backend.pool).await?;
    let user = match find(&mut tx, &provider.settings, &claims, address).await? {
        Ok(user) => user,
        Err(refusal) => {
            drop(tx);
            note_refusal(&refusal, Some(&claims)).await;
            return Ok(Err(refusal));
        }
    };
    if is_locked(&mut tx, user.user_id).await? {
        drop(tx);
        return Err(refuse_locked(backend, address, user.user_id, BY).await);
    }
    let authenticated_at = match provider.settings.checks_auth_time {
        true => claims.authenticated_at,
        false => Some(Utc::now()),
    };
    if let Some(viewer) = confirming {
        if authenticated_at.is_none() {
            provider.warn_of_undated_claims();
        }
        let refusal = match confirms(viewer, user.user_id, authenticated_at) {
            Ok((session_id, at)) => {
                let (before, user_id) = (user.role.clone(), user.user_id);
                let user = with_role(&mut tx, user, claims.is_admin, address).await?;
                let secret = match user.role == before {
                    true => renew(&mut tx, viewer, session_id, at).await?,
                    // The new role has ended all sessions.
                    false => {
                        let client = attempt.client;
                        let session = begin(&mut tx, lifetimes, user, BY, client, None).await?;
                        set_authenticated_at(&mut tx, &session.secret, Some(at)).await?;
                        session.secret
                    }
                };
                let confirmed = Event::done(AuditKind::Confirm).of_user(user_id).detail(BY);
                audit::record(&mut *tx, viewer, confirmed).await?;
                tx.commit().await?;
                return Ok(Ok(NewSession { secret, user_id }));
            }
            Err(refusal) => refusal,
        };
        drop(tx);
        note_refusal(&refusal, Some(&claims)).await;
        return Ok(Err(refusal));
    }
    let user = with_role(&mut tx, user, claims.is_admin, address).await?;
    let begun = begin(
        &mut tx,
        lifetimes,
        user,
        BY,
        attempt.client,
        attempt.replaced,
    );
    let session = begun.await?;
    set_authenticated_at(&mut tx, &session.secret, authenticated_at).await?;
    tx.commit().await?;
    Ok(Ok(session))
}

/// Returns the viewer's session and when they authenticated, if that was just now.
fn confirms(
    viewer: &Viewer,
    user_id: UserId,
    authenticated_at: Option<DateTime<Utc>>,
) -> Result<(SessionId, DateTime<Utc>), Refusal> {
    let (account, session_id) = session_of(viewer).map_err(|_| Refusal::NotBegunHere)?;
    if account.user_id != user_id {
        return Err(Refusal::OtherUser);
    }
    match authenticated_at.filter(|at| is_recent(*at)) {
        Some(at) => Ok((session_id, at)),
        None => Err(Refusal::NotRecent),
    }
}

async fn note_refusal(
    backend: &Backend,
    viewer: &Viewer,
    kind: AuditKind,
    refusal: &Refusal,
    claims: Option<&Claims>,
) {
    let email = claims.and_then(|claims| claims.email.as_deref());
    let detail = match email.and_then(|email| Email::parse(email).ok()) {
        Some(email) => format!("{BY}: {refusal}, {}", email.as_str()),
        None => format!("{BY}: {refusal}"),
    };
    let refused = Event::refused(kind).detail(&detail);
    audit::note(&backend.pool, viewer, refused).await;
}

/// Returns the user whom the provider identifies. Links them to its subject, or creates them, if that is safe.
///
/// An email address finds a user only once, and only if the provider has verified it. From then on, only the subject
/// identifies the user. A user with a subject isn't found by address, because addresses are reassigned.
async fn find(
    tx: &mut PgConnection,
    settings: &Settings,
    claims: &Claims,
    address: Option<IpAddr>,
) -> Result<Result<SigningIn, Refusal>> {
    let email = claims.email.as_deref();
    let email = email.and_then(|email| Email::parse(email).ok());
    if !settings.email_domains.is_empty() {
        // Checked on every sign-in, so that people who have left the domain stay out.
        match &email {
            None => return Ok(Err(Refusal::NoEmail)),
            Some(_) if !claims.email_verified => return Ok(Err(Refusal::EmailNotVerified)),
            Some(email) if !settings.allows(email) => return Ok(Err(Refusal::DomainNotAllowed)),
            Some(_) => {}
        }
    }
    let (issuer, subject) = (settings.issuer(), claims.subject.as_str());
    let known = sqlx::query!(
        "select id, name, email, role from users where openid_issuer = $1 and openid_subject = $2 for update",
        issuer,
        subject
    )
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(user) = known {
        return Ok(Ok(SigningIn {
            user_id: user.id.into(),
            name: user.name,
            email: user.email,
            role: user.role,
        }));
    }
    let Some(email) = email else {
        return Ok(Err(Refusal::NoEmail));
    };
    if !claims.email_verified {
        return Ok(Err(Refusal::EmailNotVerified));
    }
    let of_email = sqlx::query!(
        r#"select id, name, email, role, openid_issuer is not distinct from $2 as "is_of_issuer!"
           from users where lower(email) = lower($1) for update"#,
        email.as_str(),
        issuer
    )
    .fetch_optional(&mut *tx)
    .await?;
    match of_email {
        Some(user) if user.is_of_issuer => Ok(Err(Refusal::OtherSubject)),
        Some(user) => {
            let user_id = UserId::from(user.id);
            link(tx, user_id, issuer, subject).await?;
            let linked = Event::done(AuditKind::LinkProvider)
                .of_user(user_id)
                .detail(&user.email);
            audit::record(&mut *tx, &Viewer::anyone(address), linked).await?;
            Ok(Ok(SigningIn {
                user_id,
                name: user.name,
                email: user.email,
                role: user.role,
            }))
        }
        None if !settings.creates_users => Ok(Err(Refusal::NoSuchUser)),
        None => create(tx, issuer, claims, &email, address).await.map(Ok),
    }
}

async fn link(tx: &mut PgConnection, user_id: UserId, issuer: &str, subject: &str) -> Result<()> {
    sqlx::query!(
        "update users set openid_issuer = $2, openid_subject = $3 where id = $1",
        user_id.get(),
        issuer,
        subject
    )
    .execute(tx)
    .await
    .map_err(taken_meanwhile)?;
    Ok(())
}

async fn create(
    tx: &mut PgConnection,
    issuer: &str,
    claims: &Claims,
    email: &Email,
    address: Option<IpAddr>,
) -> Result<SigningIn> {
    // Ignores names that a form would refuse.
    let name = claims.name.as_deref();
    let name = name.and_then(|name| UserName::parse(name).ok());
    let (local_part, _) = email.as_str().split_once('@').unwrap_or_default();
    let user = sqlx::query!(
        "insert into users (name, email, openid_issuer, openid_subject) values ($1, $2, $3, $4)
         returning id, name, email, role",
        name.as_ref().map_or(local_part, UserName::as_str),
        email.as_str(),
        issuer,
        claims.subject
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(taken_meanwhile)?;
    let user_id = UserId::from(user.id);
    let created = Event::done(AuditKind::CreateUser)
        .of_user(user_id)
        .detail(&user.email);
    audit::record(&mut *tx, &Viewer::anyone(address), created).await?;
    Ok(SigningIn {
        user_id,
        name: user.name,
        email: user.email,
        role: user.role,
    })
}

/// Returned if the same person signs in twice for the first time, or if an admin creates them at that moment.
fn taken_meanwhile(error: sqlx::Error) -> Error {
    if violates(&error, "users_openid_key") || violates(&error, "users_email_key") {
        return Error::Conflict("You were signed in elsewhere just now. Sign in again.".to_owned());
    }
    error.into()
}

/// Returns the user with the role that the provider assigns, if it says who is an admin. A changed role ends their
/// sessions and API tokens, as [`super::set_role`] does. This may leave no admin at all: who becomes the next one is also
/// the provider's decision.
async fn with_role(
    tx: &mut PgConnection,
    user: SigningIn,
    is_admin: Option<bool>,
    address: Option<IpAddr>,
) -> Result<SigningIn> {
    let role = match is_admin {
        Some(true) => Role::Admin,
        Some(false) => Role::Member,
        None => return Ok(user),
    };
    if user.role == role.as_str() {
        return Ok(user);
    }
    sqlx::query!(
        "update users set role = $2 where id = $1",
        user.user_id.get(),
        role.as_str()
    )
    .execute(&mut *tx)
    .await?;
    let detail = format!("{} by {BY}", role.as_str());
    let changed = Event::done(AuditKind::ChangeRole)
        .of_user(user.user_id)
        .detail(&detail);
    let nobody = Viewer::anyone(address);
    end_access(&mut *tx, &nobody, user.user_id).await?;
    audit::record(&mut *tx, &nobody, changed).await?;
    let role = role.as_str().to_owned();
    Ok(SigningIn { role, ..user })
}

/// Unlinks a user from the provider, ends their sessions and revokes their API tokens. The next person who signs in there
/// with the user's verified email address becomes this user. Requires an admin. Fails with [`Error::Unconfirmed`].
pub async fn forget_provider(backend: &Backend, viewer: &Viewer, user_id: UserId) -> Result<()> {
    check_admin(&backend.pool, viewer, Act::Change).await?;
    session_of(viewer)?;
    let mut tx = database::begin(&backend.pool).await?;
    let changed = sqlx::query!(
        "update users set openid_issuer = null, openid_subject = null where id = $1",
        user_id.get()
    )
    .execute(&mut *tx)
    .await?;
    if changed.rows_affected() == 0 {
        return Err(Error::NotFound("User"));
    }
    check_confirmed(&mut *tx, viewer).await?;
    end_access(&mut tx, viewer, user_id).await?;
    let forgotten = Event::done(AuditKind::ForgetProvider).of_user(user_id);
    audit::record(&mut *tx, viewer, forgotten).await?;
    tx.commit().await?;
    Ok(())
}
