use leptos::prelude::*;

/// The name of a file. Bidirectional text is isolated, and the extension stays at the end.
#[component]
pub fn FileName(name: String) -> impl IntoView {
    let end = name.rfind('.').unwrap_or(name.len());
    let (stem, extension) = name.split_at(end);
    view! {
        <bdi dir="ltr">
            <bdi>{stem.to_owned()}</bdi>
            {extension.to_owned()}
        </bdi>
    }
}
