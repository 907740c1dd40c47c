//! Shows a row of a job in a drawer beside its table, using the article from the row's own page. The arrow keys go to
//! the adjacent rows, Escape closes the drawer, and the focus returns to the table.

use std::cell::Cell;

use leptos::{
    ev,
    prelude::{document, window, window_event_listener},
    web_sys::{
        Element, HtmlAnchorElement, HtmlDialogElement, HtmlElement, KeyboardEvent, MouseEvent,
    },
};
use wasm_bindgen::{JsCast, closure::Closure};

use super::parts::{fetch_document, show_unreachable};

/// The ids of the dialog and of the article in it.
const DRAWER: &str = "drawer";
const ROW: &str = "row";
/// The attribute with the address of the row that the drawer shows.
const ADDRESS: &str = "data-address";

thread_local! {
    /// Incremented for each requested row and when the drawer closes, to discard outdated responses.
    static ASKED: Cell<u32> = const { Cell::new(0) };
}

pub fn listen() {
    let _ = window_event_listener(ev::click, |event| {
        if let Some(address) = asked(&event) {
            event.prevent_default();
            show(address);
        }
    });
    let _ = window_event_listener(ev::keydown, |event| {
        let is_free = !(event.ctrl_key() || event.meta_key() || event.alt_key());
        // `keys` handles single letters, because users can turn them off.
        if is_free && let Some(link) = neighbour(&event) {
            event.prevent_default();
            show(link.href());
        }
    });
}

/// Returns the address of the clicked row. The click must be on its link or on something without an action of its own.
fn asked(event: &MouseEvent) -> Option<String> {
    let has_modifier = event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key();
    if event.default_prevented() || event.button() != 0 || has_modifier {
        return None;
    }
    let clicked: Element = event.target()?.dyn_into().ok()?;
    let link = match clicked
        .closest("a, button, summary, input, label, .long-text p")
        .ok()?
    {
        Some(link) => {
            let is_row = link.has_attribute("data-drawer")
                || (link.has_attribute("rel") && link.closest("#drawer").ok()?.is_some());
            is_row.then_some(link)?
        }
        // Selecting text must not leave the page.
        None if is_selecting() => return None,
        None => clicked
            .closest("tr")
            .ok()??
            .query_selector("a[data-drawer]")
            .ok()??,
    };
    let link: HtmlAnchorElement = link.dyn_into().ok()?;
    Some(link.href()).filter(|address| !address.is_empty())
}

fn is_selecting() -> bool {
    let selection = window().get_selection().ok().flatten();
    selection.is_some_and(|selection| !selection.is_collapsed())
}

/// Returns the link to the row for a key pressed in an open drawer.
fn neighbour(event: &KeyboardEvent) -> Option<HtmlAnchorElement> {
    // A key held down would request rows faster than they arrive.
    if event.repeat() || is_scrolled(event) {
        return None;
    }
    let rel = match event.key().as_str() {
        "ArrowUp" | "ArrowLeft" => "prev",
        "ArrowDown" | "ArrowRight" => "next",
        _ => return None,
    };
    let link = document().query_selector(&format!("#{DRAWER}[open] a[rel={rel}][href]"));
    link.ok()??.dyn_into().ok()
}

/// Returns whether the key scrolls within the record, which may be long.
fn is_scrolled(event: &KeyboardEvent) -> bool {
    let target: Option<Element> = event.target().and_then(|it| it.dyn_into().ok());
    target.is_some_and(|it| it.class_list().contains("raw"))
}

fn show(address: String) {
    let number = ASKED.get() + 1;
    ASKED.set(number);
    leptos::task::spawn_local(async move {
        let fetched = fetch_document(&address).await;
        if ASKED.get() != number {
            return;
        }
        let Ok(fetched) = fetched else {
            show_unreachable();
            return;
        };
        let article = fetched.get_element_by_id(ROW);
        if article
            .and_then(|article| open(&article, &address))
            .is_none()
        {
            // The row's own page shows the reason.
            let _ = window().location().set_href(&address);
        }
    });
}

fn open(article: &Element, address: &str) -> Option<()> {
    let dialog = match document().get_element_by_id(DRAWER) {
        Some(dialog) => dialog.dyn_into::<HtmlDialogElement>().ok()?,
        None => {
            let dialog = document().create_element("dialog").ok()?;
            dialog.set_id(DRAWER);
            dialog.set_attribute("aria-labelledby", "row-title").ok()?;
            dialog.set_attribute("closedby", "any").ok()?;
            document().body()?.append_child(&dialog).ok()?;
            let dialog: HtmlDialogElement = dialog.dyn_into().ok()?;
            let closed = Closure::<dyn Fn()>::new(return_focus).into_js_value();
            dialog.set_onclose(Some(closed.unchecked_ref()));
            dialog
        }
    };
    // The `rel` attribute identifies the link that had the focus.
    let focused = document()
        .active_element()
        .and_then(|it| it.get_attribute("rel"));
    dialog.set_inner_html("");
    let close = document().create_element("form").ok()?;
    close.set_attribute("method", "dialog").ok()?;
    close.set_inner_html("<button class=\"button button-small\">Close</button>");
    dialog.append_child(&close).ok()?;
    dialog.append_child(article).ok()?;
    if !dialog.open() {
        dialog.show_modal().ok()?;
    }
    dialog.set_scroll_top(0);
    let again = focused.and_then(|rel| {
        let link = dialog.query_selector(&format!("a[rel={rel}][href]"));
        link.ok()?
    });
    let heir = again.or_else(|| dialog.query_selector("button").ok()?);
    let _ = heir?.dyn_into::<HtmlElement>().ok()?.focus();
    // The click may not have been on the link, and the drawer may show another row by now.
    dialog.set_attribute(ADDRESS, address).ok()
}

/// Returns the focus to the row shown last, if the table has it.
fn return_focus() {
    ASKED.set(ASKED.get() + 1);
    let shown = document().get_element_by_id(DRAWER);
    let address = shown.and_then(|dialog| dialog.get_attribute(ADDRESS));
    let Ok(links) = document().query_selector_all("a[data-drawer]") else {
        return;
    };
    let mut links =
        (0..links.length()).filter_map(|at| links.get(at)?.dyn_into::<HtmlAnchorElement>().ok());
    if let Some(link) = links.find(|link| Some(link.href()) == address) {
        let _ = link.focus();
    }
}
