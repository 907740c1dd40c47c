//! The server functions to which forms post, and functions that load data for pages with several calls. Like its REST
//! counterpart, a server function parses its input, makes one call into the backend and returns the result. After a plain
//! post the browser is redirected to the page with the form, or to the target of `redirect`.

mod form;
#[cfg(feature = "ssr")]
mod formats;
#[cfg(feature = "ssr")]
mod job_changes;
mod jobs;
#[cfg(feature = "ssr")]
mod users;

use form::PlainForm;
#[cfg(feature = "ssr")]
pub use form::form_fields;
#[cfg(feature = "ssr")]
pub use formats::*;
#[cfg(feature = "ssr")]
pub use job_changes::{change_jobs, chosen_jobs};
pub use jobs::*;
#[cfg(feature = "ssr")]
pub use users::*;

/// Returns the backend and the user who posted the form.
#[cfg(feature = "ssr")]
fn caller() -> (backend::Backend, backend::Viewer) {
    use leptos::prelude::expect_context;

    (expect_context(), expect_context())
}

/// Sets the notice that the next page shows.
#[cfg(feature = "ssr")]
fn say(done: String) {
    if let Some(said) = leptos::prelude::use_context::<crate::Said>() {
        said.say(crate::Notice::new(done));
    }
}

/// Shortens a name for a notice.
#[cfg(feature = "ssr")]
fn shortened(name: String) -> String {
    const MAX_CHARS: usize = 60;
    match name.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name,
    }
}

/// Runs the body of a server function. An error sets the HTTP status, except in a response to a browser that navigates:
/// a posted form is redirected, and a page has its own status.
#[cfg(feature = "ssr")]
async fn respond<T>(
    body: impl Future<Output = Result<T, crate::AppError>>,
) -> Result<T, crate::AppError> {
    use axum::http::{header::ACCEPT, request::Parts};
    use leptos::prelude::use_context;

    let result = body.await;
    if let Err(error) = &result
        && let Some(response) = use_context::<leptos_axum::ResponseOptions>()
        && let Some(request) = use_context::<Parts>()
    {
        let accept = request
            .headers
            .get(ACCEPT)
            .and_then(|value| value.to_str().ok());
        if !accept.is_some_and(|accept| accept.contains("text/html")) {
            response.set_status(error.kind.status());
        }
    }
    result
}
