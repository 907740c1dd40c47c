use leptos::prelude::*;

use super::Address;
use crate::format;

/// Where the page stands among the others, and the ways to them.
#[component]
pub fn Pager(page: u64, total: u64, address: Address) -> impl IntoView {
    let size = u64::from(address.size());
    let pages = total.div_ceil(size).max(1);
    let first = (page - 1) * size + 1;
    let last = total.min(page * size);
    let link = |to: Option<u64>,
                rel: Option<&'static str>,
                key: Option<&'static str>,
                name: &'static str| match to {
        Some(to) => view! {
            <a class="button" href=address.paged(to) rel=rel aria-keyshortcuts=key>
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
                    format::counted(total, "row"),
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
