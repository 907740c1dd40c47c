use domain::format;
use leptos::prelude::*;

/// Where the page stands among the others, and the ways to them.
#[component]
pub fn Pager<Href: Fn(u64) -> String + 'static>(
    page: u64,
    /// Of a page.
    size: u64,
    /// Of what is on all pages.
    total: u64,
    /// What one of them is called.
    noun: &'static str,
    /// The address of a page.
    href: Href,
) -> impl IntoView + use<Href> {
    let pages = total.div_ceil(size).max(1);
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
        // In its place, so that the others don't move.
        None => view! {
            <span class="button" aria-disabled="true">
                {name}
            </span>
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
                            {link((page > 1).then(|| page - 1), Some("prev"), Some("k"), "Previous")}
                            <span class="pager-page">
                                {format!("Page {} of {}", format::count(page), format::count(pages))}
                            </span> {link((page < pages).then(|| page + 1), Some("next"), Some("j"), "Next")}
                            {link((page < pages).then_some(pages), None, None, "Last")}
                        </div>
                    }
                })}
        </nav>
    }
    .into_any()
}
