use leptos::prelude::*;

use domain::format;

/// A time, which breaks between the day and the hour at most.
#[component]
pub fn Time(
    /// As [`format::machine_time`] has it.
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
