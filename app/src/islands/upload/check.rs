use ::check::{Failure, MAX_KEPT_BYTES, Progress, Report};
use domain::format;
use leptos::{either::Either, html, prelude::*, web_sys::SubmitEvent};
use web_sys::File;

use super::{
    choice::chosen_file,
    report::ReportView,
    task::Task,
    web_worker::{self, CheckModule, Given, SavedFormats},
};
use crate::{
    components::{FileName, some_text, text},
    request::{query_of, text_at},
};

/// The check of the chosen file. There is only one at a time: a new check ends the previous one.
#[derive(Clone, Copy)]
pub struct FileCheck {
    chosen: RwSignal<Option<Chosen>>,
    progress: RwSignal<Progress>,
    /// `None` while it runs.
    end: RwSignal<Option<End>>,
    /// The format given for the file so far, as JSON.
    pub format: RwSignal<String>,
    /// The address of the user's saved formats, if there are any.
    saved_at: StoredValue<Option<String>>,
    pub saved: RwSignal<SavedFormats>,
    task: Task,
    module: StoredValue<CheckModule>,
}

#[derive(Clone, PartialEq)]
struct Chosen {
    name: String,
    bytes: u64,
}

#[derive(Clone, PartialEq)]
enum End {
    Done(Report),
    Failed(Failure),
    Stopped,
}

impl FileCheck {
    pub fn new(module: CheckModule, saved_at: Option<String>) -> Self {
        Self {
            chosen: RwSignal::new(None),
            progress: RwSignal::new(Progress::default()),
            end: RwSignal::new(None),
            format: RwSignal::new(String::new()),
            saved_at: StoredValue::new(saved_at),
            saved: RwSignal::new(SavedFormats::default()),
            task: Task::new(),
            module: StoredValue::new(module),
        }
    }

    /// Checks another file.
    pub fn start(self, file: File) {
        self.format.set(String::new());
        self.check(file, String::new());
    }

    /// Checks the file under the saved format with this name, or by its header if the name is empty.
    pub fn choose(self, name: String, file: Option<File>) {
        self.saved.update(|saved| saved.chosen = name);
        if let Some(file) = file {
            self.check(file, String::new());
        }
    }

    /// Checks the file, possibly again, under the given format and these answers.
    fn check(self, file: File, answers: String) {
        self.chosen.set(Some(Chosen {
            name: file.name(),
            bytes: file.size() as u64,
        }));
        self.progress.set(Progress::default());
        self.end.set(None);
        self.task.start(async move {
            let module = self.module.get_value();
            if let Some(address) = self.saved_at.get_value()
                && let Some(list) = text_at(&address).await
            {
                self.saved.try_update(|saved| saved.list = list);
            }
            let given = Given {
                format: self.format.get_untracked(),
                answers,
                saved: self.saved.get_untracked(),
            };
            let result = web_worker::check(&module, &file, None, &given, |progress| {
                self.progress.try_set(progress);
            })
            .await;
            let end = match result {
                Ok((report, _)) => {
                    self.progress.try_set(report.progress);
                    self.format.try_set(report.format.clone());
                    End::Done(report)
                }
                Err(failure) => {
                    if let Failure::Asked(asked) = &failure {
                        self.format.try_set(asked.format.clone());
                    }
                    End::Failed(failure)
                }
            };
            self.end.try_set(Some(end));
        });
    }

    pub fn is_idle(self) -> bool {
        self.chosen.with(Option::is_none)
    }

    pub fn is_running(self) -> bool {
        !self.is_idle() && self.end.with(Option::is_none)
    }

    /// Returns which percentage of a file of this size is checked.
    pub fn percent(self, bytes: u64) -> f64 {
        match (self.is_idle(), bytes) {
            (true, _) => 0.0,
            (false, 0) => 100.0,
            (false, bytes) => self.progress.get().bytes as f64 / bytes as f64 * 100.0,
        }
    }

