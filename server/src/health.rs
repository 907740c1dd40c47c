//! Whether the server and what stands behind it are well.

use axum::{Json, extract::State, http::StatusCode};
use backend::Backend;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct HealthReport {
    /// `ok` or `unavailable`.
    status: &'static str,
    postgres: bool,
    temporal: bool,
}

/// 200 when Postgres and Temporal answer, else 503.
pub async fn health(State(backend): State<Backend>) -> (StatusCode, Json<HealthReport>) {
    let health = backend.health().await;
    let (code, status) = match health.postgres && health.temporal {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let report = HealthReport {
        status,
        postgres: health.postgres,
        temporal: health.temporal,
    };
    (code, Json(report))
}
