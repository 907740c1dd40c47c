use chrono::{DateTime, Utc};
use domain::{Quotas, Scope, SessionId, TokenId, User};

use crate::{
    Backend, Error, Result,
    access::{Means, Viewer},
    jobs::usage,
    users,
};

/// The credential that a user has signed in with, and when it expires.
pub enum Credential {
    Session {
        id: SessionId,
        /// Moves forward as the session is used.
        expires_at: DateTime<Utc>,
    },
    Token {
        id: TokenId,
        name: String,
        /// The first characters of the token.
        prefix: String,
        scope: Scope,
        expires_at: DateTime<Utc>,
    },
}

/// A signed-in user, as they see themselves.
pub struct Me {
    pub user: User,
    pub credential: Credential,
    pub quotas: Quotas,
}

/// Returns the signed-in user, or `None` if sign-in is disabled.
pub async fn me(backend: &Backend, viewer: &Viewer) -> Result<Option<Me>> {
    let Some(account) = viewer.account() else {
        return Ok(None);
    };
    let user = users::get(backend, viewer, account.user_id).await?;
    let credential = match account.means {
        Means::Session(id) => {
            let expires_at =
                sqlx::query_scalar!("select expires_at from sessions where id = $1", id.get())
                    .fetch_optional(&backend.pool)
                    .await?
                    .ok_or(Error::NotFound("Session"))?;
            Credential::Session { id, expires_at }
        }
        Means::Token { id, scope } => {
            let token = sqlx::query!(
                "select name, prefix, expires_at from api_tokens where id = $1",
                id.get()
            )
            .fetch_optional(&backend.pool)
            .await?
            .ok_or(Error::NotFound("Token"))?;
            Credential::Token {
                id,
                name: token.name,
                prefix: token.prefix,
                scope,
                expires_at: token.expires_at,
            }
        }
    };
    let quotas = usage::of(&backend.pool, account.user_id, &backend.quotas).await?;
    Ok(Some(Me {
        user,
        credential,
        quotas,
    }))
}
