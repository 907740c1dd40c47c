//! The box that selects all jobs of a list.

use leptos::{
    ev,
    prelude::window_event_listener,
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
        } else if let Ok(Some(all)) = table.query_selector("input[data-all]")
            && let Ok(all) = all.dyn_into::<HtmlInputElement>()
        {
            let checked = boxes.iter().filter(|it| it.checked()).count();
            all.set_checked(checked == boxes.len());
            all.set_indeterminate(checked > 0 && checked < boxes.len());
        }
    });
}

/// Selects nothing any more.
pub fn clear(form: &HtmlFormElement) {
    form.reset();
    if let Ok(Some(all)) = form.query_selector("input[data-all]")
        && let Ok(all) = all.dyn_into::<HtmlInputElement>()
    {
        all.set_indeterminate(false);
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
