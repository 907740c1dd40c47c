//! Every route, and what wraps all of them.

use std::time::Duration;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderName, Request},
    routing::get,
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    trace::TraceLayer,
};
use utoipa::{
    OpenApi,
    openapi::{OpenApi as Description, Server},
};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouterExt},
    routes,
};
use utoipa_swagger_ui::SwaggerUi;

use crate::{
    api::{check, formats, jobs, results, transactions, users},
    health, pages, problem,
    state::AppState,
    websocket,
};

/// The id that a response carries is the one under which its errors are logged.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Bytes of a saved format with its header, and more than any has.
const MAX_SAVED_FORMAT_BYTES: usize = 1 << 20;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Batchline",
        description = "Hand in CSV files of transactions, have every row validated, follow the \
                       progress live, and read each row with its verdict.\n\nErrors are \
                       `application/problem+json` (RFC 9457). Live progress: a WebSocket at \
                       `/ws/{user_id}` sends the state of the user's active jobs and then every \
                       change, as `JobProgress`; the text `ping` is answered by `pong`."
    ),
    components(schemas(domain::JobProgress))
)]
struct ApiDescription;

/// The API at the root, for `API_ADDR`.
pub fn api(state: AppState) -> Router {
    let (routes, description) = rest();
    wrap(
        routes
            .merge(SwaggerUi::new("/docs").url("/openapi.json", description))
            .route("/health", get(health::health))
            .fallback(problem::no_such_route),
        state,
    )
}

/// The pages, and the same API below `/api`, for `WEB_ADDR`.
pub fn web(state: AppState) -> Router {
    let (routes, mut description) = rest();
    description.servers = Some(vec![Server::new("/api")]);
    wrap(
        pages::router(&state)
            .nest("/api", routes.fallback(problem::no_such_route))
            .merge(SwaggerUi::new("/api/docs").url("/api/openapi.json", description))
            .route("/health", get(health::health)),
        state,
    )
}

fn rest() -> (Router<AppState>, Description) {
    let (routes, description) = OpenApiRouter::with_openapi(ApiDescription::openapi())
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::get, users::update, users::delete))
        .routes(
            routes!(formats::list, formats::create)
                .layer(DefaultBodyLimit::max(MAX_SAVED_FORMAT_BYTES)),
        )
        .routes(
            routes!(formats::get, formats::update, formats::delete)
                .layer(DefaultBodyLimit::max(MAX_SAVED_FORMAT_BYTES)),
        )
        .routes(routes!(jobs::list_of_user))
        .routes(routes!(check::check))
        .routes(routes!(jobs::upload))
        .routes(routes!(jobs::get, jobs::delete))
        .routes(routes!(jobs::report))
        .routes(routes!(jobs::start))
        .routes(routes!(jobs::pause))
        .routes(routes!(jobs::resume))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::retry))
        .routes(routes!(transactions::list))
        .routes(routes!(results::download))
        .routes(routes!(results::workbook))
        .route("/ws/{user_id}", get(websocket::watch_user))
        .split_for_parts();
    let routes = routes
        .method_not_allowed_fallback(problem::method_not_allowed)
        // Uploads are streamed and bounded by MAX_UPLOAD_BYTES.
        .layer(DefaultBodyLimit::disable());
    (routes, description)
}

fn wrap(router: Router<AppState>, state: AppState) -> Router {
    let trace = TraceLayer::new_for_http()
        .make_span_with(|request: &Request<_>| {
            let id = request.headers().get(REQUEST_ID);
            tracing::info_span!(
                "request",
                method = %request.method(),
                path = request.uri().path(),
                id = id.and_then(|id| id.to_str().ok()),
            )
        })
        .on_request(())
        .on_response(
            |response: &axum::response::Response, took: Duration, _: &tracing::Span| {
                tracing::debug!(status = response.status().as_u16(), ?took, "answered");
            },
        )
        // Errors are logged where they become a response.
        .on_failure(());
    router
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(CompressionLayer::new())
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(trace)
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .with_state(state)
}
