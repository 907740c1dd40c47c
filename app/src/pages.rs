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
///
/// With JavaScript a browser reads what stands in `noscript` as text, so it is no part of the view.
fn refresh_without_javascript() -> impl leptos::IntoView {
    use leptos::prelude::*;

    view! { <noscript inner_html=r#"<meta http-equiv="refresh" content="2">"#></noscript> }
}
