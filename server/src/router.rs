//! Every route, and the layers around them.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_extractor, from_fn, from_fn_with_state},
    routing::{get, get_service},
};
use backend::uploads::FORM_OVERHEAD;
use serde_json::Value;
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer, services::ServeFile,
};
use utoipa::{OpenApi, openapi::Server};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{audit, check, formats, jobs, me, quotas, results, transactions, users},
    auth,
    bodies::{self, BodyLimits},
    docs, guard, headers, health,
    input::{ApiQuery, NoParameters},
    openapi, pages, problem, rate, requests, response_time,
    state::AppState,
    websocket,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Batchline",
        description = "Upload CSV files of transactions, have every row checked, follow the \
                       progress live, and read each row with its verdict.\n\nErrors are \
                       `application/problem+json` (RFC 9457). Live progress: a WebSocket at \
                       `/ws/{user_id}` sends the state of the user's active jobs and then every \
                       change, as `JobProgress`, and deletion, as `JobDeleted`. If the server may have \
                       missed some of them, it sends the states of active jobs again, and \
                       `{\"type\":\"jobs_changed\"}`: read the list of jobs again. A WebSocket at `/ws` \
                       sends the same when any jobs that the viewer may see have changed, at most once a \
                       second. The text `ping` is answered by `pong`."
    ),
    tags(
        (name = "users", description = "People who upload files"),
        (name = "jobs", description = "Files and their processing"),
        (name = "formats", description = "Saved formats of a user"),
        (name = "check", description = "Checks a file without storing it"),
        (name = "audit", description = "Who did what, and when")
    ),
    components(schemas(
        domain::JobProgress,
        domain::JobDeleted,
        domain::JobOrder,
        domain::RowFilter,
        problem::Problem
    ))
)]
struct ApiDescription;

/// Returns the API at the root, for `API_ADDR`.
pub fn api(state: AppState) -> Router {
    let (routes, description) = rest(&state, "/");
    let icon = ServeFile::new(state.site_root.join("favicon.ico"));
    let router = routes
        .merge(docs::router("", description))
        .route("/favicon.ico", get_service(icon))
        .merge(health::routes())
        .method_not_allowed_fallback(problem::method_not_allowed)
        .fallback(problem::no_such_route);
    wrap(guarded(router, &state), state)
}

/// Returns the pages, and the same API below `/api`, for `WEB_ADDR`.
pub fn web(state: AppState) -> Router {
    let (routes, description) = rest(&state, "/api");
    let router = pages::router(&state)
        .nest("/api", routes.fallback(problem::no_such_route))
        .merge(docs::router("/api", description))
        .merge(health::routes())
        .method_not_allowed_fallback(problem::method_not_allowed);
    let router =
        guarded(router, &state).layer(from_fn_with_state(state.site.clone(), pages::show_problem));
    wrap(router, state)
}

/// Returns the operations, and the description for clients that reach them below `path`.
fn rest(state: &AppState, path: &str) -> (Router<AppState>, Value) {
    let limits = &state.limits;
    let at_most = |bytes| from_fn_with_state(BodyLimits::new(limits, bytes), bodies::limit);
    let max_form = |file: u64| file.saturating_add(FORM_OVERHEAD);
    let small = OpenApiRouter::with_openapi(ApiDescription::openapi())
        .routes(routes!(users::list, users::create))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::list_of_user))
        .routes(routes!(transactions::list))
        .routes(routes!(results::download))
        .routes(routes!(audit::export))
        .merge(
            OpenApiRouter::new()
                .routes(routes!(me::get))
                .routes(routes!(users::get, users::update, users::delete))
                .routes(routes!(quotas::get_quotas, quotas::update_quotas))
                .routes(routes!(jobs::get, jobs::delete))
                .routes(routes!(jobs::report))
                .routes(routes!(jobs::events))
                .routes(routes!(jobs::start))
                .routes(routes!(jobs::pause))
                .routes(routes!(jobs::resume))
                .routes(routes!(jobs::cancel))
                .routes(routes!(jobs::retry))
                .route_layer(from_extractor::<ApiQuery<NoParameters>>()),
        )
        .route("/ws", get(websocket::watch_all))
        .route("/ws/{user_id}", get(websocket::watch_user))
        .layer(at_most(limits.max_body_bytes));
    let saved_formats = OpenApiRouter::new()
        .routes(routes!(formats::list, formats::create))
        .routes(routes!(formats::get, formats::update, formats::delete))
        .route_layer(from_extractor::<ApiQuery<NoParameters>>())
        .layer(at_most(limits.max_saved_format_bytes));
    let uploads = OpenApiRouter::new()
        .routes(routes!(jobs::upload))
        .layer(from_fn_with_state(
            BodyLimits::of_upload(limits, max_form(state.backend.max_upload_bytes())),
            bodies::limit,
        ));
    let checks = OpenApiRouter::new()
        .routes(routes!(check::check))
        .route_layer(from_extractor::<ApiQuery<NoParameters>>())
        .layer(from_fn_with_state(
            BodyLimits::of_form(limits, max_form(limits.max_check_bytes as u64)),
            bodies::limit,
        ));
    let in_time = |longest| from_fn_with_state(longest, response_time::limit);
    let require = || from_fn_with_state(state.clone(), auth::require);
    let workbooks = OpenApiRouter::new()
        .routes(routes!(results::workbook))
        .layer(at_most(limits.max_body_bytes))
        .route_layer(require())
        // A workbook is written to its end before the response begins.
        .route_layer(in_time(limits.response_timeout() * 10));
    let (routes, mut description) = small
        .merge(saved_formats)
        .route_layer(require())
        .route_layer(in_time(limits.response_timeout()))
        .merge(uploads.merge(checks).route_layer(require()))
        .merge(workbooks)
        .split_for_parts();
    description.servers = Some(vec![Server::new(path)]);
    let description = openapi::complete(description, state.auth);
    // Each route above has its own limit.
    let routes = routes.layer(DefaultBodyLimit::disable());
    (routes, description)
}

/// Adds the layers that every request passes before routing, from the inside out.
fn guarded(router: Router<AppState>, state: &AppState) -> Router<AppState> {
    router
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(from_fn_with_state(
            state.change_rate.clone(),
            rate::limit_changes,
        ))
        .layer(guard::same_origin_changes())
        .layer(from_fn_with_state(
            state.allowed_hosts.clone(),
            guard::check_host,
        ))
}

/// Adds the layers around every request and response, from the inside out.
fn wrap(router: Router<AppState>, state: AppState) -> Router {
    router
        .layer(CompressionLayer::new())
        .layer(from_fn(headers::simplify_encodings))
        .layer(from_fn(headers::protect))
        .layer(from_fn(bodies::close_unread))
        .layer(from_fn_with_state(
            (
                state.metrics.clone(),
                state.trace_parents,
                state.logged_refusals.clone(),
            ),
            requests::trace,
        ))
        .with_state(state)
}
