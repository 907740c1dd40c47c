//! Finds jobs, users, pages and commands of this page in a dialog, by fetching the results of `/find` while the user
//! types.

use std::{cell::Cell, time::Duration};

use gloo_timers::future::sleep;
use leptos::{
    ev,
    prelude::{document, window_event_listener},
    web_sys::{Element, HtmlDialogElement, HtmlElement, HtmlInputElement},
};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::js_sys::encode_uri_component;

use super::{keys, morph::morph, parts::fetch_document};

pub const PALETTE: &str = "palette";
/// Selectors for results, both in the dialog and on the page `/find`.
const FOUND: &str = ".found";
const ITEMS: &str = ".found li:not([hidden])";

/// The delay after each keystroke before searching.
const PAUSE: Duration = Duration::from_millis(80);

thread_local! {
    /// Incremented with each search, to discard outdated results.
    static SEARCH: Cell<u32> = const { Cell::new(0) };
    /// The search whose results are shown, and the one whose first result will be chosen when it arrives.
    static SHOWN: Cell<u32> = const { Cell::new(0) };
    static AWAITED: Cell<u32> = const { Cell::new(0) };
}

pub fn listen() {
    let _ = window_event_listener(ev::keydown, |event| {
        let is_command = event.ctrl_key() || event.meta_key();
        let is_handled = match (event.key().as_str(), palette()) {
            ("k" | "K", Some(palette)) if is_command => open(&palette),
            ("ArrowDown", Some(palette)) if palette.open() => keys::step(&palette, ITEMS, true),
            ("ArrowUp", Some(palette)) if palette.open() => keys::step(&palette, ITEMS, false),
            _ => None,
        };
        if is_handled.is_some() {
            event.prevent_default();
        }
    });
    let _ = window_event_listener(ev::click, |event| {
        let clicked = event.target().and_then(|at| at.dyn_into::<Element>().ok());
        let Some((clicked, palette)) = clicked.zip(palette()) else {
            return;
        };
        let link = |selector| clicked.closest(selector).ok().flatten();
        if link("#find").is_some() && !(event.ctrl_key() || event.meta_key() || event.shift_key()) {
            event.prevent_default();
            open(&palette);
        } else if let Some(command) = link("#palette li button") {
            palette.close();
            keys::press(
                &command.get_attribute("data-press").unwrap_or_default(),
                false,
            );
        } else if link("#palette li a").is_some() {
            palette.close();
        }
    });
    let _ = window_event_listener(ev::input, |_| search());
    let _ = window_event_listener(ev::submit, |event| {
        let Some(palette) = palette().filter(|palette| palette.open()) else {
            return;
        };
        event.prevent_default();
        match SHOWN.get() == SEARCH.get() {
            true => drop(choose(&palette)),
            // The results for the current text haven't arrived.
            false => AWAITED.set(SEARCH.get()),
        }
    });
}

fn palette() -> Option<HtmlDialogElement> {
    document().get_element_by_id(PALETTE)?.dyn_into().ok()
}

fn open(palette: &HtmlDialogElement) -> Option<()> {
    if !palette.open() {
        palette.show_modal().ok()?;
    }
    field(palette)?.select();
    search();
    Some(())
}

fn field(palette: &Element) -> Option<HtmlInputElement> {
    palette.query_selector("input").ok()??.dyn_into().ok()
}

/// Shows the results for the text in the field.
fn search() {
    let Some(palette) = palette().filter(|palette| palette.open()) else {
        return;
    };
    let number = SEARCH.get() + 1;
    SEARCH.set(number);
    leptos::task::spawn_local(async move {
        sleep(PAUSE).await;
        if SEARCH.get() == number {
            // If it fails, the previous results stay.
            let _ = show(&palette, number).await;
        }
    });
}

async fn show(palette: &HtmlDialogElement, number: u32) -> Result<(), JsValue> {
    let text = field(palette)
        .map(|field| field.value())
        .unwrap_or_default();
    let address = format!("/find?q={}", String::from(encode_uri_component(&text)));
    let fetched = fetch_document(&address).await?;
    let found = fetched.query_selector(&format!("main {FOUND}"))?;
    if let Some((shown, found)) = palette.query_selector(FOUND)?.zip(found)
        && SEARCH.get() == number
    {
        morph(&shown, &found)?;
        keys::show(&shown);
        SHOWN.set(number);
        // The user may have closed it instead of waiting.
        if AWAITED.get() == number && palette.open() {
            choose(palette);
        }
    }
    Ok(())
}

/// Triggers the first result.
fn choose(palette: &Element) -> Option<()> {
    let first = palette.query_selector(&format!("{ITEMS} :is(a, button)"));
    let first: HtmlElement = first.ok()??.dyn_into().ok()?;
    first.click();
    Some(())
}
