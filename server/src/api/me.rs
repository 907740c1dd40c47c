//! `/me`

use axum::{Json, extract::State};
use backend::{
    Backend,
    accounts::{self, Credential},
};
use chrono::{DateTime, Utc};
use domain::{Quotas, Role, Scope, User};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{auth::By, problem::Problem};

/// The author of the request.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// `open`: sign-in is disabled, everybody may do everything, and all other fields are `null`. `password`: the other
    /// fields describe the signed-in user.
    auth: AuthMode,
    user: Option<User>,
    role: Option<Role>,
    credential: Option<CredentialUsed>,
    quotas: Option<Quotas>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum AuthMode {
    Open,
    Password,
}

/// The credential of the request.
#[derive(Debug, Serialize, ToSchema)]
pub struct CredentialUsed {
    #[serde(rename = "type")]
    kind: CredentialType,
    id: i64,
    /// Sessions may read and write.
    scope: Scope,
    /// A session expires earlier if it isn't used for `SESSION_IDLE_MINUTES`.
    expires_at: DateTime<Utc>,
    /// The name of a token.
    name: Option<String>,
    /// The first characters of a token.
    prefix: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum CredentialType {
    Session,
    Token,
}

impl From<Credential> for CredentialUsed {
    fn from(credential: Credential) -> Self {
        match credential {
            Credential::Session { id, expires_at } => Self {
                kind: CredentialType::Session,
                id: id.get(),
                scope: Scope::Write,
                expires_at,
                name: None,
                prefix: None,
            },
            Credential::Token {
                id,
                name,
                prefix,
                scope,
                expires_at,
            } => Self {
                kind: CredentialType::Token,
                id: id.get(),
                scope,
                expires_at,
                name: Some(name),
                prefix: Some(prefix),
            },
        }
    }
}

/// Get the author of the request
///
/// Returns the user and their role, the session or token of the request, and the user's quotas with their usage.
#[utoipa::path(get, path = "/me", tag = "users", operation_id = "me",
    responses((status = 200, body = Me)))]
pub async fn get(State(backend): State<Backend>, By(viewer): By) -> Result<Json<Me>, Problem> {
    let Some(me) = accounts::me(&backend, &viewer).await? else {
        return Ok(Json(Me {
            auth: AuthMode::Open,
            user: None,
            role: None,
            credential: None,
            quotas: None,
        }));
    };
    Ok(Json(Me {
        auth: AuthMode::Password,
        user: Some(me.user),
        role: viewer.account().map(|account| account.role),
        credential: Some(me.credential.into()),
        quotas: Some(me.quotas),
    }))
}
