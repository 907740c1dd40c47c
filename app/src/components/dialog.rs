use leptos::{oco::Oco, prelude::*, web_sys::HtmlDialogElement};
use wasm_bindgen::JsCast;

/// A button and the dialog that it opens. The browser opens and closes it by the invoker commands of the HTML standard,
/// with or without JavaScript.
#[component]
pub fn Dialog<C: IntoView + 'static>(
    /// The id of the dialog, unique on the page.
    #[prop(into)]
    id: Oco<'static, str>,
    button: &'static str,
    /// The accessible name of the button, if others on the page have the same text.
    #[prop(optional_no_strip)]
    label: Option<String>,
    button_class: &'static str,
    /// The key that presses the button.
    #[prop(optional)]
    shortcut: Option<&'static str>,
    heading: &'static str,
    /// The text of the button that changes nothing.
    dismiss: &'static str,
    /// Whether it is initially open. If so, the rest of the page is usable, too.
    #[prop(optional)]
    open: bool,
    children: TypedChildren<C>,
) -> impl IntoView {
    let heading_id = format!("{id}-heading");
    view! {
        <button
            type="button"
            class=button_class
            commandfor=id.clone()
            command="show-modal"
            aria-label=label
            aria-keyshortcuts=shortcut
        >
            {button}
        </button>
        <dialog id=id.clone() open=open aria-labelledby=heading_id closedby="any">
            <h2 id=heading_id.clone()>{heading}</h2>
            {children.into_inner()()}
            <button
                type="button"
                class="button dialog-cancel"
                autofocus
                commandfor=id.clone()
                command="close"
            >
                {dismiss}
            </button>
        </dialog>
    }
}

/// Closes the dialog with this id in the browser, if it exists.
pub fn close(id: &str) {
    let dialog = document().get_element_by_id(id);
    if let Some(dialog) = dialog.and_then(|found| found.dyn_into::<HtmlDialogElement>().ok()) {
        dialog.close();
    }
}
