use leptos::{ev, html, prelude::*, web_sys::DragEvent};
use web_sys::{DataTransfer, File, FileList};

use super::check::FileCheck;
use crate::{AppError, ErrorKind, components::some_text};

/// The file that the input holds.
pub fn chosen_file(input: NodeRef<html::Input>) -> Option<File> {
    input.get_untracked()?.files()?.get(0)
}

/// Takes a file that is chosen, or dropped anywhere in the window, and begins its check.
#[component]
pub fn FileField(
    input: NodeRef<html::Input>,
    check: FileCheck,
    /// What is wrong with the file or with its upload.
    error: RwSignal<Option<AppError>>,
    is_sending: Memo<bool>,
) -> impl IntoView {
    let is_over = RwSignal::new(false);
    let choose = move || match chosen_file(input) {
        Some(file) => {
            error.set(None);
            check.start(file);
        }
        None => check.clear(),
    };
    // It may have been chosen before the page was taken over.
    Effect::new(move |_| {
        if let Some(file) = chosen_file(input) {
            check.start(file);
        }
    });

    let over = move |event: DragEvent| {
        if carries_files(&event) && !is_sending.get_untracked() {
            is_over.set(true);
        }
    };
    let leave = move |event: DragEvent| {
        // Nothing is entered where the window is left.
        if event.related_target().is_none() {
            is_over.set(false);
        }
    };
    let drop = move |event: DragEvent| {
        if !carries_files(&event) {
            return;
        }
        is_over.set(false);
        if is_sending.get_untracked() {
            return;
        }
        match dropped_file(&event) {
            Some(file) => {
                if let Some(input) = input.get_untracked() {
                    input.set_files(Some(&file));
                }
                choose();
            }
            None => error.set(Some(AppError::new(
                ErrorKind::Invalid,
                "Drop one file at a time.",
            ))),
        }
    };
    // The page keeps the browser from opening the file itself.
    Effect::new(move |_| {
        let listeners = [
            window_event_listener(ev::dragenter, over),
            window_event_listener(ev::dragleave, leave),
            window_event_listener(ev::drop, drop),
        ];
        on_cleanup(move || listeners.into_iter().for_each(WindowListenerHandle::remove));
    });
    let sentence = some_text(move || error.with(|error| Some(error.as_ref()?.message.clone())));
    view! {
        <div
            class="field drop"
            class:drop-over=is_over
        >
            <label for="file">"File"</label>
            <input
                id="file"
                type="file"
                name="file"
                accept=".csv,.tsv,.txt,.gz,.zip,.xlsx,.xlsb,.xls,.ods,text/csv,text/tab-separated-values,text/plain"
                aria-keyshortcuts="u"
                required
                node_ref=input
                disabled=is_sending
                aria-invalid=some_text(move || sentence.get().map(|_| "true"))
                aria-describedby="file-error file-hint"
                on:change=move |_| choose()
            />
            <p class="field-error" id="file-error" aria-live="polite">
                {sentence}
            </p>
            <p class="hint" id="file-hint">
                "Choose a CSV file or a workbook, or drop it here. Each row needs an amount and a date. "
                <a href="/formats">"What can be read"</a>
            </p>
        </div>
    }
}

fn carries_files(event: &DragEvent) -> bool {
    event
        .data_transfer()
        .is_some_and(|data| data.types().includes(&"Files".into(), 0))
}

/// In the form in which an input takes it; `None` unless it is one alone.
fn dropped_file(event: &DragEvent) -> Option<FileList> {
    let files = event.data_transfer()?.files()?;
    let file = files.get(0).filter(|_| files.length() == 1)?;
    let data = DataTransfer::new().ok()?;
    data.items().add_with_file(&file).ok()?;
    data.files()
}
