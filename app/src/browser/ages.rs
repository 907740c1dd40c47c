//! Times that say how long ago they are go on to age, and say the local time beside UTC.

use std::time::Duration;

use domain::format;
use leptos::{
    prelude::{document, set_interval_with_handle},
    web_sys::Element,
};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::js_sys::Date;

const EVERY: Duration = Duration::from_secs(20);

pub fn listen() {
    age();
    // Runs until the page is left. Without timers, ages stay as rendered.
    let _ = set_interval_with_handle(age, EVERY);
}

fn age() {
    let Ok(times) = document().query_selector_all("time[data-age]") else {
        return;
    };
    for time in (0..times.length()).filter_map(|at| times.get(at)?.dyn_into::<Element>().ok()) {
        let at = time.get_attribute("datetime").unwrap_or_default();
        let date = Date::new(&JsValue::from_str(&at));
        let text = format::age(((Date::now() - date.get_time()) / 1000.0) as i64, &at);
        if time.text_content().as_ref() != Some(&text) {
            time.set_text_content(Some(&text));
        }
        let local = date.to_locale_string("default", &JsValue::UNDEFINED);
        let title = format!("{} ({})", String::from(local), format::time(&at));
        // "title" is a valid name of an attribute.
        let _ = time.set_attribute("title", &title);
    }
}
