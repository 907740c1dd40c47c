use std::net::IpAddr;

use chrono::{DateTime, Utc};
use domain::{ApiToken, AuditKind, NewToken, Role, Scope, TokenId, UserId};
use sqlx::{PgConnection, PgPool};

use super::{
    confirmation::check_confirmed,
    secret::{Secret, hash},
};
use crate::{
    Backend, Error, Result,
    access::{Account, Means, Viewer, session_ended, session_of},
    audit::{self, Actor, Event},
    database, users,
};

/// The prefix of every token, by which secret scanners recognise it.
pub const TOKEN_START: &str = "bl_";
/// The number of characters by which the owner recognises a token.
const PREFIX_CHARS: usize = TOKEN_START.len() + 8;

struct Stored {
    id: i64,
    name: String,
    prefix: String,
    scope: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
}

impl TryFrom<Stored> for ApiToken {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        Ok(Self {
            id: stored.id.into(),
            name: stored.name,
            prefix: stored.prefix,
            scope: stored.scope.parse().map_err(anyhow::Error::new)?,
            created_at: stored.created_at,
            expires_at: stored.expires_at,
            last_used_at: stored.last_used_at,
        })
    }
}

/// Returns the viewer's tokens that aren't revoked, newest first.
pub async fn tokens(backend: &Backend, viewer: &Viewer) -> Result<Vec<ApiToken>> {
    let (account, _) = session_of(viewer)?;
    let tokens = sqlx::query_as!(
        Stored,
        "select id, name, prefix, scope, created_at, expires_at, last_used_at from api_tokens
         where user_id = $1 and revoked_at is null order by id desc",
        account.user_id.get()
    )
    .fetch_all(&backend.pool)
    .await?;
    tokens.into_iter().map(ApiToken::try_from).collect()
}

/// Creates a token for the viewer. Its secret can't be retrieved again. Fails with [`Error::Unconfirmed`], and with
/// [`Error::Conflict`] if the viewer already has the maximum number of tokens.
pub async fn create_token(
    backend: &Backend,
    viewer: &Viewer,
    new: &NewToken,
) -> Result<(ApiToken, Secret)> {
    let (account, session_id) = session_of(viewer)?;
    check_confirmed(&backend.pool, viewer).await?;
    let secret = Secret::new(TOKEN_START)?;
    let mut tx = database::begin(&backend.pool).await?;
    users::lock_settings(&mut tx, account.user_id).await?;
    // Otherwise the token would outlive an end of all access that came first.
    let is_signed_in = sqlx::query_scalar!(
        r#"select exists(select from sessions where id = $1) as "exists!""#,
        session_id.get()
    )
    .fetch_one(&mut *tx)
    .await?;
    if !is_signed_in {
        return Err(session_ended());
    }
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from api_tokens where user_id = $1 and revoked_at is null"#,
        account.user_id.get()
    )
    .fetch_one(&mut *tx)
    .await?;
    if count as usize >= ApiToken::MAX_PER_USER {
        return Err(Error::Conflict(format!(
            "You have {} API tokens, which is the maximum. Revoke one first.",
            ApiToken::MAX_PER_USER
        )));
    }
    let created = sqlx::query_as!(
        Stored,
        "insert into api_tokens (secret_hash, prefix, user_id, name, scope, expires_at)
         values ($1, $2, $3, $4, $5, now() + $6 * interval '1 day')
         returning id, name, prefix, scope, created_at, expires_at, last_used_at",
        secret.hash(),
        &secret.as_str()[..PREFIX_CHARS],
        account.user_id.get(),
        new.name.as_str(),
        new.scope.as_str(),
        f64::from(new.days)
    )
    .fetch_one(&mut *tx)
    .await?;
    let event = Event::done(AuditKind::CreateToken)
        .of_user(account.user_id)
        .detail(&created.prefix);
    audit::record(&mut *tx, viewer, event).await?;
    tx.commit().await?;
    Ok((created.try_into()?, secret))
}

