//! Keeps the focus in place when the focused element disappears: a button whose command is done, a link of a removed
//! filter, or the button that opened a closing dialog. The browser would leave the focus on `<body>`, and the next Tab
//! would start at the top of the page (WCAG 2.4.3).

use std::cell::RefCell;

use leptos::{
    ev,
    prelude::{document, window_event_listener},
    web_sys::{Element, FocusEvent, HtmlElement, PointerEvent},
};
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{
    FocusOptions, MutationObserver, MutationObserverInit,
    js_sys::{Array, Function},
};

thread_local! {
    /// The element that had the focus last and its ancestors, innermost first.
    static LAST: RefCell<Vec<HtmlElement>> = const { RefCell::new(Vec::new()) };
}

pub fn listen() {
    let _ = window_event_listener(ev::focusin, |event: FocusEvent| {
        let focused = event.target().and_then(|at| at.dyn_into::<Element>().ok());
        LAST.set(around(focused));
    });
    // A click on an empty area removes the focus on purpose.
    let _ = window_event_listener(ev::pointerdown, |_: PointerEvent| LAST.set(Vec::new()));
    let restore = Closure::<dyn Fn()>::new(restore).into_js_value();
    let Ok(observer) = MutationObserver::new(restore.unchecked_ref::<Function>()) else {
        return;
    };
    let what = MutationObserverInit::new();
    what.set_child_list(true);
    what.set_subtree(true);
    what.set_attribute_filter(&Array::of1(&"open".into()));
    if let Some(body) = document().body() {
        // Fails only for contradictory options.
        let _ = observer.observe_with_options(&body, &what);
    }
}

/// Returns the element and its ancestors, without `<body>`.
fn around(element: Option<Element>) -> Vec<HtmlElement> {
    std::iter::successors(element, |element| element.parent_element())
        .filter_map(|element| element.dyn_into::<HtmlElement>().ok())
        .filter(|element| !matches!(element.tag_name().as_str(), "BODY" | "HTML"))
        .collect()
}

/// Moves the focus from a removed element to its innermost ancestor that still exists.
fn restore() {
    let heir = LAST.with_borrow(|last| match last.first() {
        Some(focused) if !is_shown(focused) => last.iter().find(|it| is_shown(it)).cloned(),
        _ => None,
    });
    let active = document()
        .active_element()
        .and_then(|active| active.dyn_into::<HtmlElement>().ok());
    // The browser or other code may already have moved it.
    let is_lost = active.is_none_or(|active| active.tag_name() == "BODY" || !is_shown(&active));
    let Some(heir) = heir.filter(|_| is_lost) else {
        return;
    };
    let options = FocusOptions::new();
    options.set_prevent_scroll(true);
    let is_focused = || document().active_element().as_ref() == Some(heir.as_ref());
    if heir.focus_with_options(&options).is_ok() && !is_focused() {
        heir.set_tab_index(-1);
        let _ = heir.focus_with_options(&options);
    }
}

fn is_shown(element: &HtmlElement) -> bool {
    element.is_connected() && element.offset_width() > 0
}
