use domain::{format, page_count};
use leptos::prelude::*;

use crate::Query;

/// Returns the page that the URL requests. If it is invalid, returns the first page and a sentence that says so.
pub fn page_number(query: &Query) -> (u64, Option<&'static str>) {
    match query.get("page") {
        "" => (1, None),
        page => match page.parse() {
            Ok(page) if page > 0 => (page, None),
            _ => (1, Some("Page must be 1 or higher. This is the first page.")),
        },
    }
}

/// The position of the page among the others, and links to them.
#[component]
pub fn Pager<Href: Fn(u64) -> String + 'static>(
    page: u64,
    /// The number of items per page.
    size: u64,
    /// The number of items on all pages.
    total: u64,
    /// The noun for an item.
    noun: &'static str,
    /// Returns the address of a page.
    href: Href,
) -> impl IntoView + use<Href> {
    let pages = page_count(total, size);
    let first = (page - 1) * size + 1;
    let last = total.min(page * size);
    let link = |to: Option<u64>,
                rel: Option<&'static str>,
                key: Option<&'static str>,
                name: &'static str| match to {
        Some(to) => view! {
            <a class="button" href=href(to) rel=rel aria-keyshortcuts=key>
                {name}
            </a>
        }
        .into_any(),
        // Keeps the place of the link, so that the others don't move and the pressed one keeps the focus.
        None => view! {
            <a class="button" role="link" aria-disabled="true" tabindex="-1">
                {name}
            </a>
        }
        .into_any(),
    };
    view! {
        <nav class="pager" aria-label="Pages">
            <p class="muted">
                {format!(
                    "{}–{} of {}",
                    format::count(first),
                    format::count(last),
                    format::counted(total, noun),
                )}
            </p>
            {(pages > 1)
                .then(|| {
                    view! {
                        <div class="pager-links">
                            {link((page > 1).then_some(1), None, None, "First")}
                            {link((page > 1).then(|| page - 1), Some("prev"), Some("["), "Previous")}
                            <span class="pager-page">
                                {format!("Page {} of {}", format::count(page), format::count(pages))}
                            </span> {link((page < pages).then(|| page + 1), Some("next"), Some("]"), "Next")}
                            {link((page < pages).then_some(pages), None, None, "Last")}
                        </div>
                    }
                })}
        </nav>
    }
    .into_any()
}
