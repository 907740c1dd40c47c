//! The Leptos pages, their server functions, and the static files.

use app::{App, shell};
use axum::{
    Router,
    extract::Request,
    http::{
        HeaderValue,
        header::{ACCEPT_ENCODING, CACHE_CONTROL, LAST_MODIFIED, VARY},
    },
    middleware::{self, Next},
    response::Response,
};
use leptos::prelude::provide_context;
use leptos_axum::{LeptosRoutes, file_and_error_handler_with_context, generate_route_list};

use crate::state::AppState;

pub fn router(state: &AppState) -> Router<AppState> {
    let routes = generate_route_list(App);
    let backend = state.backend.clone();
    let context = move || provide_context(backend.clone());
    let options = state.leptos_options.clone();
    Router::new()
        .leptos_routes_with_context(state, routes, context.clone(), move || {
            shell(options.clone())
        })
        .fallback(file_and_error_handler_with_context::<AppState, _>(
            context, shell,
        ))
        .layer(middleware::from_fn(say_how_long_files_keep))
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
