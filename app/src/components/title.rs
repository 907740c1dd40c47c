use leptos::prelude::*;

/// What the title of a page begins with that says what is wrong with a form.
const ERROR: &str = "Error: ";

/// The title of a document.
pub fn document_title(text: &str) -> String {
    format!("{text} · Batchline")
}

#[cfg(feature = "ssr")]
pub fn error_title(title: &str) -> String {
    format!("{ERROR}{title}")
}

/// Keeps the title of the document up to date. One that says that something is wrong stays until there is news.
pub fn follow_title(title: impl Fn() -> String + 'static) {
    Effect::new(move |before: Option<()>| {
        let title = document_title(&title());
        if before.is_some() || !document().title().starts_with(ERROR) {
            document().set_title(&title);
        }
    });
}
