//! Opens and closes dialogs in browsers that don't support `commandfor` yet.

use leptos::{
    ev,
    prelude::{document, window_event_listener},
    web_sys::{Element, HtmlButtonElement, HtmlDialogElement},
};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::js_sys::Reflect;

pub fn listen() {
    let knows_commands = document()
        .create_element("button")
        .is_ok_and(|button| Reflect::has(&button, &"command".into()).unwrap_or(false));
    if knows_commands {
        return;
    }
    let _ = window_event_listener(ev::click, |event| {
        let clicked = event.target().and_then(|at| at.dyn_into::<Element>().ok());
        let button = clicked.and_then(|at| at.closest("button[commandfor]").ok().flatten());
        if let Some(button) = button.and_then(|button| button.dyn_into().ok()) {
            // Fails if the dialog is already open.
            let _ = execute(&button);
        }
    });
}

fn execute(button: &HtmlButtonElement) -> Result<(), JsValue> {
    let id = button.get_attribute("commandfor").unwrap_or_default();
    let dialog = document().get_element_by_id(&id);
    if let Some(dialog) = dialog.and_then(|found| found.dyn_into::<HtmlDialogElement>().ok()) {
        match button.get_attribute("command").as_deref() {
            Some("show-modal") => dialog.show_modal()?,
            _ => dialog.close(),
        }
    }
    Ok(())
}
