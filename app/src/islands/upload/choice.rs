use leptos::{ev, html, prelude::*, web_sys::DragEvent};
use web_sys::File;

use super::{check::FileCheck, queue::Queue};
use crate::{AppError, ErrorKind, components::some_text};

/// Returns the file in the input.
pub fn chosen_file(input: NodeRef<html::Input>) -> Option<File> {
    input.get_untracked()?.files()?.get(0)
}

/// Accepts a file that is chosen, or dropped anywhere in the window, and starts its check.
#[component]
pub fn FileField(
    input: NodeRef<html::Input>,
    check: FileCheck,
    queue: Queue,
    /// Whether only one file is accepted.
    is_one: bool,
    /// The error of the file or of its upload.
    error: RwSignal<Option<AppError>>,
    is_sending: Memo<bool>,
) -> impl IntoView {
    let is_over = RwSignal::new(false);
    let take = move || {
        let files = input.get_untracked().and_then(|input| input.files());
        queue.take(files.as_ref());
        match chosen_file(input).filter(|_| !queue.is_in_use()) {
            Some(file) => check.start(file),
            None => check.clear(),
        }
    };
    let choose = move || {
        error.set(None);
        take();
    };
    // The file may have been chosen before the page became live.
    Effect::new(move |_| {
        if input.get().is_some() {
            untrack(take);
        }
    });

    let over = move |event: DragEvent| {
        if carries_files(&event) && !is_sending.get_untracked() {
            is_over.set(true);
        }
    };
    let leave = move |event: DragEvent| {
        // There is no related target when the pointer leaves the window.
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
        let files = event.data_transfer().and_then(|data| data.files());
        if is_one && files.as_ref().is_some_and(|files| files.length() > 1) {
            let sentence = "A corrected version is one file: drop it alone.";
            error.set(Some(AppError::new(ErrorKind::Invalid, sentence)));
        } else if let (Some(files), Some(input)) = (files, input.get_untracked()) {
            input.set_files(Some(&files));
            choose();
        }
    };
    // The page prevents the browser from opening the file itself.
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
                {if is_one {
                    "Choose a CSV file or a workbook, or drop it anywhere here. "
                } else {
                    "Choose CSV files or workbooks, or drop them anywhere here. "
                }}
                "Each row needs an amount and a date. "
                <a href="/formats">"Supported formats"</a>
            </p>
        </div>
    }
}

fn carries_files(event: &DragEvent) -> bool {
    event
        .data_transfer()
        .is_some_and(|data| data.types().includes(&"Files".into(), 0))
}
