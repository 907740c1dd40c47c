//! Choosing, checking and uploading files.

mod check;
mod choice;
mod download;
mod object_url;
mod queue;
mod report;
mod sending;
mod task;
mod web_worker;

use std::mem;

use domain::{JobId, UserId, format};
use leptos::{
    either::Either,
    ev, html,
    prelude::*,
    server_fn::ServerFn,
    web_sys::{FormData, HtmlFormElement, SubmitEvent},
};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsCast;

pub use self::web_worker::CheckModule;
#[cfg(feature = "hydrate")]
pub use self::web_worker::read_shown;
use self::{
    check::{CheckPanel, FileCheck},
    choice::{FileField, chosen_file},
    queue::{Queue, QueueList, Queued},
    sending::{Sent, send},
    task::Task,
};
use crate::{
    AppError, ErrorKind,
    api::UploadFile,
    components::{FileName, some_text, text},
};

/// The job for which a corrected version is uploaded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Corrected {
    pub job_id: JobId,
    pub filename: String,
}

/// Without JavaScript the browser posts the form. With it files are checked when they are chosen, and this island posts
/// the same form so that it can show the progress. A single file leads to the page of the new job. Several files are
/// sent one after the other.
///
/// This form is a quarter of the browser's code. With `split`, only pages with the form load it.
#[cfg_attr(feature = "split", island(lazy))]
#[cfg_attr(not(feature = "split"), island)]
pub fn UploadForm(
    user_id: UserId,
    /// The server refuses larger files, so they aren't sent.
    max_bytes: u64,
    /// The module that checks files in the browser.
    module: CheckModule,
    /// The names of the user's saved formats.
    formats: Vec<String>,
    corrects: Option<Corrected>,
    /// The error of an upload without JavaScript.
    posted: Option<AppError>,
) -> impl IntoView {
    let input = NodeRef::<html::Input>::new();
    let buttons = [NodeRef::<html::Button>::new(), NodeRef::new()];
    provide_context(module.clone());
    let saved_at = (!formats.is_empty()).then(|| format!("/api/users/{user_id}/formats"));
    let check = FileCheck::new(module.clone(), saved_at.clone());
    provide_context(check);
    let queue = Queue::new(module, saved_at);
    let error = RwSignal::new(posted);
    // `None` while nothing is being sent.
    let sent = RwSignal::new(None::<Sent>);
    let is_sending = Memo::new(move |_| sent.with(Option::is_some));
    let task = Task::new();
    // While something is being sent, the browser asks before it leaves the page.
    let guard = StoredValue::new(None::<WindowListenerHandle>);
    let set_guard = move |is_set: bool| {
        let set = || window_event_listener(ev::beforeunload, |event| event.prevent_default());
        let before = guard.try_update_value(|guard| mem::replace(guard, is_set.then(set)));
        if let Some(before) = before.flatten() {
            before.remove();
        }
    };
    Effect::new(move |_| set_guard(is_sending.get()));
    // Which button was pressed last. The first one also starts the job.
    let starts = RwSignal::new(true);

    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        if is_sending.get_untracked() {
            return;
        }
        let pressed = event.submitter();
        let pressed = pressed.and_then(|button| button.get_attribute("value"));
        starts.set(pressed.as_deref() != Some(ONLY));
        let form = event
            .target()
            .and_then(|target| target.dyn_into::<HtmlFormElement>().ok());
        let Some(form) = form else { return };
        let then = pressed.unwrap_or_default();
        let data = move |file: Option<&Queued>| {
            let data = FormData::new_with_form(&form).ok()?;
            if let Some(queued) = file {
                // Replaces all chosen files.
                queued.put_into(&data)?;
            }
            data.append_with_str("then", &then).ok()?;
            Some(data)
        };
        error.set(None);
        if queue.is_in_use() {
            sent.set(Some(Sent::default()));
            task.start(async move {
                queue.send(max_bytes, data).await;
                sent.try_set(None);
            });
            return;
        }
        let (Some(form), Some(file)) = (data(None), chosen_file(input)) else {
            return;
        };
        if let Some(too_large) = too_large(file.size() as u64, max_bytes) {
            error.set(Some(too_large));
            return;
        }
        sent.set(Some(Sent::default()));
        task.start(async move {
            let result = send(&form, &file, |now| {
                sent.try_set(Some(now));
            });
            match result.await {
                Ok(id) => {
                    set_guard(false);
                    // Fails only where a document must not navigate itself. Nothing can be done then.
                    let _ = window().location().set_href(&format!("/jobs/{id}"));
                }
                Err(failed) => {
                    error.try_set(Some(failed));
                    sent.try_set(None);
                }
            }
        });
    };
    let cancel = move |_| {
        task.stop();
        sent.set(None);
        queue.stop();
        let [start, only] = buttons;
        let pressed = if starts.get_untracked() { start } else { only };
        if let Some(button) = pressed.get_untracked() {
            // The button that had the focus is gone.
            let _ = button.focus();
        }
    };
    let name = move |is_start: bool, name: &'static str| {
        text(move || {
            let is_worth_another_try = error
                .with(|error| matches!(error, Some(error) if error.kind == ErrorKind::Unavailable));
            match is_worth_another_try && starts.get() == is_start {
                true => "Try again",
                false => name,
            }
        })
    };
    let is_one = corrects.is_some();
    let heading = match &corrects {
        Some(corrected) => Either::Left(view! {
            "Upload a corrected version of "
            <FileName name=corrected.filename.clone() />
        }),
        None => Either::Right("Upload files"),
    };
    let corrects = corrects.map(|corrected| {
        view! {
            <input type="hidden" name="corrects" value=corrected.job_id.to_string() />
            <p>
                // It leads to another form, so the page must be loaded again.
                <a href=format!("/users/{user_id}#upload") target="_self">
                    "Upload another file instead"
                </a>
            </p>
        }
    });
    view! {
        <section class="panel upload" aria-labelledby="upload">
            <h2 id="upload">{heading}</h2>
            <form
                id=FORM
                method="post"
                action=UploadFile::PATH
                enctype="multipart/form-data"
                on:submit=submit
            >
                <input type="hidden" name="user_id" value=user_id.to_string() />
                {corrects}
                <input type="hidden" name="format" value=text(move || check.format.get()) />
                <FormatField names=formats check input />
                <FileField input check queue is_one error is_sending />
            </form>
            // Placed before the report, which may grow while a button is about to be pressed, and visible as long as
            // the report is.
            <div class="upload-bar">
                <div class="controls">
                    <button
                        class="button button-primary"
                        form=FORM
                        name="then"
                        value="start"
                        node_ref=buttons[0]
                        aria-disabled=some_text(move || is_sending.get().then_some("true"))
                    >
                        {name(true, "Upload and start")}
                    </button>
                    <button
                        class="button"
                        form=FORM
                        name="then"
                        value=ONLY
                        node_ref=buttons[1]
                        aria-disabled=some_text(move || is_sending.get().then_some("true"))
                    >
                        {name(false, "Upload only")}
                    </button>
                    {move || {
                        is_sending
                            .get()
                            .then(|| {
                                view! {
                                    <button class="button" type="button" on:click=cancel>
                                        "Cancel upload"
                                    </button>
                                }
                            })
                    }}
                </div>
                {move || {
                    (is_sending.get() && !queue.is_in_use())
                        .then(|| view! { <SendingProgress sent /> })
                }}
            </div>
            <CheckPanel check input />
            <QueueList queue />
        </section>
    }
}

