//! The pages, the server functions to which their forms post, and the static files.

use app::{Page, Query, pages};
use axum::{
    Form, Router,
    extract::{DefaultBodyLimit, Path, RawQuery, Request, State},
    http::{
        HeaderValue,
        header::{ACCEPT_ENCODING, CACHE_CONTROL, LAST_MODIFIED, LOCATION, VARY},
    },
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use leptos::prelude::provide_context;
use tower_http::services::ServeDir;

use crate::state::AppState;

pub fn router(state: &AppState) -> Router<AppState> {
    let files = ServeDir::new(&state.site_root)
        .append_index_html_on_directories(false)
        .precompressed_br()
        .precompressed_gzip()
        .fallback(get(not_found).with_state(state.clone()));
    Router::new()
        .route("/", get(home))
        .route("/formats", get(formats))
        .route("/users/{id}", get(user))
        .route("/jobs/{id}", get(job))
        .route(
            "/jobs/{id}/answers",
            post(answer).layer(DefaultBodyLimit::max(MAX_ANSWER_BYTES)),
        )
        .route("/rpc/{name}", post(server_function))
        .fallback_service(files)
        .layer(middleware::from_fn(say_how_long_files_keep))
}

async fn home(State(state): State<AppState>, RawQuery(query): RawQuery) -> Page {
    pages::home(&state.site, &state.backend, &parse(query)).await
}

async fn formats(State(state): State<AppState>) -> Page {
    pages::formats(&state.site)
}

async fn user(
    State(state): State<AppState>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Page {
    pages::user(&state.site, &state.backend, &id, &parse(query)).await
}

async fn job(
    State(state): State<AppState>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Page {
    pages::job(&state.site, &state.backend, &id, &parse(query)).await
}

/// Bytes of a form with answers, and more than any has.
const MAX_ANSWER_BYTES: usize = 256 << 10;

async fn answer(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Redirect, Page> {
    let to = pages::answer(&state.site, &state.backend, &id, &fields).await?;
    Ok(Redirect::to(&to))
}

fn parse(query: Option<String>) -> Query {
    Query::parse(&query.unwrap_or_default())
}

async fn not_found(State(state): State<AppState>) -> Page {
    pages::not_found(&state.site)
}

async fn server_function(State(state): State<AppState>, request: Request) -> Response {
    let context = move || provide_context(state.backend.clone());
    let mut response = leptos_axum::handle_server_fns_with_context(context, request)
        .await
        .into_response();
    // It leaves the question mark where it has taken an error of before out of the address.
    let headers = response.headers_mut();
    let location = headers.get(LOCATION).and_then(|to| to.to_str().ok());
    let location = location.and_then(|to| to.strip_suffix('?')?.parse().ok());
    if let Some(location) = location {
        headers.insert(LOCATION, location);
    }
    response
}

/// What is named after its content is good for ever; any other file is asked for each time.
async fn say_how_long_files_keep(request: Request, next: Next) -> Response {
    let forever = is_named_after_content(request.uri().path());
    let mut response = next.run(request).await;
    // Pages have no date.
    if response.headers().contains_key(LAST_MODIFIED) {
        let how_long = match forever {
            true => "public, max-age=31536000, immutable",
            false => "no-cache",
        };
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(how_long));
        headers.insert(VARY, ACCEPT_ENCODING.into());
    }
    response
}

/// Whether cargo-leptos put an MD5 in base64 into the file's name, as in `batchline.KkH0-pvZIzSmmKGqTwNLNw.css`.
fn is_named_after_content(path: &str) -> bool {
    let Some(name) = path.strip_prefix("/pkg/") else {
        return false;
    };
    let hash = name.split('.').nth(1).unwrap_or_default();
    name.split('.').count() == 3 && hash.len() == 22
}

#[cfg(test)]
mod tests {
    use super::is_named_after_content;

    #[test]
    fn only_files_with_a_hash_are_named_after_their_content() {
        assert!(is_named_after_content(
            "/pkg/batchline.KkH0-pvZIzSmmKGqTwNLNw.css"
        ));
        assert!(!is_named_after_content("/pkg/batchline.css"));
        assert!(!is_named_after_content("/pkg/batchline_bg.wasm.d.ts"));
        assert!(!is_named_after_content("/favicon.svg"));
        assert!(!is_named_after_content("/users/1"));
    }
}
