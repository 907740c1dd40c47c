//! Leaves the page when the session of its user has ended, so that nobody finds its content there later (OWASP ASVS 5.0,
//! 14.3.1). Signing in leads back. Asking the server isn't a use of the session. If it doesn't respond, the page stays.

use std::{cell::Cell, time::Duration};

use gloo_timers::future::sleep;
use leptos::{
    ev,
    prelude::{
        document, set_interval_with_handle, window, window_event_listener,
        window_event_listener_untyped,
    },
    web_sys::Response,
};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::BroadcastChannel;

use super::{
    forms::SENT,
    parts::{PATIENCE, here, within},
};

/// The interval in which a visible page asks.
const EVERY: Duration = Duration::from_secs(45);
/// The delay before the second question. A session also has a new secret after its user was asked who they are. Until the
/// response to that form has arrived, the browser sends the old one.
const SECOND: Duration = Duration::from_secs(1);
/// The same if the form is on this page. Leaving the page would abort it.
const SECOND_AFTER_FORM: Duration = Duration::from_secs(30);
/// Where a page for signing in says to other tabs that a session may have ended.
const CHANNEL: &str = "session";

thread_local! {
    static IS_ASKING: Cell<bool> = const { Cell::new(false) };
}

pub fn listen() {
    // Fails only in browsers without it. Other tabs then notice the end by themselves.
    let channel = BroadcastChannel::new(CHANNEL).ok();
    if user().is_none() {
        if let Some(channel) = channel {
            if here().starts_with("/sign-in") {
                let _ = channel.post_message(&JsValue::NULL);
            }
            channel.close();
        }
        return;
    }
    if let Some(channel) = channel {
        let ask = Closure::<dyn Fn()>::new(ask).into_js_value();
        channel.set_onmessage(Some(ask.unchecked_ref()));
    }
    let ask_if_visible = || {
        if !document().hidden() {
            ask();
        }
    };
    // Runs until the page is left. Without timers, the page asks on the other occasions.
    let _ = set_interval_with_handle(ask_if_visible, EVERY);
    let _ = window_event_listener_untyped("visibilitychange", move |_| ask_if_visible());
    let _ = window_event_listener(ev::pageshow, |event| {
        if event.persisted() {
            ask();
        }
    });
}

/// Returns the id of the user who is signed in.
fn user() -> Option<String> {
    let form = document().query_selector("form[data-user]").ok()??;
    form.get_attribute("data-user")
}

/// Leaves the page if the session has ended.
pub fn ask() {
    let Some(user) = user().filter(|_| !IS_ASKING.replace(true)) else {
        return;
    };
    leptos::task::spawn_local(async move {
        let address = format!("/users/{user}/session");
        if has_ended(&address).await {
            sleep(match is_sending() {
                true => SECOND_AFTER_FORM,
                false => SECOND,
            })
            .await;
            if has_ended(&address).await {
                leave();
            }
        }
        IS_ASKING.set(false);
    });
}

async fn has_ended(address: &str) -> bool {
    let asked = window().fetch_with_str(address).into_future();
    let response = within(PATIENCE, asked).await;
    let response = response.and_then(|response| response.dyn_into::<Response>());
    response.is_ok_and(|response| response.status() == 401)
}

fn is_sending() -> bool {
    let form = document().query_selector(&format!("form[{SENT}]"));
    form.is_ok_and(|form| form.is_some())
}

/// Requests the page again, which leads to the page for signing in. Reloading could send a form again.
fn leave() {
    let page = here();
    // The response to the form of a server function can't be requested.
    let page = match page.starts_with("/rpc/") {
        true => "/",
        false => &page,
    };
    // Fails only where a document must not navigate itself.
    let _ = window().location().replace(page);
}
