use domain::UserId;
use leptos::prelude::*;

use crate::{components::ConnectionState, live};

/// Keeps a list of jobs up to date: it is fetched anew when something has changed, now and then.
#[island]
pub fn JobsLive(
    /// Whose jobs are listed; `None` for everybody's.
    user_id: Option<UserId>,
    /// Whether one of them was running when the page was made.
    is_active: bool,
) -> impl IntoView {
    let lost = live::watch(
        user_id,
        |message| {
            if message != "pong" {
                live::refresh_soon();
            }
        },
        move |was_lost| {
            if was_lost || is_active {
                live::refresh_soon();
            }
        },
    );
    view! { <ConnectionState lost /> }
}
