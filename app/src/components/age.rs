use domain::format;
use leptos::prelude::*;

/// A time as its age. In the browser it is kept up to date (`browser::ages`).
#[component]
pub fn Age(
    /// In the form of [`format::machine_time`].
    at: String,
    /// The age in seconds.
    seconds: i64,
) -> impl IntoView {
    view! {
        <time datetime=at.clone() title=format::time(&at) data-age>
            {format::age(seconds, &at)}
        </time>
    }
}
