//! What the pages read, and the server functions to which their forms post. Each is the sibling of a REST handler: it
//! parses what came, makes one call into the backend, and answers. After a plain post the browser is sent back to the
//! page that it came from, or to where `redirect` says.

#[cfg(feature = "ssr")]
mod formats;
#[cfg(feature = "ssr")]
mod job_changes;
mod jobs;
#[cfg(feature = "ssr")]
mod users;

#[cfg(feature = "ssr")]
pub use formats::*;
#[cfg(feature = "ssr")]
pub use job_changes::{change_jobs, chosen_jobs};
pub use jobs::*;
#[cfg(feature = "ssr")]
pub use users::*;

/// The backend, and whoever has posted the form.
#[cfg(feature = "ssr")]
fn caller() -> (backend::Backend, backend::Viewer) {
    use leptos::prelude::expect_context;

    (expect_context(), expect_context())
}

/// Has the page that a form leads to say what the form has done.
#[cfg(feature = "ssr")]
fn say(done: String) {
    if let Some(said) = leptos::prelude::use_context::<crate::Said>() {
        said.say(crate::Notice::new(done));
    }
}

/// A name as a notice has it.
#[cfg(feature = "ssr")]
fn shortened(name: String) -> String {
    const MAX_CHARS: usize = 60;
    match name.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name,
    }
}

/// Runs the body of a server function. A failure also gets its HTTP status, unless it answers a
/// browser that waits for a page: a posted form is redirected, and a page has a status of its own.
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
