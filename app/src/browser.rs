//! Browser code for the page as a whole. It only enhances what works without it.

mod ages;
mod copying;
mod dialogs;
mod drawer;
mod focus;
mod forms;
mod keys;
mod morph;
mod palette;
pub mod parts;
mod preview;
mod selection;
mod session;

use leptos::prelude::{document, window};
use wasm_bindgen::JsCast;
use web_sys::PerformanceNavigationTiming;

pub fn start() {
    let navigation = navigation();
    let fetched = navigation.as_ref().map(|navigation| navigation.name());
    if fetched.is_some_and(|fetched| parts::is_other_page(&fetched)) {
        // Going back from a step that was taken without a new document, before the page is live, changes the address
        // but not the document. Reloading fails only where a document must not navigate itself.
        let _ = window().location().reload();
        return;
    }
    ages::listen();
    copying::listen();
    dialogs::listen();
    drawer::listen();
    focus::listen();
    keys::listen();
    palette::listen();
    parts::listen();
    preview::listen();
    selection::listen();
    session::listen();
    // After the listeners that may send a form instead of the browser.
    forms::listen();
    if navigation.is_some_and(|navigation| is_from_history(&navigation)) {
        parts::refresh();
    }
    if let Ok(Some(row)) = document().query_selector("tr[aria-current]") {
        row.scroll_into_view();
    }
}

fn navigation() -> Option<PerformanceNavigationTiming> {
    let entries = window().performance()?.get_entries_by_type("navigation");
    entries.get(0).dyn_into().ok()
}

/// Returns whether the document may come from the browser's history, and so be out of date.
fn is_from_history(navigation: &PerformanceNavigationTiming) -> bool {
    navigation.type_() == web_sys::NavigationType::BackForward
}
