use leptos::prelude::*;

/// The prefix of a page's title after a form with an error.
const ERROR: &str = "Error: ";

/// Returns the title of a document.
pub fn document_title(text: &str) -> String {
    format!("{text} · Batchline")
}

#[cfg(feature = "ssr")]
pub fn error_title(title: &str) -> String {
    format!("{ERROR}{title}")
}

/// Keeps the title of the document up to date. A title that reports an error stays until something changes.
pub fn follow_title(title: impl Fn() -> String + 'static) {
    Effect::new(move |before: Option<()>| {
        let title = document_title(&title());
        if before.is_some() || !document().title().starts_with(ERROR) {
            document().set_title(&title);
        }
    });
}
