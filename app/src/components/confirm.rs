use leptos::prelude::*;

use super::{Dialog, FormError};
use crate::AppError;

/// A button, and the question that is asked before what it says is done.
#[component]
pub fn Confirm(
    /// Of the dialog; unique in the page.
    id: &'static str,
    button: &'static str,
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
    children: Children,
) -> impl IntoView {
    let failures = Memo::new(move |before: Option<&u32>| {
        let failures = before.copied().unwrap_or(0);
        failures + u32::from(error.with(|error| error.is_some()))
    });
    view! {
        <FormError error />
        <Dialog
            id
            button
            button_class
            open
            heading=question
            dismiss
            close=failures
            children
        />
    }
    .into_any()
}
