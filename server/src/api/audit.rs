//! `/audit.ndjson`

use axum::{body::Body, extract::State, http::header, response::IntoResponse};
use backend::{
    Backend,
    audit::{self, AuditFilter},
};
use domain::{AuditEvent, AuditKind, InvalidField, UserId};
use utoipa::IntoParams;

use crate::{
    auth::By,
    input::{ApiQuery, QueryParameters, QueryValues},
    problem::Problem,
};

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only events by this user or about this user.
    user_id: Option<UserId>,
    /// Only events of this kind, such as `sign_in` or `download`.
    kind: Option<AuditKind>,
}

impl QueryParameters for AuditQuery {
    const NAMES: &'static [&'static str] = &["user_id", "kind"];

    fn read(query: &mut QueryValues) -> Option<Self> {
        let user_id = query.id("user_id");
        let kind = query.text("kind").map(|kind| {
            let parsed = kind.parse::<AuditKind>();
            query.parsed(parsed.map_err(|_| {
                let names: Vec<&str> = AuditKind::ALL.iter().map(|kind| kind.as_str()).collect();
                InvalidField::new(
                    "kind",
                    &format!("kind must be one of {}.", names.join(", ")),
                )
            }))
        });
        Some(Self {
            user_id,
            kind: kind.flatten(),
        })
    }
}

/// Export the audit: who did what, and when
///
/// Returns one event per line, oldest first. Requires an admin, unless sign-in is disabled.
#[utoipa::path(get, path = "/audit.ndjson", tag = "audit", params(AuditQuery),
    responses(
        (status = 200, description = "events as newline-delimited JSON", body = AuditEvent,
            content_type = "application/x-ndjson"),
        (status = 403, description = "for admins only", body = Problem)))]
pub async fn export(
    State(backend): State<Backend>,
    By(viewer): By,
    ApiQuery(query): ApiQuery<AuditQuery>,
) -> Result<impl IntoResponse, Problem> {
    let filter = AuditFilter {
        user_id: query.user_id,
        kind: query.kind,
    };
    let lines = audit::export(&backend, &viewer, filter).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"audit.ndjson\"",
        ),
    ];
    Ok((headers, Body::from_stream(lines)))
}