/// The id of the form. Its buttons are elsewhere.
const FORM: &str = "upload-form";

/// The value of the button that only uploads.
const ONLY: &str = "nothing";

/// Returns the error of a file that is too large to be sent.
fn too_large(bytes: u64, max_bytes: u64) -> Option<AppError> {
    let sentence = format!(
        "The file has {}. Files may have at most {}.",
        format::bytes(bytes),
        format::bytes(max_bytes)
    );
    (bytes > max_bytes).then(|| AppError::new(ErrorKind::TooLarge, sentence))
}

/// Selects a saved format by name. It precedes the file in the form.
#[component]
fn FormatField(names: Vec<String>, check: FileCheck, input: NodeRef<html::Input>) -> impl IntoView {
    let choose = move |event| check.choose(event_target_value(&event), chosen_file(input));
    let options = |names: Vec<String>| {
        let option = |name: String| view! { <option value=name.clone()>{name.clone()}</option> };
        names.into_iter().map(option).collect_view()
    };
    (!names.is_empty()).then(|| {
        view! {
            <div class="field">
                <label for="format-name">"Saved format"</label>
                <select id="format-name" name="format_name" on:change=choose>
                    <option value="">"By the file's header"</option>
                    {options(names)}
                </select>
            </div>
        }
    })
}

#[component]
fn SendingProgress(sent: RwSignal<Option<Sent>>) -> impl IntoView {
    let sent = move || sent.get().unwrap_or_default();
    let percent = Memo::new(move |_| sent().percent());
    let pace = text(move || {
        let sent = sent();
        if sent.is_complete() {
            return "Storing the file…".to_owned();
        }
        let [bytes, total] = [sent.bytes, sent.total].map(format::bytes);
        format!("{bytes} of {total}")
    });
    view! {
        <div class="sending">
            <div class="progress">
                <progress
                    max="100"
                    value=text(move || format::short(percent.get()))
                    aria-label="Sent part of the file"
                ></progress>
                <span class="progress-percent">{text(move || format::percent(percent.get()))}</span>
            </div>
            <p class="pace">{pace}</p>
        </div>
    }
}
