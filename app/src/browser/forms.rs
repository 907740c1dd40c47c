//! Ensures that plain forms are sent only once, however often they are submitted.

use leptos::{
    ev,
    prelude::{document, window_event_listener},
    web_sys::{DragEvent, HtmlFormElement, SubmitEvent},
};
use wasm_bindgen::JsCast;

use super::parts::IN_PLACE;

/// Marks a form that was sent, and stores the text of its button.
pub const SENT: &str = "data-sent";

pub fn listen() {
    let _ = window_event_listener(ev::submit, send_once);
    // Without this, the browser would replace the page with a file that is dropped next to its field.
    let _ = window_event_listener(ev::dragover, keep_page);
    let _ = window_event_listener(ev::drop, keep_page);
    // A page restored from the browser's history is no longer being left.
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
    // A script sends the form or has refused to, or it only navigates.
    if event.default_prevented() || form.has_attribute(IN_PLACE) || form.method() != "post" {
        return;
    }
    if form.has_attribute(SENT) {
        event.prevent_default();
        return;
    }
    let button = event.submitter();
    let name = button.as_ref().and_then(|button| button.text_content());
    // Disabling the button would take the focus from it.
    let _ = form.set_attribute(SENT, &name.unwrap_or_default());
    if let Some(button) = button
        && let Some(under_way) = button.get_attribute("data-under-way")
    {
        button.set_text_content(Some(&under_way));
    }
}
