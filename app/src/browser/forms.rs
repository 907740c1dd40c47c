//! Plain forms: sent once, however often they are submitted.

use leptos::{
    ev,
    prelude::{document, window_event_listener},
    web_sys::{DragEvent, HtmlFormElement, SubmitEvent},
};
use wasm_bindgen::JsCast;

/// Marks a form that was sent, and keeps what its button says.
pub const SENT: &str = "data-sent";

pub fn listen() {
    let _ = window_event_listener(ev::submit, send_once);
    // The browser would open a file that is dropped beside its field in place of the page.
    let _ = window_event_listener(ev::dragover, keep_page);
    let _ = window_event_listener(ev::drop, keep_page);
    // A page that comes back as it was left is not being left any more.
    let _ = window_event_listener(ev::pageshow, |_| {
        while let Ok(Some(form)) = document().query_selector(&format!("form[{SENT}]")) {
            let name = form.get_attribute(SENT).unwrap_or_default();
            if let Ok(Some(button)) = form.query_selector("button[data-under-way]") {
                button.set_text_content(Some(&name));
            }
            if form.remove_attribute(SENT).is_err() {
                break;
            }
        }
    });
}

fn keep_page(event: DragEvent) {
    let carries_files = event
        .data_transfer()
        .is_some_and(|data| data.types().includes(&"Files".into(), 0));
    if carries_files {
        event.prevent_default();
    }
}

fn send_once(event: SubmitEvent) {
    let form = event.target().and_then(|form| form.dyn_into().ok());
    let Some(form): Option<HtmlFormElement> = form else {
        return;
    };
    // A script sends it, or it only leads somewhere.
    let is_sent_here = form.has_attribute("data-in-place");
    if event.default_prevented() || is_sent_here || form.method() != "post" {
        return;
    }
    if form.has_attribute(SENT) {
        event.prevent_default();
        return;
    }
    let button = event.submitter();
    let name = button.as_ref().and_then(|button| button.text_content());
    // The button isn't disabled, which would take the focus from it.
    let _ = form.set_attribute(SENT, &name.unwrap_or_default());
    if let Some(button) = button
        && let Some(under_way) = button.get_attribute("data-under-way")
    {
        button.set_text_content(Some(&under_way));
    }
}
