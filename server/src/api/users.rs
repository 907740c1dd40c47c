//! `/users`

use axum::{
    Json,
    extract::{OriginalUri, State},
    http::StatusCode,
    response::IntoResponse,
};
use backend::{Backend, deletion, users};
use domain::{Email, InvalidField, NewUser, User, UserChange, UserId, UserName};
use serde::Deserialize;
use utoipa::ToSchema;

use super::created_in;
use crate::problem::{ApiJson, ApiPath, Problem};

/// A user to create.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CreateUser {
    /// 1 to 100 characters.
    name: String,
    /// Unique, whatever its case.
    email: String,
}

/// What to change of a user; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
pub struct UpdateUser {
    name: Option<String>,
    email: Option<String>,
}

/// List the users, newest first
#[utoipa::path(get, path = "/users", tag = "users",
    responses((status = 200, body = [User])))]
pub async fn list(State(backend): State<Backend>) -> Result<Json<Vec<User>>, Problem> {
    Ok(Json(users::list(&backend).await?))
}

/// Create a user
#[utoipa::path(post, path = "/users", tag = "users",
    responses(
        (status = 201, body = User, headers(("Location" = String))),
        (status = 409, description = "the email is registered already", body = Problem),
        (status = 422, description = "the name or the email can't be accepted", body = Problem)))]
pub async fn create(
    State(backend): State<Backend>,
    OriginalUri(uri): OriginalUri,
    ApiJson(body): ApiJson<CreateUser>,
) -> Result<impl IntoResponse, Problem> {
    let user = match (UserName::parse(&body.name), Email::parse(&body.email)) {
        (Ok(name), Ok(email)) => NewUser { name, email },
        (name, email) => return Err(invalid([name.err(), email.err()])),
    };
    let user = users::create(&backend, &user).await?;
    Ok((StatusCode::CREATED, created_in(&uri, user.id), Json(user)))
}

/// Get a user
#[utoipa::path(get, path = "/users/{user_id}", tag = "users",
    params(("user_id" = UserId, Path)),
    responses((status = 200, body = User), (status = 404, body = Problem)))]
pub async fn get(
    State(backend): State<Backend>,
    ApiPath(user_id): ApiPath<UserId>,
) -> Result<Json<User>, Problem> {
    Ok(Json(users::get(&backend, user_id).await?))
}

/// Change a user's name or email
#[utoipa::path(patch, path = "/users/{user_id}", tag = "users",
    params(("user_id" = UserId, Path)),
    responses(
        (status = 200, body = User),
        (status = 404, body = Problem),
        (status = 409, description = "the email is registered already", body = Problem),
        (status = 422, description = "the name or the email can't be accepted", body = Problem)))]
pub async fn update(
    State(backend): State<Backend>,
    ApiPath(user_id): ApiPath<UserId>,
    ApiJson(body): ApiJson<UpdateUser>,
) -> Result<Json<User>, Problem> {
    let name = body.name.as_deref().map(UserName::parse).transpose();
    let email = body.email.as_deref().map(Email::parse).transpose();
    let change = match (name, email) {
        (Ok(name), Ok(email)) => UserChange { name, email },
        (name, email) => return Err(invalid([name.err(), email.err()])),
    };
    Ok(Json(users::update(&backend, user_id, &change).await?))
}

/// Delete a user with all jobs, rows and files
#[utoipa::path(delete, path = "/users/{user_id}", tag = "users",
    params(("user_id" = UserId, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn delete(
    State(backend): State<Backend>,
    ApiPath(user_id): ApiPath<UserId>,
) -> Result<StatusCode, Problem> {
    deletion::delete_user(&backend, user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn invalid(errors: [Option<InvalidField>; 2]) -> Problem {
    Problem::invalid(errors.into_iter().flatten().collect())
}
