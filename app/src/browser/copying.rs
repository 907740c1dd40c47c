//! Buttons that copy text.

use std::time::Duration;

use leptos::{
    ev,
    prelude::{set_timeout, window, window_event_listener},
    web_sys::Element,
};
use wasm_bindgen::JsCast;
use web_sys::{Url, js_sys::Reflect};

use super::parts::announce;

const COPIED: &str = "Copied";
const NOT_COPIED: &str = "Not copied";

/// How long a button shows the result.
const SAID: Duration = Duration::from_secs(2);

pub fn listen() {
    let _ = window_event_listener(ev::click, |event| {
        let clicked = event.target().and_then(|at| at.dyn_into::<Element>().ok());
        let button = clicked.and_then(|at| at.closest("button[data-copy]").ok().flatten());
        let Some(button) = button else { return };
        leptos::task::spawn_local(async move {
            let text = button.get_attribute("data-copy").unwrap_or_default();
            let text = match button.has_attribute("data-link") {
                true => absolute(&text).unwrap_or(text),
                false => text,
            };
            let said = match copy(&text).await {
                Some(()) => COPIED,
                None => NOT_COPIED,
            };
            let name = button.text_content().unwrap_or_default();
            announce(said);
            button.set_text_content(Some(said));
            // After a second click, the timer of the first one restores the name.
            if ![COPIED, NOT_COPIED].contains(&name.as_str()) {
                set_timeout(move || button.set_text_content(Some(&name)), SAID);
            }
        });
    });
}

/// Returns the absolute URL of a path.
fn absolute(path: &str) -> Option<String> {
    let url = Url::new_with_base(path, &window().location().href().ok()?);
    Some(url.ok()?.href())
}

/// Returns `None` if the browser doesn't allow it: the page isn't loaded over HTTPS, or copying is blocked.
async fn copy(text: &str) -> Option<()> {
    let navigator = window().navigator();
    // Only exists with HTTPS.
    Reflect::get(&navigator, &"clipboard".into())
        .ok()
        .filter(|clipboard| clipboard.is_object())?;
    let written = navigator.clipboard().write_text(text).await;
    written.is_ok().then_some(())
}
