//! What the audit records about attempts that identify nobody. They cost a stranger nothing, so the caller limits how often
//! it calls these functions.

use std::net::IpAddr;

use domain::{AuditKind, UserId};

use super::secret::hash;
use crate::{
    Backend,
    access::Viewer,
    audit::{self, Event},
};

/// Adds a refused API token to the audit: the first characters and the owner of one that has expired or was revoked, and
/// nothing of an unknown one, which may be the secret of something else.
pub async fn note_refused_token(backend: &Backend, token: &str, address: Option<IpAddr>) {
    let known = sqlx::query!(
        r#"select user_id, prefix, revoked_at is not null as "is_revoked!" from api_tokens where secret_hash = $1"#,
        hash(token)
    )
    .fetch_optional(&backend.pool)
    .await
    .unwrap_or_else(|error| {
        tracing::warn!(%error, "a refused token could not be looked up");
        None
    });
    let detail = match &known {
        Some(token) if token.is_revoked => format!("{}, revoked", token.prefix),
        Some(token) => format!("{}, expired", token.prefix),
        None => "unknown".to_owned(),
    };
    let refused = Event {
        user_id: known.map(|token| UserId::from(token.user_id)),
        ..Event::refused(AuditKind::UseToken).detail(&detail)
    };
    audit::note(&backend.pool, &Viewer::anyone(address), refused).await;
}

/// Adds a sign-in to the audit that was refused because of too many attempts. `email` is what was typed, and names a user
/// only if there is one: it may be a password typed into the wrong field.
pub async fn note_too_many_sign_ins(
    backend: &Backend,
    email: Option<&str>,
    address: Option<IpAddr>,
) {
    // Text with a NUL, which PostgreSQL can't store, matches no address.
    let tried = sqlx::query_scalar!(
        "select id from users where lower(email) = lower($1)",
        email.map(|email| email.trim().replace('\0', "\u{fffd}"))
    )
    .fetch_optional(&backend.pool)
    .await
    .unwrap_or_else(|error| {
        tracing::warn!(%error, "the user of a refused sign-in could not be looked up");
        None
    });
    let refused = Event {
        user_id: tried.map(UserId::from),
        ..Event::refused(AuditKind::SignIn).detail("too many attempts")
    };
    audit::note(&backend.pool, &Viewer::anyone(address), refused).await;
}
