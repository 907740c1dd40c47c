//! The pages, one function each: it reads what the page shows, and renders it. What only one page shows stands in the
//! folder of its name.

mod failure;
mod formats;
mod home;
mod job;
mod pager;
mod user;

use leptos::prelude::*;

pub use failure::{not_found, refused};
pub use formats::formats;
pub use home::home;
pub use job::{answer, job};
pub use user::user;

/// Makes a page fetch itself again every two seconds where there is no JavaScript. Shown only while
/// work is under way.
fn refresh_without_javascript() -> impl IntoView {
    refresh("2")
}

/// Like [`refresh_without_javascript`] for a page with an open question: it leaves time for the answer, then
/// goes back to the page that refreshes itself.
fn refresh_after_question(path: &str) -> impl IntoView + use<> {
    refresh(&format!("60;url={path}"))
}

fn refresh(content: &str) -> impl IntoView + use<> {
    let content = content.to_owned();
    view! {
        <noscript>
            <meta http-equiv="refresh" content=content />
        </noscript>
    }
}
