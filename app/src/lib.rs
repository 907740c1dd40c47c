//! The pages: rendered on the server, working without JavaScript, live with it.
//!
//! **Invariant.** `app[ssr] -> backend -> domain`, `app[hydrate] -> domain`: no tokio, sqlx or axum
//! is reachable from what is compiled for the browser. A page talks to the backend through the
//! server functions in [`api`] only, which parse, make one call and answer.

mod api;
mod app;
mod check;
mod components;
#[cfg(feature = "ssr")]
mod document;
mod error;
mod format;
mod live;
mod pages;

pub use app::App;
#[cfg(feature = "ssr")]
pub use document::shell;
pub use error::{AppError, ErrorKind};

/// Takes over the page that the server rendered.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    if is_of_another_address() {
        // Fails only where a document must not navigate itself; then it is as well to go on.
        let _ = leptos::prelude::window().location().reload();
        return;
    }
    leptos::mount::hydrate_body(App);
}

/// Whether the document was fetched for another address than the present one. Who goes back before
/// the page has been taken over gets the address of the step before, but no new document, when that
/// step was taken without one.
#[cfg(feature = "hydrate")]
fn is_of_another_address() -> bool {
    use wasm_bindgen::JsCast;

    let window = leptos::prelude::window();
    let fetched = window
        .performance()
        .and_then(|performance| {
            performance
                .get_entries_by_type("navigation")
                .get(0)
                .dyn_into()
                .ok()
        })
        .map(|entry: web_sys::PerformanceEntry| entry.name());
    let without_hash = |url: String| url.split('#').next().unwrap_or_default().to_owned();
    match (fetched, window.location().href()) {
        (Some(fetched), Ok(shown)) => without_hash(fetched) != without_hash(shown),
        _ => false,
    }
}
