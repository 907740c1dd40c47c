use leptos::prelude::*;
use leptos_meta::Title;

/// The title of a page that changes with its state.
///
/// On the server it is made into text at once. leptos_meta asks for it when the page is rendered, maybe
/// on another thread, and there is no arena there from which a signal could be read: that panics.
#[component]
pub fn StateTitle(text: impl Fn() -> String + Send + Sync + 'static) -> impl IntoView {
    #[cfg(feature = "ssr")]
    let text = untrack(text);
    view! { <Title text /> }
}