/// Revokes one of the viewer's tokens. Succeeds if it is already revoked.
pub async fn revoke_token(backend: &Backend, viewer: &Viewer, token_id: TokenId) -> Result<()> {
    let (account, _) = session_of(viewer)?;
    let mut tx = database::begin(&backend.pool).await?;
    let revoked = sqlx::query_scalar!(
        "update api_tokens set revoked_at = now()
         where id = $1 and user_id = $2 and revoked_at is null returning prefix",
        token_id.get(),
        account.user_id.get()
    )
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(prefix) = revoked {
        let event = Event::done(AuditKind::RevokeToken)
            .of_user(account.user_id)
            .detail(&prefix);
        audit::record(&mut *tx, viewer, event).await?;
    } else {
        // Revoking a token again has no further effect.
        let is_own = sqlx::query_scalar!(
            r#"select exists(select from api_tokens where id = $1 and user_id = $2) as "is_own!""#,
            token_id.get(),
            account.user_id.get()
        );
        if !is_own.fetch_one(&mut *tx).await? {
            return Err(Error::NotFound("Token"));
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Revokes all of the user's tokens.
pub(super) async fn revoke_all(tx: &mut PgConnection, actor: Actor, user_id: UserId) -> Result<()> {
    let prefixes = sqlx::query_scalar!(
        "update api_tokens set revoked_at = now() where user_id = $1 and revoked_at is null returning prefix",
        user_id.get()
    )
    .fetch_all(&mut *tx)
    .await?;
    let revoked: Vec<_> = prefixes
        .iter()
        .map(|prefix| {
            let event = Event::done(AuditKind::RevokeToken).of_user(user_id);
            (actor.clone(), event.detail(prefix))
        })
        .collect();
    audit::record_each(tx, &revoked).await?;
    Ok(())
}

struct Found {
    id: i64,
    user_id: i64,
    name: String,
    email: String,
    role: String,
    scope: String,
    is_stale: bool,
}

impl Found {
    fn viewer(self, address: Option<IpAddr>) -> Result<Viewer> {
        let scope = self.scope.parse::<Scope>().map_err(anyhow::Error::new)?;
        let account = Account {
            user_id: self.user_id.into(),
            name: self.name,
            email: self.email,
            role: self.role.parse::<Role>().map_err(anyhow::Error::new)?,
            means: Means::Token {
                id: self.id.into(),
                scope,
            },
        };
        Ok(Viewer::of(account, address))
    }
}

/// Returns the owner of the token if it is valid, and records its use.
pub(super) async fn use_token(
    pool: &PgPool,
    token: &str,
    address: Option<IpAddr>,
) -> Result<Option<Viewer>> {
    let found = good(pool, Some(&hash(token)), None).await?;
    let Some(found) = found else {
        return Ok(None);
    };
    let (id, is_stale, user_id) = (found.id, found.is_stale, UserId::from(found.user_id));
    let viewer = found.viewer(address)?;
    if is_stale {
        let used = sqlx::query!(
            r#"update api_tokens
               set last_used_at = now(),
                   last_audited_at = case
                       when last_audited_at between now() - interval '1 hour' and now() + interval '1 minute'
                       then last_audited_at else now() end
               where id = $1 and (last_used_at is null
                   or last_used_at not between now() - interval '1 minute' and now() + interval '1 minute')
               returning last_audited_at = now() as "is_first!", prefix"#,
            id
        )
        .fetch_optional(pool)
        .await
        // A database that is read-only refuses that, but not the token.
        .unwrap_or_else(|error| {
            tracing::warn!(%error, "the use of a token could not be recorded");
            None
        });
        if let Some(used) = used.filter(|used| used.is_first) {
            let event = Event::done(AuditKind::UseToken)
                .of_user(user_id)
                .detail(&used.prefix);
            audit::note(pool, &viewer, event).await;
        }
    }
    Ok(Some(viewer))
}

/// Returns the owner of the token with this id if it is valid.
pub(super) async fn find(
    pool: &PgPool,
    id: TokenId,
    address: Option<IpAddr>,
) -> Result<Option<Viewer>> {
    let found = good(pool, None, Some(id)).await?;
    found.map(|found| found.viewer(address)).transpose()
}

async fn good(
    pool: &PgPool,
    secret_hash: Option<&[u8]>,
    id: Option<TokenId>,
) -> Result<Option<Found>> {
    let found = sqlx::query_as!(
        Found,
        r#"select api_tokens.id, user_id, users.name, email, role, scope,
                  last_used_at is null
                      or last_used_at not between now() - interval '1 minute' and now() + interval '1 minute' as "is_stale!"
           from api_tokens join users on users.id = user_id
           where (secret_hash = $1 or api_tokens.id = $2) and locked_at is null and revoked_at is null
             and expires_at > now()"#,
        secret_hash,
        id.map(TokenId::get)
    )
    .fetch_optional(pool)
    .await?;
    Ok(found)
}
