use leptos::prelude::*;

use domain::format;

#[component]
pub fn Time(
    /// As [`format::machine_time`] has it.
    at: String,
) -> impl IntoView {
    let text = format::time(&at);
    view! { <time datetime=at>{text}</time> }
}
