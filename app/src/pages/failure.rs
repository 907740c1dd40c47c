//! What stands in place of a page that can't be shown.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::{AppError, ErrorKind};

#[component]
pub fn NotFound() -> impl IntoView {
    set_status(ErrorKind::NotFound);
    view! {
        <Title text="Page not found" />
        <section class="failure">
            <p class="eyebrow">"404"</p>
            <h1>"Page not found"</h1>
            <p>"There is nothing at this address. It may have been mistyped."</p>
            <p>
                <a class="button" href="/">
                    "Back to all users"
                </a>
            </p>
        </section>
    }
    .into_any()
}

/// The page of something that can't be shown, with the HTTP status that says why.
#[component]
pub fn Failure(error: AppError) -> impl IntoView {
    set_status(error.kind);
    let (title, advice) = match error.kind {
        ErrorKind::NotFound => (
            error.message,
            "It may have been deleted, or its address mistyped.".to_owned(),
        ),
        _ => ("This page can't be shown".to_owned(), error.message),
    };
    let again = (error.kind != ErrorKind::NotFound).then(|| {
        // The very same address, fetched anew.
        view! {
            <a class="button button-primary" href="" rel="external">
                "Try again"
            </a>
        }
    });
    view! {
        <Title text=title.clone() />
        <section class="failure">
            <h1>{title}</h1>
            <p>{advice}</p>
            <p class="actions">
                {again} <a class="button" href="/">
                    "Back to all users"
                </a>
            </p>
        </section>
    }
    .into_any()
}

/// The HTTP status of the page that is being rendered; nothing in the browser.
pub fn set_status(kind: ErrorKind) {
    #[cfg(feature = "ssr")]
    if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
        response.set_status(status(kind));
    }
    #[cfg(not(feature = "ssr"))]
    let _ = kind;
}

#[cfg(feature = "ssr")]
pub fn status(kind: ErrorKind) -> axum::http::StatusCode {
    use axum::http::StatusCode;

    match kind {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
