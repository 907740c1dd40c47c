//! `/users/{user_id}/formats`

use axum::{
    Json,
    extract::{OriginalUri, State},
    http::StatusCode,
    response::IntoResponse,
};
use backend::{Backend, saved_formats};
use domain::{
    Format, FormatName, HeaderKey, InvalidField, NewSavedFormat, SavedFormat, SavedFormatChange,
    SavedFormatId, UserId,
};
use serde_json::Value;
use utoipa::ToSchema;

use super::created_in;
use crate::{
    auth::By,
    input::{ApiJson, ApiPath, Body, Fields},
    problem::Problem,
};

/// A format to save. The additional fields of an export are ignored.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "the last three are only the additional fields of an export"
)]
pub struct CreateFormat {
    /// Unique among the user's formats.
    #[schema(value_type = FormatName)]
    name: String,
    /// The columns by which the format is applied. `null` for files without a header, for which the format is chosen by
    /// name.
    #[schema(value_type = Option<HeaderKey>)]
    header: Option<Vec<String>>,
    #[schema(value_type = Format)]
    format: Value,
    #[schema(value_type = Value, required = false)]
    id: (),
    #[schema(value_type = Value, required = false)]
    created_at: (),
    #[schema(value_type = Value, required = false)]
    updated_at: (),
}

/// Changes to a saved format. Omitted fields stay as they are.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "the last three are only the additional fields of an export"
)]
pub struct UpdateFormat {
    #[schema(value_type = Option<FormatName>)]
    name: Option<String>,
    /// With `null`, the format is no longer applied by header.
    #[schema(value_type = Option<HeaderKey>)]
    header: Option<Option<Vec<String>>>,
    #[schema(value_type = Option<Format>)]
    format: Option<Value>,
    #[schema(value_type = Value, required = false)]
    id: (),
    #[schema(value_type = Value, required = false)]
    created_at: (),
    #[schema(value_type = Value, required = false)]
    updated_at: (),
}

impl Fields for CreateFormat {
    const NAMES: &'static [&'static str] = &["name", "header", "format"];
    const IGNORED: &'static [&'static str] = EXPORTED;

    fn read(body: &mut Body) -> Option<Self> {
        let (name, header) = (body.text("name"), body.texts("header"));
        let format = body.value("format");
        if format.is_none() {
            body.invalid("format", "format is missing.");
        }
        Some(Self {
            name: name?,
            header: header.flatten(),
            format: format?,
            id: (),
            created_at: (),
            updated_at: (),
        })
    }
}

impl Fields for UpdateFormat {
    const NAMES: &'static [&'static str] = &["name", "header", "format"];
    const IGNORED: &'static [&'static str] = EXPORTED;

    fn read(body: &mut Body) -> Option<Self> {
        Some(Self {
            name: body.optional_text("name"),
            header: body.texts("header"),
            format: body.value("format").filter(|format| !format.is_null()),
            id: (),
            created_at: (),
            updated_at: (),
        })
    }
}

/// The additional fields of an export.
const EXPORTED: &[&str] = &["id", "created_at", "updated_at"];

/// List a user's saved formats, sorted by name
#[utoipa::path(get, path = "/users/{user_id}/formats", tag = "formats",
    params(("user_id" = UserId, Path)),
    responses((status = 200, body = [SavedFormat]), (status = 404, body = Problem)))]
pub async fn list(
    State(backend): State<Backend>,
    By(viewer): By,
    ApiPath(user_id): ApiPath<UserId>,
) -> Result<Json<Vec<SavedFormat>>, Problem> {
    Ok(Json(saved_formats::list(&backend, &viewer, user_id).await?))
}

/// Save a format, for example an exported one
#[utoipa::path(post, path = "/users/{user_id}/formats", tag = "formats",
    params(("user_id" = UserId, Path)), request_body = CreateFormat,
    responses(
        (status = 201, body = SavedFormat, headers(("Location" = String))),
        (status = 404, body = Problem),
        (status = 409, description = "the user already has a format with that name or header, or 200 formats",
            body = Problem),
        (status = 422, description = "a value that can't be accepted; the errors name the key", body = Problem)))]
