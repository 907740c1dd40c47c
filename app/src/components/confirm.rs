use leptos::{oco::Oco, prelude::*};

use super::{Dialog, FormError, dialog};
use crate::AppError;

/// A button that asks a question before its action.
#[component]
pub fn Confirm<C: IntoView + 'static>(
    /// The id of the dialog, unique on the page.
    #[prop(into)]
    id: Oco<'static, str>,
    button: &'static str,
    /// The accessible name of the button, if others on the page have the same text.
    #[prop(optional)]
    label: Option<String>,
    #[prop(default = "button button-quiet-danger")] button_class: &'static str,
    question: &'static str,
    /// The text of the button that changes nothing.
    #[prop(default = "Cancel")]
    dismiss: &'static str,
    /// Whether the dialog is initially open.
    #[prop(optional)]
    open: bool,
    /// Why the action failed. Shown next to the button, where it is visible without JavaScript, too.
    #[prop(into)]
    error: Signal<Option<AppError>>,
    /// The consequences, and the form that performs the action.
    children: TypedChildren<C>,
) -> impl IntoView {
    let dialog = id.clone();
    Effect::new(move |before: Option<()>| {
        if error.with(|error| error.is_some()) && before.is_some() {
            dialog::close(&dialog);
        }
    });
    view! {
        <FormError error />
        <Dialog id button label button_class open heading=question dismiss children />
    }
}
