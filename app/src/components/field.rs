use leptos::prelude::*;

use crate::AppError;

/// A text field with its label and its error.
#[cfg(feature = "ssr")]
#[component]
pub fn TextField<'a>(
    /// The id, unique on the page.
    id: &'static str,
    /// The name of the form field, which errors refer to.
    name: &'static str,
    label: &'static str,
    #[prop(default = "text")] kind: &'static str,
    autocomplete: &'static str,
    maxlength: usize,
    /// The initial value. After an error, the typed value replaces it.
    #[prop(optional, into)]
    value: String,
    error: Option<&'a AppError>,
) -> impl IntoView + use<> {
    let error_id = format!("{id}-error");
    let sentence = error.and_then(|error| error.field(name));
    let described_by = sentence.is_some().then(|| error_id.clone());
    let value = error.and_then(|error| error.typed(name)).unwrap_or(value);
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <input
                id=id
                name=name
                type=kind
                dir="auto"
                value=value
                required
                maxlength=maxlength.to_string()
                autocomplete=autocomplete
                // After an error this is a new page. Focusing the field makes screen readers announce the error.
                autofocus=sentence.is_some()
                aria-invalid=sentence.is_some().then_some("true")
                aria-describedby=described_by
            />
            <p class="field-error" id=error_id>
                {sentence}
            </p>
        </div>
    }
}

/// A password field. Accepts any length, typed or pasted, and is never filled in again.
#[cfg(feature = "ssr")]
#[component]
pub fn PasswordField<'a>(
    /// The id, unique on the page.
    id: &'static str,
    /// The name of the form field, which errors refer to.
    name: &'static str,
    label: &'static str,
    autocomplete: &'static str,
    /// What a good password is like.
    #[prop(optional, into)]
    hint: Option<String>,
    error: Option<&'a AppError>,
) -> impl IntoView + use<> {
    let (error_id, hint_id) = (format!("{id}-error"), format!("{id}-hint"));
    let sentence = error.and_then(|error| error.field(name));
    let described_by: Vec<String> = [
        sentence.is_some().then(|| error_id.clone()),
        hint.is_some().then(|| hint_id.clone()),
    ]
    .into_iter()
    .flatten()
    .collect();
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <input
                id=id
                name=name
                type="password"
                required
                autocomplete=autocomplete
                autofocus=sentence.is_some()
                aria-invalid=sentence.is_some().then_some("true")
                aria-describedby=(!described_by.is_empty()).then(|| described_by.join(" "))
            />
            <p class="field-error" id=error_id>
                {sentence}
            </p>
            {hint.map(|hint| view! { <p class="hint" id=hint_id>{hint}</p> })}
        </div>
    }
}

/// The error of a form as a whole, if it isn't about a field.
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
}