pub async fn create(
    State(backend): State<Backend>,
    By(viewer): By,
    OriginalUri(uri): OriginalUri,
    ApiPath(user_id): ApiPath<UserId>,
    ApiJson(body): ApiJson<CreateFormat>,
) -> Result<impl IntoResponse, Problem> {
    let name = FormatName::parse(&body.name);
    let header = body.header.as_deref().map(HeaderKey::parse).transpose();
    let format = Format::from_value(&body.format).map_err(InvalidField::from);
    let new = match (name, header, format) {
        (Ok(name), Ok(header), Ok(format)) => NewSavedFormat {
            name,
            header,
            format,
        },
        (name, header, format) => return Err(invalid([name.err(), header.err(), format.err()])),
    };
    let created = saved_formats::create(&backend, &viewer, user_id, &new).await?;
    Ok((
        StatusCode::CREATED,
        created_in(&uri, created.id),
        Json(created),
    ))
}

/// Get a saved format
#[utoipa::path(get, path = "/users/{user_id}/formats/{format_id}", tag = "formats",
    params(("user_id" = UserId, Path), ("format_id" = SavedFormatId, Path)),
    responses((status = 200, body = SavedFormat), (status = 404, body = Problem)))]
pub async fn get(
    State(backend): State<Backend>,
    By(viewer): By,
    ApiPath((user_id, format_id)): ApiPath<(UserId, SavedFormatId)>,
) -> Result<Json<SavedFormat>, Problem> {
    Ok(Json(
        saved_formats::get(&backend, &viewer, user_id, format_id).await?,
    ))
}

/// Change a saved format
#[utoipa::path(patch, path = "/users/{user_id}/formats/{format_id}", tag = "formats",
    params(("user_id" = UserId, Path), ("format_id" = SavedFormatId, Path)), request_body = UpdateFormat,
    responses(
        (status = 200, body = SavedFormat),
        (status = 404, body = Problem),
        (status = 409, description = "another format of the user has that name or header", body = Problem),
        (status = 422, description = "a value that can't be accepted; the errors name the key", body = Problem)))]
pub async fn update(
    State(backend): State<Backend>,
    By(viewer): By,
    ApiPath((user_id, format_id)): ApiPath<(UserId, SavedFormatId)>,
    ApiJson(body): ApiJson<UpdateFormat>,
) -> Result<Json<SavedFormat>, Problem> {
    let name = body.name.as_deref().map(FormatName::parse).transpose();
    let header = body.header.map(|header| {
        let names = header.as_deref().map(HeaderKey::parse);
        names.transpose()
    });
    let header = header.transpose();
    let format = body.format.as_ref().map(Format::from_value).transpose();
    let format = format.map_err(InvalidField::from);
    let change = match (name, header, format) {
        (Ok(name), Ok(header), Ok(format)) => SavedFormatChange {
            name,
            header,
            format,
        },
        (name, header, format) => return Err(invalid([name.err(), header.err(), format.err()])),
    };
    let updated = saved_formats::update(&backend, &viewer, user_id, format_id, &change).await?;
    Ok(Json(updated))
}

/// Delete a saved format
///
/// Jobs that were read under it don't change.
#[utoipa::path(delete, path = "/users/{user_id}/formats/{format_id}", tag = "formats",
    params(("user_id" = UserId, Path), ("format_id" = SavedFormatId, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn delete(
    State(backend): State<Backend>,
    By(viewer): By,
    ApiPath((user_id, format_id)): ApiPath<(UserId, SavedFormatId)>,
) -> Result<StatusCode, Problem> {
    saved_formats::delete(&backend, &viewer, user_id, format_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn invalid(errors: [Option<InvalidField>; 3]) -> Problem {
    Problem::invalid(errors.into_iter().flatten().collect())
}
