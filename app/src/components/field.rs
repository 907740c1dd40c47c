use leptos::prelude::*;

use crate::AppError;

/// A text field with its label, and beside it what is wrong with its value.
#[cfg(feature = "ssr")]
#[component]
pub fn TextField<'a>(
    /// Unique in the page.
    id: &'static str,
    /// Of the form field; errors name it.
    name: &'static str,
    label: &'static str,
    #[prop(default = "text")] kind: &'static str,
    autocomplete: &'static str,
    maxlength: usize,
    /// What stands in it, unless an error brings back what was typed.
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
                // The page is a new one: what is wrong in it is read out, and typed over, from here.
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

/// A field for a password, which takes one of any length as it is typed or pasted. It never comes back filled in.
#[cfg(feature = "ssr")]
#[component]
pub fn PasswordField<'a>(
    /// Unique in the page.
    id: &'static str,
    /// Of the form field; errors name it.
    name: &'static str,
    label: &'static str,
    autocomplete: &'static str,
    /// What a good one is like.
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
}