    /// Returns the state in a sentence.
    pub fn state(self) -> String {
        match self.end.with(|end| end.as_ref().map(sentence)) {
            Some(sentence) => sentence,
            None if self.is_idle() => "Waiting for its check".to_owned(),
            None => "Checking…".to_owned(),
        }
    }

    pub fn stop(self) {
        self.task.stop();
        self.end.set(Some(End::Stopped));
    }

    /// Resets the check when no file is chosen.
    pub fn clear(self) {
        self.task.stop();
        self.format.set(String::new());
        self.chosen.set(None);
        self.end.set(None);
    }
}

/// The progress of the check, and then its result.
#[component]
pub fn CheckPanel(check: FileCheck, input: NodeRef<html::Input>) -> impl IntoView {
    // Checking the same file again leaves everything in place.
    let chosen = Memo::new(move |_| check.chosen.get());
    let panel = move || {
        chosen
            .get()
            .map(|chosen| view! { <Check check chosen input /> })
    };
    let announcement = some_text(move || check.end.with(|end| end.as_ref().map(sentence)));
    view! {
        {panel}
        <p class="visually-hidden" role="status">
            {announcement}
        </p>
    }
}

#[component]
fn Check(check: FileCheck, chosen: Chosen, input: NodeRef<html::Input>) -> impl IntoView {
    let Chosen { name, bytes } = chosen;
    let is_running = Memo::new(move |_| check.end.with(Option::is_none));
    let toggle = move |_| match chosen_file(input) {
        _ if is_running.get_untracked() => check.stop(),
        Some(file) => check.check(file, String::new()),
        None => {}
    };
    let has_numbers =
        Memo::new(move |_| check.end.with(|end| !matches!(end, Some(End::Failed(_)))));
    let is_done = move || check.end.with(|end| matches!(end, Some(End::Done(_))));
    // Green and red only if all rows are valid or invalid, and the check is complete.
    let tone = text(move || {
        let counts = check.progress.get().counts;
        match (is_done(), counts.valid, counts.invalid) {
            (true, _, 0) => "valid",
            (true, 0, _) => "invalid",
            _ => "",
        }
    });
    let percent = Memo::new(move |_| check.percent(bytes));
    let pace = text(move || {
        let word = match (is_running.get(), is_done()) {
            (true, _) => None,
            (false, true) => Some("checked in"),
            (false, false) => Some("stopped after"),
        };
        pace(check.progress.get(), bytes, word)
    });
    let numbers = move || {
        view! {
            <div class="progress" data-tone=tone>
                <progress
                    max="100"
                    value=text(move || format::short(percent.get()))
                    aria-label="Checked part of the file"
                ></progress>
                <span class="progress-percent">{text(move || format::percent(percent.get()))}</span>
            </div>
            <p class="pace">{pace}</p>
            <Counts progress=check.progress />
        }
    };
    let end_name = name.clone();
    view! {
        <section class="check" aria-labelledby="check">
            <div class="check-head">
                <h3 id="check">
                    <FileName name /> " " <span class="tally">{format::bytes(bytes)}</span>
                </h3>
                <button class="button button-small" type="button" on:click=toggle>
                    {text(move || if is_running.get() { "Stop check" } else { "Check again" })}
                </button>
            </div>
            {move || has_numbers.get().then(numbers)}
            {move || {
                check
                    .end
                    .with(|end| end.as_ref().map(|end| end_view(check, end, &end_name, input)))
            }}
        </section>
    }
}

#[component]
fn Counts(progress: RwSignal<Progress>) -> impl IntoView {
    let counts = [
        (
            "Rows",
            (|progress: &Progress| progress.counts.processed) as fn(&Progress) -> u64,
        ),
        ("Valid", |progress| progress.counts.valid),
        ("Invalid", |progress| progress.counts.invalid),
        ("Suspicious", |progress| progress.counts.suspicious),
    ];
    view! {
        <dl class="counts">
            {counts
                .map(|(name, count)| {
                    view! {
                        <div>
                            <dt>{name}</dt>
                            <dd>{text(move || format::count(progress.with(count)))}</dd>
                        </div>
                    }
                })
                .collect_view()}
        </dl>
    }
}

