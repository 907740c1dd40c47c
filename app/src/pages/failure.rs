//! Pages that are shown instead of others because of an error.

use axum::http::StatusCode;
use leptos::prelude::*;

use crate::{AppError, ErrorKind, Page, Site};

/// The number of seconds after which a page reloads if a service was unavailable.
const RELOAD_AFTER_SECONDS: u32 = 10;

pub fn not_found(site: &Site) -> Page {
    let sentence = "This page doesn't exist. It may have been deleted, or the link is wrong.";
    refused(site, StatusCode::NOT_FOUND, sentence)
}

/// Returns the page for a request that was refused, with a sentence for the reason.
pub fn refused(site: &Site, status: StatusCode, sentence: &str) -> Page {
    let title = match status {
        StatusCode::NOT_FOUND => "Page not found",
        StatusCode::METHOD_NOT_ALLOWED => "Method not allowed",
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => "Try again in a moment",
        _ => "The request was refused",
    };
    let (sentence, back) = (sentence.to_owned(), back(site));
    site.page(status, title, || {
        view! {
            <section class="failure">
                <p class="eyebrow">{status.as_u16()}</p>
                <h1>{title}</h1>
                <p>{sentence}</p>
                <p>
                    <a class="button" href="/">
                        {back}
                    </a>
                </p>
            </section>
        }
    })
}

/// Returns the text of the link back.
fn back(site: &Site) -> &'static str {
    match site.lists_users() {
        true => "Back to all jobs",
        false => "Back to your files",
    }
}

/// Returns the page for an error, with its HTTP status.
pub fn failure(site: &Site, error: AppError) -> Page {
    let status = error.kind.status();
    let (title, advice) = match error.kind {
        ErrorKind::NotFound => (
            error.message,
            "It may have been deleted, or the link is wrong.".to_owned(),
        ),
        ErrorKind::Forbidden => ("Not allowed".to_owned(), error.message),
        _ => ("This page can't be shown".to_owned(), error.message),
    };
    let is_final = matches!(error.kind, ErrorKind::NotFound | ErrorKind::Forbidden);
    let again = (!is_final).then(|| {
        // Reloads the current address.
        view! {
            <a class="button button-primary" href="">
                "Try again"
            </a>
        }
    });
    let reload_after_seconds =
        (error.kind == ErrorKind::Unavailable).then_some(RELOAD_AFTER_SECONDS);
    let by_itself = reload_after_seconds.map(|seconds| {
        view! { <p class="muted">{format!("The page tries again every {seconds} seconds.")}</p> }
    });
    let back = back(site);
    let page = site.page(status, &title.clone(), || {
        view! {
            <section class="failure">
                <h1>{title}</h1>
                <p>{advice}</p>
                {by_itself}
                <p class="actions">
                    {again} <a class="button" href="/">
                        {back}
                    </a>
                </p>
            </section>
        }
    });
    Page {
        reload_after_seconds,
        ..page
    }
}
