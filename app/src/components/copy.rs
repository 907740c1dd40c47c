use leptos::prelude::*;

/// A button that copies a text (`browser::copying`). Hidden without JavaScript.
#[component]
pub fn Copy(
    text: String,
    name: &'static str,
    /// What is copied, if the text of the button doesn't say it.
    #[prop(optional)]
    label: Option<&'static str>,
    /// Whether the text is a path on this site, to be copied as an absolute URL.
    #[prop(optional)]
    is_link: bool,
) -> impl IntoView {
    view! {
        <button
            type="button"
            class="button button-small scripted"
            data-copy=text
            data-link=is_link
            aria-label=label
        >
            {name}
        </button>
    }
}