fn end_view(
    check: FileCheck,
    end: &End,
    name: &str,
    input: NodeRef<html::Input>,
) -> impl IntoView + use<> {
    match end {
        End::Done(report) => Either::Left(Either::Left(view! {
            <p>{sentence(end)}</p>
            <ReportView report=report.clone() name=name.to_owned() input />
        })),
        End::Failed(Failure::Asked(asked)) => Either::Left(Either::Right(view! {
            <p class="notice">{sentence(end)}</p>
            <Questions check fields=asked.fields.clone() input />
        })),
        End::Failed(_) => Either::Right(view! { <p class="notice notice-bad">{sentence(end)}</p> }),
        End::Stopped => Either::Right(view! { <p class="muted">{sentence(end)}</p> }),
    }
}

/// The form that asks how the file is to be read.
#[component]
fn Questions(check: FileCheck, fields: String, input: NodeRef<html::Input>) -> impl IntoView {
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        if let (Some(answers), Some(file)) = (query_of(&event), chosen_file(input)) {
            check.check(file, answers);
        }
    };
    let CheckModule { script, wasm } = check.module.get_value();
    view! {
        <form class="questions" data-script=script data-wasm=wasm on:submit=submit>
            <div inner_html=fields></div>
            <div class="controls">
                <button class="button">"Check with these answers"</button>
            </div>
        </form>
    }
}

/// The minimum duration for showing a speed.
const LEAST_SECONDS: f64 = 0.1;

/// Returns the progress and speed, or before it is over `end`, which says how it ended.
fn pace(progress: Progress, total: u64, end: Option<&str>) -> String {
    let Progress {
        bytes,
        seconds,
        counts,
    } = progress;
    let mut parts = vec![match end {
        None => format!("{} of {}", format::bytes(bytes), format::bytes(total)),
        Some(end) if seconds < LEAST_SECONDS => format!("{end} less than 0.1\u{a0}s"),
        Some(end) => format!("{end} {}", format::seconds(seconds)),
    }];
    if seconds >= LEAST_SECONDS {
        let per_second = |number: u64| (number as f64 / seconds).round() as u64;
        parts.push(format!("{}/s", format::bytes(per_second(bytes))));
        let rows = format::count(per_second(counts.processed));
        parts.push(format!("{rows} rows/s"));
    }
    parts.join(" · ")
}

/// Returns the result in a sentence, which screen readers also announce.
fn sentence(end: &End) -> String {
    match end {
        End::Done(report) => verdict(report),
        End::Failed(failure) => failure_sentence(failure),
        End::Stopped => {
            "Check stopped. You can still upload: every row is checked again during processing."
                .to_owned()
        }
    }
}

fn verdict(report: &Report) -> String {
    let counts = report.progress.counts;
    let verdict = format::verdict(counts.processed, counts.invalid, counts.suspicious);
    match report.is_whole {
        true => verdict,
        false => format!(
            "{verdict} Checked the first {} here; the rest are checked after upload.",
            format::counted(counts.processed, "row")
        ),
    }
}

pub fn failure_sentence(failure: &Failure) -> String {
    match failure {
        Failure::Refused(sentence) => format!("This file can't be processed. {sentence}"),
        Failure::Asked(asked) => asked.sentence.clone(),
        Failure::Invalid(sentence) | Failure::Unpacked(sentence) => sentence.clone(),
        Failure::Unreadable => {
            "The file can't be read. It was changed, moved or deleted, or it is a folder. Choose it again."
                .to_owned()
        }
        Failure::TooLarge => format!(
            "Too many rows to download here: more than {}. Upload the file and download them from its page.",
            format::bytes(MAX_KEPT_BYTES)
        ),
        Failure::Broken => {
            "The check couldn't be loaded, or the browser ran out of memory. You can still upload: every row is checked during processing."
                .to_owned()
        }
    }
}
