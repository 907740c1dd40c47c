use leptos::prelude::*;

use crate::AppError;

/// A text field with its label, and beside it what is wrong with its value.
#[component]
pub fn TextField(
    /// Unique in the page.
    id: &'static str,
    /// Of the form field; errors name it.
    name: &'static str,
    label: &'static str,
    #[prop(default = "text")] kind: &'static str,
    autocomplete: &'static str,
    maxlength: usize,
    /// What stands in it at first, unless an error brings back what was typed.
    #[prop(optional, into)]
    value: Signal<String>,
    #[prop(into)] error: Signal<Option<AppError>>,
) -> impl IntoView {
    let error_id = format!("{id}-error");
    let sentence = move || error.with(|error| error.as_ref()?.field(name));
    let described_by = {
        let error_id = error_id.clone();
        move || sentence().map(|_| error_id.clone())
    };
    let initial = move || {
        error
            .with(|error| error.as_ref()?.typed(name))
            .unwrap_or_else(|| value.get())
    };
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <input
                id=id
                name=name
                type=kind
                value=initial
                required
                maxlength=maxlength.to_string()
                autocomplete=autocomplete
                aria-invalid=move || sentence().map(|_| "true")
                aria-describedby=described_by
            />
            <p class="field-error" id=error_id aria-live="polite">
                {sentence}
            </p>
        </div>
    }
    .into_any()
}

/// What is wrong with a form as a whole, when it is about no field.
#[component]
pub fn FormError(#[prop(into)] error: Signal<Option<AppError>>) -> impl IntoView {
    view! {
        <div role="alert">
            {move || {
                let sentence = error.with(|error| error.as_ref()?.form())?;
                Some(view! { <p class="notice notice-bad">{sentence}</p> })
            }}
        </div>
    }
    .into_any()
}
