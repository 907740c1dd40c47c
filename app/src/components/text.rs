use leptos::prelude::*;

/// A text that changes. It has the same type whatever it is made from, so that the browser loads the code that shows
/// such texts once and not once for each.
pub fn text<T: Into<String>>(made: impl Fn() -> T + Send + Sync + 'static) -> Signal<String> {
    Signal::derive(move || made().into())
}

/// Like [`text`], where there may be none.
pub fn some_text<T: Into<String>>(
    made: impl Fn() -> Option<T> + Send + Sync + 'static,
) -> Signal<Option<String>> {
    Signal::derive(move || made().map(Into::into))
}
