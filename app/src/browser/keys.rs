//! Keyboard shortcuts. Each page assigns keys to elements by `aria-keyshortcuts`: in a table a key moves between rows,
//! it focuses a field, and it clicks anything else.

use leptos::{
    ev,
    prelude::{document, window_event_listener},
    web_sys::{Element, HtmlDocument, HtmlElement, HtmlInputElement, KeyboardEvent},
};
use wasm_bindgen::JsCast;

use super::palette::PALETTE;

/// The cookie that turns shortcuts with single keys off. Local storage would be cleared when somebody signs out.
const OFF: &str = "shortcuts=off";
/// The longest time for which browsers keep a cookie.
const SECONDS: u32 = 400 * 24 * 3600;

/// The id of the dialog that lists the shortcuts.
const SHEET: &str = "shortcuts";

pub fn listen() {
    let _ = window_event_listener(ev::keydown, |event| {
        let key = event.key();
        if is_free(&event) && (key == "?" || are_on()) && press(&key, event.repeat()).is_some() {
            event.prevent_default();
        }
    });
    let _ = window_event_listener(ev::click, |event| {
        let clicked = event.target().and_then(|at| at.dyn_into::<Element>().ok());
        let is_asked =
            clicked.is_some_and(|it| it.get_attribute("commandfor").as_deref() == Some(SHEET));
        if is_asked {
            refresh();
        }
    });
    if let Some(setting) = setting() {
        setting.set_checked(are_on());
        let _ = window_event_listener(ev::change, move |event| {
            if event.target().as_ref() == Some(setting.as_ref()) {
                turn(setting.checked());
            }
        });
    }
}

fn setting() -> Option<HtmlInputElement> {
    let setting = document().get_element_by_id("single-keys")?;
    setting.dyn_into().ok()
}

fn are_on() -> bool {
    let cookies = page().and_then(|page| page.cookie().ok());
    let cookies = cookies.unwrap_or_default();
    !cookies.split(';').any(|cookie| cookie.trim() == OFF)
}

fn turn(on: bool) {
    let seconds = if on { 0 } else { SECONDS };
    if let Some(page) = page() {
        // If cookies are forbidden, the setting is lost with the page.
        let cookie = format!("{OFF}; Path=/; Max-Age={seconds}; SameSite=Lax");
        let _ = page.set_cookie(&cookie);
    }
}

fn page() -> Option<HtmlDocument> {
    document().dyn_into().ok()
}

/// Returns whether nothing else handles the key: no field and no shortcut of the browser.
fn is_free(event: &KeyboardEvent) -> bool {
    let target = event.target().and_then(|to| to.dyn_into::<Element>().ok());
    let is_typed = target.is_some_and(|element| {
        matches!(element.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT")
    });
    // Many keyboards have brackets on a third level, typed with AltGr or Option.
    let is_third_level = matches!(event.key().as_str(), "[" | "]");
    let has_modifier = (event.ctrl_key() || event.alt_key()) && !is_third_level;
    !(is_typed || has_modifier || event.meta_key())
}

/// Triggers the first element of the page that has the shortcut. If a dialog is open, only elements in it count.
pub fn press(key: &str, is_repeated: bool) -> Option<()> {
    // A quote or a backslash makes the selector invalid, and is never a shortcut.
    let marked = format!("[aria-keyshortcuts~='{key}']");
    let element = match document().query_selector("dialog[open]").ok()? {
        Some(dialog) => dialog.query_selector(&marked),
        None => document().query_selector(&marked),
    };
    let element: HtmlElement = element.ok()??.dyn_into().ok()?;
    let is_field =
        element.tag_name() == "INPUT" && element.get_attribute("type").as_deref() != Some("file");
    if element.tag_name() == "TABLE" {
        step(&element, "tbody tr", key == "j");
    } else if is_field {
        // Can't fail for an input.
        let _ = element.focus();
    } else if !is_repeated {
        // A key held down would repeat the action before the response arrives.
        element.click();
    }
    Some(())
}

/// Moves the focus to the next or previous item of a list, or to the first one. The link or button in the item gets it.
pub fn step(list: &Element, items: &str, is_forward: bool) -> Option<()> {
    let focused = document().active_element();
    let mut item = focused.and_then(|focused| focused.closest(items).ok().flatten());
    loop {
        item = match &item {
            None => list.query_selector(items).ok()?,
            Some(item) if is_forward => item.next_element_sibling(),
            Some(item) => item.previous_element_sibling(),
        };
        let link = item.as_ref()?.query_selector("a[href], button").ok()?;
        if let Some(link) = link.and_then(|link| link.dyn_into::<HtmlElement>().ok()) {
            // Can't fail for a link or a button.
            let _ = link.focus();
            return Some(());
        }
    }
}

/// Updates the sheet and the palette to match the page.
pub fn refresh() {
    for list in [SHEET, PALETTE] {
        if let Some(list) = document().get_element_by_id(list) {
            show(&list);
        }
    }
}

/// Shows only those keys of a list that the page supports.
pub fn show(list: &Element) {
    let Ok(keys) = list.query_selector_all("[data-key]") else {
        return;
    };
    for key in (0..keys.length()).filter_map(|at| keys.get(at)?.dyn_into::<Element>().ok()) {
        let name = key.get_attribute("data-key").unwrap_or_default();
        let marked = format!("[aria-keyshortcuts~='{name}']");
        let is_there = document()
            .query_selector(&marked)
            .is_ok_and(|it| it.is_some());
        // Can't fail, because "hidden" is a valid attribute name.
        let _ = key.toggle_attribute_with_force("hidden", !is_there);
    }
}
