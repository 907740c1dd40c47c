//! Choosing a file, its check in the browser, and its upload.

mod check;
mod choice;
mod download;
mod object_url;
mod report;
mod sending;
mod task;
mod thread;

use domain::{UserId, format};
use leptos::{
    html,
    prelude::*,
    server_fn::ServerFn,
    web_sys::{FormData, HtmlFormElement, SubmitEvent},
};
use wasm_bindgen::JsCast;

pub use self::thread::CheckModule;
#[cfg(feature = "hydrate")]
pub use self::thread::read_shown;
use self::{
    check::{CheckPanel, FileCheck},
    choice::{FileField, chosen_file},
    sending::{Sent, send},
    task::Task,
};
use crate::{
    AppError, ErrorKind,
    api::UploadFile,
    components::{some_text, text},
};

/// Without JavaScript the browser posts the form; with it the file is checked when it is chosen, and the
/// same form is sent from here, which can show how far that is. Both end on the page of the new job.
#[island]
pub fn UploadForm(
    user_id: UserId,
    /// The server refuses larger files; so they are not sent.
    max_bytes: u64,
    /// What checks a file in the browser.
    module: CheckModule,
    /// Names of the user's saved formats.
    formats: Vec<String>,
    /// Of an upload without JavaScript.
    posted: Option<AppError>,
) -> impl IntoView {
    let input = NodeRef::<html::Input>::new();
    let button = NodeRef::<html::Button>::new();
    provide_context(module.clone());
    let saved_at = (!formats.is_empty()).then(|| format!("/api/users/{user_id}/formats"));
    let check = FileCheck::new(module, saved_at);
    provide_context(check);
    let error = RwSignal::new(posted);
    // `None` while nothing is being sent.
    let sent = RwSignal::new(None::<Sent>);
    let is_sending = Memo::new(move |_| sent.with(Option::is_some));
    let task = Task::new();

    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        if is_sending.get_untracked() {
            return;
        }
        let form = event
            .target()
            .and_then(|target| target.dyn_into::<HtmlFormElement>().ok())
            .and_then(|form| FormData::new_with_form(&form).ok());
        let (Some(form), Some(file)) = (form, chosen_file(input)) else {
            return;
        };
        if file.size() as u64 > max_bytes {
            let sentence = format!(
                "The file has {}. Files may have at most {}.",
                format::bytes(file.size() as u64),
                format::bytes(max_bytes)
            );
            error.set(Some(AppError::new(ErrorKind::TooLarge, sentence)));
            return;
        }
        error.set(None);
        sent.set(Some(Sent::default()));
        task.start(async move {
            let result = send(&form, &file, |now| {
                sent.try_set(Some(now));
            });
            match result.await {
                // Fails only where a document must not navigate itself; then there is nothing else to do.
                Ok(id) => drop(window().location().set_href(&format!("/jobs/{id}"))),
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
        if let Some(button) = button.get_untracked() {
            // The button that had the focus is gone.
            let _ = button.focus();
        }
    };
    let name = text(move || {
        let is_worth_another_try = error
            .with(|error| matches!(error, Some(error) if error.kind == ErrorKind::Unavailable));
        match is_worth_another_try {
            true => "Try again",
            false => "Upload",
        }
    });
    view! {
        <section class="panel upload" aria-labelledby="upload">
            <h2 id="upload">"Upload a file"</h2>
            <form
                method="post"
                action=UploadFile::PATH
                enctype="multipart/form-data"
                on:submit=submit
            >
                <input type="hidden" name="user_id" value=user_id.to_string() />
                <input type="hidden" name="format" value=text(move || check.format.get()) />
                <FormatField names=formats check input />
                <FileField input check error is_sending />
                <div class="controls">
                    <button
                        class="button button-primary"
                        node_ref=button
                        aria-disabled=some_text(move || is_sending.get().then_some("true"))
                    >
                        {name}
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
                {move || is_sending.get().then(|| view! { <SendingProgress sent /> })}
            </form>
            <CheckPanel check input />
        </section>
    }
}

/// Chooses a saved format by its name. It comes before the file in the form.
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
        let Sent { bytes, total } = sent();
        if total > 0 && bytes >= total {
            return "Storing the file…".to_owned();
        }
        format!("{} of {}", format::bytes(bytes), format::bytes(total))
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
