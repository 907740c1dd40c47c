use ::check::Failure;
use domain::{RowFilter, format as shown, results_filename};
use leptos::{html, prelude::*, web_sys::HtmlAnchorElement};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Blob;

use super::{
    check::{FileCheck, failure_sentence},
    choice::chosen_file,
    object_url::ObjectUrl,
    task::Task,
    web_worker::{self, CheckModule, Given},
};
use crate::components::{some_text, text};

/// A button that downloads rows with their verdicts, byte for byte as the page of the processed job will. The rows are
/// collected on demand by checking the file again.
#[component]
pub fn Download(
    input: NodeRef<html::Input>,
    filter: RowFilter,
    label: String,
    /// The name of the checked file.
    file_name: String,
) -> impl IntoView {
    let module = expect_context::<CheckModule>();
    let FileCheck {
        format,
        saved: formats,
        ..
    } = expect_context();
    let task = Task::new();
    // The progress in percent of the file. `None` while nothing is being collected.
    let progress = RwSignal::new(None::<f64>);
    let failure = RwSignal::new(None::<Failure>);
    // The browser may still be reading the previous one when the next one is created.
    let saved = StoredValue::new(None::<ObjectUrl>);
    // The name that the server gives to its downloads.
    let save_as = results_filename(&file_name, filter, "csv");

    let start = move |_| {
        let Some(file) = chosen_file(input).filter(|_| progress.get_untracked().is_none()) else {
            return;
        };
        progress.set(Some(0.0));
        failure.set(None);
        let (module, save_as) = (module.clone(), save_as.clone());
        let given = Given {
            format: format.get_untracked(),
            answers: String::new(),
            saved: formats.get_untracked(),
        };
        task.start(async move {
            let size = file.size();
            let result = web_worker::check(&module, &file, Some(filter), &given, |now| {
                progress.try_set(Some(now.bytes as f64 / size * 100.0));
            })
            .await;
            let result = result.and_then(|(_, rows)| {
                let url = rows.and_then(|rows| save(&rows, &save_as).ok());
                saved.try_set_value(Some(url.ok_or(Failure::Broken)?));
                Ok(())
            });
            failure.try_set(result.err());
            progress.try_set(None);
        });
    };
    let name = text(move || match progress.get() {
        Some(percent) => format!("Preparing… {}", shown::percent(percent)),
        None => label.clone(),
    });
    view! {
        <button
            class="button"
            type="button"
            aria-disabled=some_text(move || progress.get().map(|_| "true"))
            on:click=start
        >
            {name}
        </button>
        <p class="field-error" aria-live="polite">
            {some_text(move || failure.with(|failure| failure.as_ref().map(failure_sentence)))}
        </p>
    }
}

/// Passes `rows` to the browser as a download.
fn save(rows: &Blob, file_name: &str) -> Result<ObjectUrl, JsValue> {
    let url = ObjectUrl::new(rows)?;
    let link: HtmlAnchorElement = document().create_element("a")?.unchecked_into();
    link.set_href(url.as_str());
    link.set_download(file_name);
    link.click();
    Ok(url)
}
