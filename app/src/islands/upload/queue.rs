//! Several files that are chosen together. They are checked and sent one after the other, each with its own progress
//! bar.

use domain::{JobId, format};
use leptos::{either::EitherOf3, prelude::*};
use web_sys::{File, FileList, FormData};

use super::{
    check::FileCheck,
    sending::{Sent, send},
    too_large,
    web_worker::CheckModule,
};
use crate::{
    AppError,
    components::{FileName, some_text, text},
};

#[derive(Clone, Copy)]
pub struct Queue {
    files: RwSignal<Vec<Queued>>,
    /// The number of the next file. Numbers aren't reused.
    next_number: StoredValue<u32>,
    is_sending: RwSignal<bool>,
    module: StoredValue<CheckModule>,
    /// The address of the user's saved formats, if there are any.
    saved_at: StoredValue<Option<String>>,
}

/// A file in the queue.
#[derive(Clone, Copy)]
pub struct Queued {
    number: u32,
    file: StoredValue<File, LocalStorage>,
    check: FileCheck,
    sent: RwSignal<Option<Sent>>,
    outcome: RwSignal<Option<Result<JobId, AppError>>>,
}

impl Queued {
    /// Puts the file and its format into the form.
    pub fn put_into(&self, form: &FormData) -> Option<()> {
        let file = self.file.get_value();
        form.set_with_blob_and_filename("file", &file, &file.name())
            .ok()?;
        form.set_with_str("format", &self.check.format.get_untracked())
            .ok()
    }
}

impl Queue {
    pub fn new(module: CheckModule, saved_at: Option<String>) -> Self {
        let queue = Self {
            files: RwSignal::new(Vec::new()),
            next_number: StoredValue::new(0),
            is_sending: RwSignal::new(false),
            module: StoredValue::new(module),
            saved_at: StoredValue::new(saved_at),
        };
        // One check at a time, because each takes a core, and none while files are being sent.
        Effect::new(move |_| {
            let files = queue.files.get();
            let is_running = files.iter().any(|queued| queued.check.is_running());
            let next = files.iter().find(|queued| queued.check.is_idle());
            if let Some(next) = next.filter(|_| !is_running && !queue.is_sending.get()) {
                next.check.start(next.file.get_value());
            }
        });
        queue
    }

    /// Replaces the queue by several files. A single file empties it.
    pub fn take(self, files: Option<&FileList>) {
        self.stop_checks();
        let count = files.map_or(0, FileList::length);
        let first = self.next_number.get_value();
        self.next_number.set_value(first + count);
        let files = (0..count).filter_map(|at| Some((first + at, files?.get(at)?)));
        let files: Vec<Queued> = files
            .filter(|_| count > 1)
            .map(|(number, file)| Queued {
                number,
                file: StoredValue::new_local(file),
                check: FileCheck::new(self.module.get_value(), self.saved_at.get_value()),
                sent: RwSignal::new(None),
                outcome: RwSignal::new(None),
            })
            .collect();
        self.files.set(files);
    }

    pub fn is_in_use(self) -> bool {
        self.files.with(|files| !files.is_empty())
    }

    /// Sends the files that haven't been sent.
    pub async fn send(self, max_bytes: u64, form: impl Fn(Option<&Queued>) -> Option<FormData>) {
        self.is_sending.set(true);
        self.stop_checks();
        for queued in self.files.get_untracked() {
            if matches!(queued.outcome.get_untracked(), Some(Ok(_))) {
                continue;
            }
            let file = queued.file.get_value();
            let result = match (
                too_large(file.size() as u64, max_bytes),
                form(Some(&queued)),
            ) {
                (Some(error), _) => Err(error),
                (None, None) => Err(AppError::internal()),
                (None, Some(form)) => {
                    queued.sent.set(Some(Sent::default()));
                    let on_progress = |now| {
                        queued.sent.try_set(Some(now));
                    };
                    send(&form, &file, on_progress).await
                }
            };
            queued.sent.try_set(None);
            queued.outcome.try_set(Some(result));
        }
        self.is_sending.try_set(false);
    }

    /// Records that nothing is being sent.
    pub fn stop(self) {
        self.is_sending.set(false);
        self.files.with_untracked(|files| {
            for queued in files {
                queued.sent.set(None);
            }
        });
    }

    fn stop_checks(self) {
        self.files.with_untracked(|files| {
            for queued in files.iter().filter(|queued| queued.check.is_running()) {
                queued.check.stop();
            }
        });
    }
}

#[component]
pub fn QueueList(queue: Queue) -> impl IntoView {
    let list = move || {
        view! {
            <ul class="queue" aria-label="Chosen files">
                <For each=move || queue.files.get() key=|queued| queued.number let(queued)>
                    <Item queued is_sending=queue.is_sending />
                </For>
            </ul>
        }
    };
    let is_in_use = Memo::new(move |_| queue.is_in_use());
    move || is_in_use.get().then(list)
}

#[component]
fn Item(queued: Queued, is_sending: RwSignal<bool>) -> impl IntoView {
    let Queued {
        file,
        check,
        sent,
        outcome,
        ..
    } = queued;
    let (name, bytes) = file.with_value(|file| (file.name(), file.size() as u64));
    let label = name.clone();
    let percent = Memo::new(move |_| match (outcome.get(), sent.get()) {
        (Some(Ok(_)), _) => 100.0,
        (_, Some(sent)) => sent.percent(),
        _ => check.percent(bytes),
    });
    let state = move || match (outcome.get(), sent.get()) {
        (Some(Ok(id)), _) => {
            // Leaving the page would end the uploads.
            let target = some_text(move || is_sending.get().then_some("_blank"));
            EitherOf3::A(view! {
                "Uploaded. "
                <a href=format!("/jobs/{id}") target=target>
                    "Open the job"
                </a>
            })
        }
        (Some(Err(error)), None) => {
            EitherOf3::B(view! { <span class="cell-error">{error.message}</span> })
        }
        (_, Some(sent)) => EitherOf3::C(format!(
            "Uploading: {} of {}",
            format::bytes(sent.bytes),
            format::bytes(sent.total)
        )),
        (None, None) => EitherOf3::C(check.state()),
    };
    view! {
        <li>
            <p class="queue-name">
                <FileName name /> " " <span class="tally">{format::bytes(bytes)}</span>
            </p>
            <progress max="100" value=text(move || format::short(percent.get())) aria-label=label></progress>
            <p class="pace">{state}</p>
        </li>
    }
}
