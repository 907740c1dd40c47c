use domain::format;
use leptos::prelude::*;

/// A time, as long ago as it is. In the browser it goes on to age (`browser::ages`).
#[component]
pub fn Age(
    /// As [`format::machine_time`] has it.
    at: String,
    /// How long ago that is.
    seconds: i64,
) -> impl IntoView {
    view! {
        <time datetime=at.clone() title=format::time(&at) data-age>
            {format::age(seconds, &at)}
        </time>
    }
}
