use domain::UserId;
use leptos::prelude::*;

use crate::{components::ConnectionState, live};

/// Keeps a list of jobs up to date by fetching it again when something changed, at a limited rate.
#[island]
pub fn JobsLive(
    /// The owner of the listed jobs, or `None` for all users.
    user_id: Option<UserId>,
) -> impl IntoView {
    let lost = live::watch(user_id, |message| {
        if message != "pong" {
            live::refresh_soon();
        }
    });
    view! { <ConnectionState lost /> }
}
