use leptos::prelude::*;

/// Returns a text that changes. All such texts have the same type, so the browser loads the code to show them only
/// once.
pub fn text<T: Into<String>>(made: impl Fn() -> T + Send + Sync + 'static) -> Signal<String> {
    Signal::derive(move || made().into())
}

/// Like [`text`], for a text that may be absent.
pub fn some_text<T: Into<String>>(
    made: impl Fn() -> Option<T> + Send + Sync + 'static,
) -> Signal<Option<String>> {
    Signal::derive(move || made().map(Into::into))
}
