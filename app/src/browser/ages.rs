//! Keeps relative times up to date, and adds the local time to every time in UTC.

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
    refresh();
    // Runs until the page is left. Without timers, ages stay as rendered.
    let _ = set_interval_with_handle(refresh, EVERY);
}

pub fn refresh() {
    // Dates without a time have no "T".
    let Ok(times) = document().query_selector_all("time[datetime*=T]") else {
        return;
    };
    for time in (0..times.length()).filter_map(|at| times.get(at)?.dyn_into::<Element>().ok()) {
        let at = time.get_attribute("datetime").unwrap_or_default();
        let date = Date::new(&JsValue::from_str(&at));
        let local = String::from(date.to_locale_string("default", &JsValue::UNDEFINED));
        // Can't fail, because the names are valid attribute names.
        let _ = match time.has_attribute("data-age") {
            true => {
                let text = format::age(((Date::now() - date.get_time()) / 1000.0) as i64, &at);
                if time.text_content().as_ref() != Some(&text) {
                    time.set_text_content(Some(&text));
                }
                let title = format!("{local} ({})", format::time(&at));
                time.set_attribute("title", &title)
            }
            // The style sheet shows it where there is room.
            false if date.get_timezone_offset() != 0.0 => {
                time.set_attribute("title", &format!("{local} local time"))
            }
            false => Ok(()),
        };
    }
}
