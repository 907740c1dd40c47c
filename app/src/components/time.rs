use leptos::prelude::*;

use domain::format;

/// A time that wraps only between the date and the time of day.
#[component]
pub fn Time(
    /// In the form of [`format::machine_time`].
    at: String,
) -> impl IntoView {
    let text = format::time(&at);
    let (day, hour) = text.split_once(' ').unwrap_or((&text, ""));
    view! {
        <time datetime=at>
            <span>{day.to_owned()}</span>
            " "
            <span>{hour.to_owned()}</span>
        </time>
    }
}
