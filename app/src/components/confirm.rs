use leptos::{oco::Oco, prelude::*};

use super::{Dialog, FormError, dialog};
use crate::AppError;

/// A button, and the question that is asked before what it says is done.
#[component]
pub fn Confirm<C: IntoView + 'static>(
    /// Of the dialog; unique in the page.
    #[prop(into)]
    id: Oco<'static, str>,
    button: &'static str,
    /// What the button is called where others on the page say the same.
    #[prop(optional)]
    label: Option<String>,
    #[prop(default = "button button-quiet-danger")] button_class: &'static str,
    question: &'static str,
    /// The button that leaves everything as it is.
    #[prop(default = "Cancel")]
    dismiss: &'static str,
    /// Whether the question is asked from the start.
    #[prop(optional)]
    open: bool,
    /// Why it could not be done. Shown beside the button, where it is seen without JavaScript too.
    #[prop(into)]
    error: Signal<Option<AppError>>,
    /// What will happen, and the form that does it.
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
