use domain::{JobId, JobState, JobStatus, format};
use leptos::{either::EitherOf3, prelude::*};
use serde::Deserialize;

use super::renew;
use crate::{
    AppError,
    components::{
        Announcements, ConnectionState, Controls, Counts, JobProgressBar, StatusBadge,
        document_title, shown, some_text, state_sentence, text,
    },
    live,
};

/// The head of a job's page, and what the state of the job calls for: its start, its progress, its result, or why it
/// failed. Keeps the rest of the page up to date as well.
#[island]
pub fn JobSummary(
    job_id: JobId,
    job: JobState,
    filename: String,
    /// Whether the page asks if the job is to be cancelled.
    is_question_open: bool,
    /// The error of a command that was posted without JavaScript.
    posted: Option<AppError>,
    /// What a completed job has come to.
    children: Children,
) -> impl IntoView {
    #[derive(Deserialize)]
    struct Fresh {
        job: JobState,
    }

    let user_id = job.user_id;
    let job = RwSignal::new(job);
    let asked = RwSignal::new(None);
    let shown = shown(job, asked);
    let status = Memo::new(move |_| shown.with(|job| job.status));
    let announcements = Announcements::new();
    announcements.follow(job.into(), filename.clone());
    live::on_refresh("JobSummary", move |fresh: Fresh| {
        renew(job, fresh.job);
    });
    let lost = live::watch(
        user_id,
        move |told| {
            if told.job_id == job_id {
                renew(job, told.state);
            }
        },
        move |was_lost| {
            if was_lost || job.with_untracked(|job| job.status.is_active()) {
                live::refresh();
            }
        },
    );
    live::follow(job.into());
    let heading = filename.clone();
    let name = filename.clone();
    Effect::new(move |_| {
        let title = shown.with(|job| title(job, &name));
        document().set_title(&document_title(&title));
    });
    view! {
        <div class="page-head page-head-row">
            <h1>{heading}</h1>
            <StatusBadge status />
        </div>
        <section class="panel summary" aria-label="Progress">
            {move || {
                let status = status.get();
                let sentence = state_sentence(status).map(|sentence| view! { <p>{sentence}</p> });
                match status {
                    JobStatus::Pending => EitherOf3::A(sentence),
                    JobStatus::Failed => EitherOf3::B(view! { <Failed job=shown /> }),
                    _ => {
                        let pace = (status != JobStatus::Completed)
                            .then(|| view! { <p class="pace">{text(move || shown.with(pace))}</p> });
                        EitherOf3::C(
                            view! {
                                {sentence}
                                <JobProgressBar job=shown filename=filename.clone() />
                                {pace}
                                <Counts job=shown />
                            },
                        )
                    }
                }
            }}
            {children()}
            <Controls job_id job asked posted cancel=Some(is_question_open) />
        </section>
        {announcements.region()}
        <ConnectionState lost />
    }
}

/// What the page is called: how far the job is.
pub fn title(job: &JobState, filename: &str) -> String {
    match job.status {
        JobStatus::Pending => filename.to_owned(),
        JobStatus::Failed => format!("Failed · {filename}"),
        JobStatus::Paused => format!("Paused · {filename}"),
        JobStatus::Cancelled => format!("Cancelled · {filename}"),
        JobStatus::Processing | JobStatus::Completed => {
            format!("{} % · {filename}", job.progress_percent as u8)
        }
    }
}

/// How fast it goes and how long it takes.
fn pace(job: &JobState) -> String {
    let rate = job.rows_per_second.map(rate);
    let left = job
        .eta_seconds
        .map(|left| format!("about {} left", format::seconds(left.ceil().max(1.0))));
    let parts: Vec<String> = [rate, left].into_iter().flatten().collect();
    match (parts.is_empty(), job.status) {
        (true, JobStatus::Processing) => "Reading the file…".to_owned(),
        _ => parts.join(" · "),
    }
}

pub fn rate(rows_per_second: f64) -> String {
    format!("{} rows/s", format::count(rows_per_second.round() as u64))
}

#[component]
fn Failed(job: Signal<JobState>) -> impl IntoView {
    let user_id = job.with_untracked(|job| job.user_id);
    view! {
        <div class="notice notice-bad">
            <p>
                <strong>"This file was not processed. "</strong>
                {some_text(move || job.with(|job| job.error.clone()))}
            </p>
        </div>
        <p>
            "If the file is to blame, repair it and "
            <a href=format!("/users/{user_id}#upload")>"upload it as a new file"</a>
            ". This one is kept as it came until you delete it."
        </p>
    }
}
