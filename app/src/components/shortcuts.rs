use leptos::prelude::*;

use super::Dialog;

/// The keyboard shortcuts. Each page assigns keys by `aria-keyshortcuts`. An entry has the key whose presence on the
/// page decides whether it is shown, the keys as displayed, and their effect.
const KEYS: [(&str, &str, &str); 12] = [
    ("?", "?", "This help"),
    ("Control+K", "Ctrl K", "Find jobs, users and commands"),
    ("h", "h", "All jobs"),
    ("b", "b", "One level up"),
    ("u", "u", "Choose a file to upload"),
    ("s", "s", "Start, pause or resume the processing"),
    ("/", "/", "Search"),
    ("g", "g", "Go to a row"),
    ("1", "1 – 4", "All, valid, invalid, suspicious rows"),
    ("j", "j k", "Go through the rows; Enter opens one"),
    ("[", "[", "Previous page"),
    ("]", "]", "Next page"),
];

/// The commands that can be found by name, and their keys.
pub const COMMANDS: [(&str, &str); 12] = [
    ("s", "Start, pause or resume the processing"),
    ("u", "Choose a file to upload"),
    ("/", "Search"),
    ("g", "Go to a row"),
    ("1", "Show all rows"),
    ("2", "Show valid rows"),
    ("3", "Show invalid rows"),
    ("4", "Show suspicious rows"),
    ("[", "Previous page"),
    ("]", "Next page"),
    ("b", "One level up"),
    ("?", "Keyboard shortcuts"),
];

/// The list of keyboard shortcuts. In the browser it shows those of the page (`browser::keys`). Single keys can
/// interfere with speech input, so they can be turned off (WCAG 2.1.4).
#[component]
pub fn Shortcuts() -> impl IntoView {
    let key = |(key, shown, what): (&'static str, &'static str, &'static str)| {
        view! {
            <div data-key=key>
                <dt>
                    <kbd>{shown}</kbd>
                </dt>
                <dd>{what}</dd>
            </div>
        }
    };
    view! {
        <Dialog
            id="shortcuts"
            button="Shortcuts"
            button_class="link-button when-live"
            shortcut="?"
            heading="Keyboard shortcuts"
            dismiss="Close"
        >
            <dl class="keys">{KEYS.map(key)}</dl>
            <label class="choice">
                <input type="checkbox" id="single-keys" checked=true />
                "Use single-key shortcuts in this browser"
            </label>
        </Dialog>
    }
}
