use leptos::prelude::*;

use crate::components::Dialog;

/// Each page marks what a key does by `aria-keyshortcuts`; this is what the sheet says of them.
const KEYS: [(&str, &str); 10] = [
    ("?", "This help"),
    ("h", "All jobs"),
    ("b", "One level up"),
    ("u", "Choose a file to upload"),
    ("s", "Start, pause or resume the processing"),
    ("/", "Search"),
    ("g", "Go to a row"),
    ("1 – 4", "All, valid, invalid, suspicious rows"),
    ("j", "Next page of rows"),
    ("k", "Previous page of rows"),
];

/// Keyboard shortcuts and the sheet that explains them; nothing without JavaScript. Single keys can be in the
/// way of speech input, so they can be turned off (WCAG 2.1.4).
#[island]
pub fn Shortcuts() -> impl IntoView {
    let is_live = RwSignal::new(false);
    let are_on = RwSignal::new(true);
    Effect::new(move |_| {
        is_live.set(true);
        #[cfg(feature = "hydrate")]
        {
            are_on.set(keys::are_on());
            keys::listen(are_on.into());
        }
    });
    let toggle = move |event| {
        are_on.set(event_target_checked(&event));
        #[cfg(feature = "hydrate")]
        keys::remember(are_on.get_untracked());
    };
    let sheet = move || {
        view! {
            <Dialog
                id="shortcuts"
                button="Shortcuts"
                button_class="link-button"
                shortcut="?"
                heading="Keyboard shortcuts"
                dismiss="Close"
            >
                <dl class="keys">
                    {KEYS
                        .map(|(key, what)| {
                            view! {
                                <div>
                                    <dt>
                                        <kbd>{key}</kbd>
                                    </dt>
                                    <dd>{what}</dd>
                                </div>
                            }
                        })
                        .collect_view()}
                </dl>
                <label class="choice">
                    <input type="checkbox" prop:checked=are_on on:change=toggle />
                    "Use single-key shortcuts in this browser"
                </label>
            </Dialog>
        }
    };
    move || is_live.get().then(sheet)
}

#[cfg(feature = "hydrate")]
mod keys {
    use leptos::{
        ev::keydown,
        prelude::*,
        wasm_bindgen::JsCast,
        web_sys::{Element, HtmlElement, KeyboardEvent},
    };

    /// Where the browser remembers that they are off.
    const SETTING: &str = "batchline-shortcuts";

    pub fn are_on() -> bool {
        let setting = storage().and_then(|storage| storage.get_item(SETTING).ok().flatten());
        setting.as_deref() != Some("off")
    }

    pub fn remember(are_on: bool) {
        if let Some(storage) = storage() {
            // A full or forbidden storage forgets it with the page.
            let _ = storage.set_item(SETTING, if are_on { "on" } else { "off" });
        }
    }

    fn storage() -> Option<leptos::web_sys::Storage> {
        window().local_storage().ok().flatten()
    }

    pub fn listen(are_on: Signal<bool>) {
        let _ = window_event_listener(keydown, move |event| {
            if (are_on.get_untracked() || event.key() == "?") && is_free(&event) {
                press(&event);
            }
        });
    }

    /// Whether nothing else waits for the key: no field, no dialog, no shortcut of the browser.
    fn is_free(event: &KeyboardEvent) -> bool {
        let target = event.target().and_then(|to| to.dyn_into::<Element>().ok());
        let is_typed = target.is_some_and(|element| {
            matches!(element.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT")
        });
        let is_dialog_open = document()
            .query_selector("dialog[open]")
            .is_ok_and(|open| open.is_some());
        !(is_typed || is_dialog_open || event.ctrl_key() || event.meta_key() || event.alt_key())
    }

    /// Focuses or clicks the first element of the page that answers to the key.
    fn press(event: &KeyboardEvent) {
        // A quote or a backslash makes no selector, and is no shortcut either.
        let marked = format!("[aria-keyshortcuts='{}']", event.key());
        let element = document().query_selector(&marked).ok().flatten();
        let Some(element) = element.and_then(|element| element.dyn_into::<HtmlElement>().ok())
        else {
            return;
        };
        event.prevent_default();
        let is_field = element.tag_name() == "INPUT"
            && element.get_attribute("type").as_deref() != Some("file");
        if is_field {
            // Fails for nothing that can be met here.
            let _ = element.focus();
        } else {
            element.click();
        }
    }
}
