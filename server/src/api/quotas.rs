//! `/users/{user_id}/quotas`

use axum::{Json, extract::State};
use backend::{Backend, quotas};
use domain::{Quota, QuotaChange, Quotas, Retention, UserId};
use utoipa::{
    ToSchema,
    openapi::schema::{Object, ObjectBuilder, SchemaType, Type},
};

use crate::{
    auth::By,
    input::{ApiJson, ApiPath, Body, Fields},
    problem::Problem,
};

/// Changes to a user's quotas. Omitted fields stay as they are, `null` restores the default of all users, and 0 means
/// unlimited.
#[derive(Debug, ToSchema)]
#[schema(as = QuotaChange)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the body, which is read as a `QuotaChange`"
)]
pub struct UpdateQuotas {
    /// The maximum number of the user's jobs.
    #[schema(schema_with = quota, required = false)]
    jobs: Option<u64>,
    /// The maximum total size of the files of these jobs, in bytes.
    #[schema(schema_with = quota, required = false)]
    bytes: Option<u64>,
    /// The maximum number of jobs that are processed at the same time.
    #[schema(schema_with = quota, required = false)]
    active_jobs: Option<u64>,
    /// The number of days after which ended jobs are deleted.
    #[schema(schema_with = days, required = false)]
    retention_days: Option<u64>,
}

fn quota() -> Object {
    at_most(Quota::MAX)
}

fn days() -> Object {
    at_most(Retention::MAX_DAYS)
}

/// Returns the schema of the values that [`Body::number`] accepts.
fn at_most(most: u64) -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::Array(vec![Type::Integer, Type::Null]))
        .minimum(Some(0))
        .maximum(Some(most))
        .build()
}

/// The body of a change.
pub struct Change(QuotaChange);

impl Fields for Change {
    const NAMES: &'static [&'static str] = &QuotaChange::FIELDS;

    fn read(body: &mut Body) -> Option<Self> {
        let [jobs, bytes, active_jobs, retention_days] = QuotaChange::FIELDS;
        Some(Self(QuotaChange {
            jobs: body.number(jobs, Quota::MAX),
            bytes: body.number(bytes, Quota::MAX),
            active_jobs: body.number(active_jobs, Quota::MAX),
            retention_days: body.number(retention_days, Retention::MAX_DAYS),
        }))
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
    params(("user_id" = UserId, Path)), request_body = UpdateQuotas,
    responses(
        (status = 200, body = Quotas),
        (status = 404, body = Problem),
        (status = 422, description = "a value that isn't a whole number in its range", body = Problem)))]
pub async fn update_quotas(
    State(backend): State<Backend>,
    By(viewer): By,
    ApiPath(user_id): ApiPath<UserId>,
    ApiJson(Change(change)): ApiJson<Change>,
) -> Result<Json<Quotas>, Problem> {
    Ok(Json(
        quotas::set(&backend, &viewer, user_id, &change).await?,
    ))
}
