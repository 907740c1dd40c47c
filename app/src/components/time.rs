use chrono::{DateTime, Utc};
use leptos::prelude::*;

use crate::format;

#[component]
pub fn Time(at: DateTime<Utc>) -> impl IntoView {
    view! { <time datetime=format::machine_time(at)>{format::time(at)}</time> }
}
