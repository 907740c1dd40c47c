//! `/users/{user_id}/quotas`

use axum::{Json, extract::State};
use backend::{Backend, quotas};
use domain::{Quota, QuotaChange, Quotas, Retention, UserId};

use crate::{
    auth::By,
    input::{ApiJson, ApiPath, Body, Fields},
    problem::Problem,
};

impl Fields for QuotaChange {
    const NAMES: &'static [&'static str] = &Self::FIELDS;

    fn read(body: &mut Body) -> Option<Self> {
        let [jobs, bytes, active_jobs, retention_days] = Self::FIELDS;
        Some(Self {
            jobs: body.number(jobs, Quota::MAX),
            bytes: body.number(bytes, Quota::MAX),
            active_jobs: body.number(active_jobs, Quota::MAX),
            retention_days: body.number(retention_days, Retention::MAX_DAYS),
        })
    }
}

/// Get a user's quotas and their usage
#[utoipa::path(get, path = "/users/{user_id}/quotas", tag = "users",
    params(("user_id" = UserId, Path)),
    responses((status = 200, body = Quotas), (status = 404, body = Problem)))]
pub async fn get_quotas(
    State(backend): State<Backend>,
    By(viewer): By,
    ApiPath(user_id): ApiPath<UserId>,
) -> Result<Json<Quotas>, Problem> {
    Ok(Json(quotas::of(&backend, &viewer, user_id).await?))
}

/// Change a user's quotas
///
/// Requires an admin. Usage beyond a lowered quota is kept, but nothing can be added until enough is deleted.
#[utoipa::path(patch, path = "/users/{user_id}/quotas", tag = "users",
    params(("user_id" = UserId, Path)), request_body = QuotaChange,
    responses(
        (status = 200, body = Quotas),
        (status = 404, body = Problem),
        (status = 422, description = "a value that isn't a whole number in its range", body = Problem)))]
pub async fn update_quotas(
    State(backend): State<Backend>,
    By(viewer): By,
    ApiPath(user_id): ApiPath<UserId>,
    ApiJson(change): ApiJson<QuotaChange>,
) -> Result<Json<Quotas>, Problem> {
    Ok(Json(
        quotas::set(&backend, &viewer, user_id, &change).await?,
    ))
}
