//! `/users`

use axum::{
    Json,
    extract::{OriginalUri, State},
    http::StatusCode,
    response::IntoResponse,
};
use backend::{Backend, accounts, deletion, users};
use domain::{Email, NewUser, User, UserChange, UserId, UserName, page_count};
use utoipa::ToSchema;

use super::{
    created_in,
    paging::{self, ListQuery},
};
use crate::{
    auth::By,
    input::{ApiJson, ApiPath, ApiQuery, Body, Fields},
    problem::Problem,
};

/// A user to create.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    #[schema(value_type = UserName)]
    name: String,
    /// Unique, ignoring case.
    #[schema(value_type = Email)]
    email: String,
}

/// Changes to a user. Omitted fields stay as they are.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateUser {
    #[schema(value_type = Option<UserName>)]
    name: Option<String>,
    #[schema(value_type = Option<Email>)]
    email: Option<String>,
}

impl Fields for CreateUser {
    const NAMES: &'static [&'static str] = &["name", "email"];

    fn read(body: &mut Body) -> Option<Self> {
        let (name, email) = (body.text("name"), body.text("email"));
        Some(Self {
            name: name?,
            email: email?,
        })
    }
}

impl Fields for UpdateUser {
    const NAMES: &'static [&'static str] = &["name", "email"];

    fn read(body: &mut Body) -> Option<Self> {
        Some(Self {
            name: body.optional_text("name"),
            email: body.optional_text("email"),
        })
    }
}

/// List the users, newest first
#[utoipa::path(get, path = "/users", tag = "users", params(ListQuery),
    responses((status = 200, description = "a page of users", body = [User], headers(
        ("X-Total-Count" = u64, description = "number of users"),
        ("Link" = String, description = "first, prev, next and last page (RFC 8288)")))))]
pub async fn list(
    State(backend): State<Backend>,
    By(viewer): By,
    OriginalUri(uri): OriginalUri,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<impl IntoResponse, Problem> {
    let found = users::page(&backend, &viewer, query.page, query.size).await?;
    let pages = page_count(found.total, query.size);
    let headers = paging::headers(&uri, query.page, pages, found.total);
    Ok((headers, Json(found.users)))
}

/// Create a user
#[utoipa::path(post, path = "/users", tag = "users", request_body = CreateUser,
    responses(
        (status = 201, body = User, headers(("Location" = String))),
        (status = 409, description = "the email address is already registered", body = Problem),
        (status = 422, description = "the name or the email can't be accepted", body = Problem)))]
pub async fn create(
    State(backend): State<Backend>,
    By(viewer): By,
    OriginalUri(uri): OriginalUri,
    ApiJson(body): ApiJson<CreateUser>,
) -> Result<impl IntoResponse, Problem> {
    let user = NewUser::parse(&body.name, &body.email).map_err(Problem::invalid)?;
    let user = accounts::create_user(&backend, &viewer, &user).await?;
    Ok((StatusCode::CREATED, created_in(&uri, user.id), Json(user)))
}

/// Get a user
#[utoipa::path(get, path = "/users/{user_id}", tag = "users",
    params(("user_id" = UserId, Path)),
    responses((status = 200, body = User), (status = 404, body = Problem)))]
pub async fn get(
    State(backend): State<Backend>,
    By(viewer): By,
    ApiPath(user_id): ApiPath<UserId>,
) -> Result<Json<User>, Problem> {
    Ok(Json(users::get(&backend, &viewer, user_id).await?))
}

/// Change a user's name or email
///
/// If signing in is required, a token can't change the email, which decides who signs in.
#[utoipa::path(patch, path = "/users/{user_id}", tag = "users",
    params(("user_id" = UserId, Path)), request_body = UpdateUser,
    responses(
        (status = 200, body = User),
        (status = 404, body = Problem),
        (status = 409, description = "the email address is already registered", body = Problem),
        (status = 422, description = "the name or the email can't be accepted", body = Problem)))]
pub async fn update(
    State(backend): State<Backend>,
    By(viewer): By,
    ApiPath(user_id): ApiPath<UserId>,
    ApiJson(body): ApiJson<UpdateUser>,
) -> Result<Json<User>, Problem> {
    let change = UserChange::parse(body.name.as_deref(), body.email.as_deref());
    let change = change.map_err(Problem::invalid)?;
    Ok(Json(
        accounts::change_user(&backend, &viewer, user_id, &change).await?,
    ))
}

/// Delete a user with all jobs, rows and files
#[utoipa::path(delete, path = "/users/{user_id}", tag = "users",
    params(("user_id" = UserId, Path)),
    responses(
        (status = 204),
        (status = 404, body = Problem),
        (status = 409, description = "this is the only admin", body = Problem)))]
pub async fn delete(
    State(backend): State<Backend>,
    By(viewer): By,
    ApiPath(user_id): ApiPath<UserId>,
) -> Result<StatusCode, Problem> {
    deletion::delete_user(&backend, &viewer, user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
