use leptos::{html, prelude::*, web_sys::MouseEvent};

use super::FormError;
use crate::AppError;

/// A button, and the question that is asked before what it says is done.
///
/// The browser opens and closes the dialog itself, JavaScript or not (the invoker commands of the
/// HTML standard). With JavaScript the click handlers do the same, for browsers that don't know them yet,
/// and spare the others their turn.
#[component]
pub fn Confirm(
    /// Of the dialog; unique in the page.
    id: &'static str,
    button: &'static str,
    question: &'static str,
    /// The button that leaves everything as it is.
    #[prop(default = "Cancel")]
    dismiss: &'static str,
    /// Why it could not be done. Shown beside the button, where it is seen without JavaScript too.
    #[prop(into)]
    error: Signal<Option<AppError>>,
    /// What will happen, and the form that does it.
    children: Children,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    let open = move |event: MouseEvent| {
        if let Some(dialog) = dialog.get_untracked() {
            // Fails only for a dialog that is in no document, or open already.
            let _ = dialog.show_modal();
            event.prevent_default();
        }
    };
    let close = move || {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    };
    Effect::new(move |_| {
        if error.with(|error| error.is_some()) {
            close();
        }
    });
    let heading = format!("{id}-question");
    view! {
        <FormError error />
        <button
            type="button"
            class="button button-quiet-danger"
            commandfor=id
            command="show-modal"
            on:click=open
        >
            {button}
        </button>
        <dialog id=id node_ref=dialog aria-labelledby=heading>
            <h2 id=heading.clone()>{question}</h2>
            {children()}
            <button
                type="button"
                class="button dialog-cancel"
                autofocus
                commandfor=id
                command="close"
                on:click=move |event: MouseEvent| {
                    close();
                    event.prevent_default();
                }
            >
                {dismiss}
            </button>
        </dialog>
    }
    .into_any()
}
