//! The checkbox that selects all jobs of a list.

use std::collections::HashSet;

use leptos::{
    ev,
    prelude::{document, window_event_listener},
    web_sys::{Element, HtmlFormElement, HtmlInputElement},
};
use wasm_bindgen::JsCast;

pub fn listen() {
    let _ = window_event_listener(ev::change, |event| {
        let changed = event
            .target()
            .and_then(|it| it.dyn_into::<HtmlInputElement>().ok());
        let Some(changed) = changed.filter(|it| it.type_() == "checkbox") else {
            return;
        };
        let Ok(Some(table)) = changed.closest("table") else {
            return;
        };
        let is_all = changed.has_attribute("data-all");
        let boxes = boxes(&table);
        if is_all {
            boxes
                .iter()
                .for_each(|it| it.set_checked(changed.checked()));
        }
        refresh();
    });
}

/// Unselects the jobs in these fields. The user may have selected others since they were sent.
pub fn clear(form: &HtmlFormElement, fields: &str) {
    let sent: HashSet<&str> = fields.split('&').collect();
    // Not the form's defaults, because the page may have loaded with all jobs selected.
    for it in boxes(form) {
        if sent.contains(format!("{}={}", it.name(), it.value()).as_str()) {
            it.set_checked(false);
        }
    }
    refresh();
}

/// Updates the checkbox for all jobs to show how many of them are selected.
pub fn refresh() {
    let all = document().query_selector("input[data-all]");
    if let Ok(Some(all)) = all
        && let Ok(all) = all.dyn_into::<HtmlInputElement>()
        && let Ok(Some(table)) = all.closest("table")
    {
        let boxes = boxes(&table);
        let checked = boxes.iter().filter(|it| it.checked()).count();
        all.set_checked(checked > 0 && checked == boxes.len());
        all.set_indeterminate(checked > 0 && checked < boxes.len());
    }
}

fn boxes(table: &Element) -> Vec<HtmlInputElement> {
    let Ok(boxes) = table.query_selector_all("tbody input[type=checkbox]") else {
        return Vec::new();
    };
    (0..boxes.length())
        .filter_map(|at| boxes.get(at)?.dyn_into().ok())
        .collect()
}
