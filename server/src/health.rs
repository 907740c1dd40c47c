//! Health checks: whether the server is alive, and whether the services it depends on respond. They need no sign-in.

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use backend::{
    Backend,
    health::{Readiness, readiness},
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::state::AppState;

/// The paths of [`routes`].
pub const ROUTES: [&str; 3] = ["/health", "/healthz", "/readyz"];

pub fn routes() -> Router<AppState> {
    let [health_route, alive_route, ready_route] = ROUTES;
    Router::new()
        .route(health_route, get(health))
        .route(alive_route, get(alive))
        .route(ready_route, get(ready))
}

/// Responds as long as the process does. Checks no other service.
async fn alive() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// Returns 200 if PostgreSQL, Temporal and the storage respond, else 503 with a reason for each one that doesn't.
async fn ready(State(backend): State<Backend>) -> (StatusCode, Json<Readiness>) {
    let readiness = readiness(&backend).await;
    (code(readiness.is_ready()), Json(readiness))
}

/// The response for clients of the system that preceded this one.
#[derive(Debug, Serialize)]
struct HealthReport {
    /// `ok` or `unavailable`.
    status: &'static str,
    postgres: bool,
    temporal: bool,
}

/// Returns 200 if PostgreSQL and Temporal respond, else 503.
async fn health(State(backend): State<Backend>) -> (StatusCode, Json<HealthReport>) {
    let [(_, postgres), (_, temporal), _] = readiness(&backend).await.parts();
    let is_well = postgres && temporal;
    let report = HealthReport {
        status: if is_well { "ok" } else { "unavailable" },
        postgres,
        temporal,
    };
    (code(is_well), Json(report))
}

fn code(is_well: bool) -> StatusCode {
    match is_well {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    }
}
