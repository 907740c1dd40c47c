//! One file per page; what only one page shows stands in the folder of its name.

mod failure;
mod home;
mod job;
mod user;

pub use failure::NotFound;
#[cfg(feature = "ssr")]
pub use failure::status;
pub use home::HomePage;
pub use job::JobPage;
pub use user::UserPage;

/// Makes a page fetch itself again every two seconds where there is no JavaScript. Shown only while
/// work is under way.
fn refresh_without_javascript() -> impl leptos::IntoView {
    refresh("2")
}

/// Like [`refresh_without_javascript`] for a page with an open question: it leaves time for the answer, then
/// goes back to the page that refreshes itself.
fn refresh_after_question(path: &str) -> impl leptos::IntoView + use<> {
    refresh(&format!("60;url={path}"))
}

/// With JavaScript a browser reads what stands in `noscript` as text, so it is no part of the view.
fn refresh(content: &str) -> impl leptos::IntoView + use<> {
    use leptos::prelude::*;

    let meta = format!(r#"<meta http-equiv="refresh" content="{content}">"#);
    view! { <noscript inner_html=meta></noscript> }
}
