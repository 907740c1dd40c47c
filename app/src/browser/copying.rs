//! Buttons that copy a text.

use std::time::Duration;

use leptos::{
    ev,
    prelude::{set_timeout, window, window_event_listener},
    web_sys::Element,
};
use wasm_bindgen::JsCast;
use web_sys::{Url, js_sys::Reflect};

use super::parts::announce;

/// For how long a button says what became of it.
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
                Some(()) => "Copied",
                None => "Not copied",
            };
            let name = button.text_content();
            announce(said);
            button.set_text_content(Some(said));
            set_timeout(move || button.set_text_content(name.as_deref()), SAID);
        });
    });
}

/// The whole address of a path.
fn absolute(path: &str) -> Option<String> {
    let url = Url::new_with_base(path, &window().location().href().ok()?);
    Some(url.ok()?.href())
}

/// `None` where the browser doesn't let it: the page isn't loaded over HTTPS, or somebody has forbidden it.
async fn copy(text: &str) -> Option<()> {
    let navigator = window().navigator();
    // Without HTTPS there is none.
    Reflect::get(&navigator, &"clipboard".into())
        .ok()
        .filter(|clipboard| clipboard.is_object())?;
    let written = navigator.clipboard().write_text(text).await;
    written.is_ok().then_some(())
}
