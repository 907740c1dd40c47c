use leptos::{html, prelude::*, web_sys::MouseEvent};

/// A button, and the dialog that it opens.
///
/// The browser opens and closes the dialog itself, JavaScript or not (the invoker commands of the
/// HTML standard). With JavaScript the click handlers do the same, for browsers that don't know them yet,
/// and spare the others their turn.
#[component]
pub fn Dialog(
    /// Of the dialog; unique in the page.
    id: &'static str,
    button: &'static str,
    button_class: &'static str,
    /// The key that presses the button.
    #[prop(optional)]
    shortcut: Option<&'static str>,
    heading: &'static str,
    /// The button that leaves everything as it is.
    dismiss: &'static str,
    /// Whether it is open from the start; then the rest of the page can be used too.
    #[prop(optional)]
    open: bool,
    /// Closes the dialog where it grows.
    #[prop(optional, into)]
    close: Signal<u32>,
    children: Children,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    let show = move |event: MouseEvent| {
        if let Some(dialog) = dialog.get_untracked() {
            // Fails only for a dialog that is in no document, or open already.
            let _ = dialog.show_modal();
            event.prevent_default();
        }
    };
    let shut = move || {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    };
    Effect::new(move |before: Option<u32>| {
        let now = close.get();
        if before.is_some_and(|before| before < now) {
            shut();
        }
        now
    });
    let heading_id = format!("{id}-heading");
    view! {
        <button
            type="button"
            class=button_class
            commandfor=id
            command="show-modal"
            aria-keyshortcuts=shortcut
            on:click=show
        >
            {button}
        </button>
        <dialog id=id open=open node_ref=dialog aria-labelledby=heading_id closedby="any">
            <h2 id=heading_id.clone()>{heading}</h2>
            {children()}
            <button
                type="button"
                class="button dialog-cancel"
                autofocus
                commandfor=id
                command="close"
                on:click=move |event: MouseEvent| {
                    shut();
                    event.prevent_default();
                }
            >
                {dismiss}
            </button>
        </dialog>
    }
    .into_any()
}
