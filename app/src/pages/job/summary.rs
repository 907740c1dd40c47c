use domain::{Job, JobStatus};
use leptos::prelude::*;

use crate::{
    components::{Controls, JobProgressBar, state_sentence},
    format,
};

/// What the state of the job calls for: its start, its progress, or why it failed.
#[component]
pub fn Summary(job: RwSignal<Job>, status: Memo<JobStatus>) -> impl IntoView {
    view! {
        <section class="panel summary" aria-label="Progress">
            {move || {
                let status = status.get();
                let sentence = state_sentence(status).map(|sentence| view! { <p>{sentence}</p> });
                match status {
                    JobStatus::Pending => sentence.into_any(),
                    JobStatus::Failed => view! { <Failed job /> }.into_any(),
                    JobStatus::Processing
                    | JobStatus::Completed
                    | JobStatus::Paused
                    | JobStatus::Cancelled => {
                        view! {
                            {sentence}
                            <JobProgressBar job />
                            <p class="pace">{move || job.with(pace)}</p>
                            <Counts job />
                        }
                            .into_any()
                    }
                }
            }}
            <Controls job with_cancel=true />
        </section>
    }
    .into_any()
}

/// How fast it goes and how long it takes.
fn pace(job: &Job) -> String {
    let rate = job
        .rows_per_second
        .map(|rate| format!("{} rows per second", format::count(rate.round() as u64)));
    let time = match job.status {
        JobStatus::Processing => job
            .eta_seconds
            .map(|left| format!("about {} left", format::seconds(left.ceil().max(1.0)))),
        _ => job
            .started_at
            .zip(job.finished_at)
            .map(|(started, finished)| {
                let took = (finished - started).num_milliseconds() as f64 / 1000.0;
                format!("took {}", format::seconds(took))
            }),
    };
    let parts: Vec<String> = [rate, time].into_iter().flatten().collect();
    match (parts.is_empty(), job.status) {
        (true, JobStatus::Processing) => "Reading the file…".to_owned(),
        _ => parts.join(" · "),
    }
}

#[component]
fn Counts(job: RwSignal<Job>) -> impl IntoView {
    let counts = [
        (
            "Total rows",
            "total",
            (|job: &Job| job.total_records) as fn(&Job) -> u64,
        ),
        ("Processed", "processed", |job| job.processed_records),
        ("Valid", "valid", |job| job.valid_records),
        ("Invalid", "invalid", |job| job.invalid_records),
        ("Suspicious", "suspicious", |job| job.suspicious_records),
    ];
    view! {
        <dl class="counts">
            {counts
                .map(|(name, kind, count)| {
                    view! {
                        <div data-kind=kind>
                            <dt>{name}</dt>
                            <dd>{move || format::count(job.with(count))}</dd>
                        </div>
                    }
                })
                .collect_view()}
        </dl>
    }
    .into_any()
}

#[component]
fn Failed(job: RwSignal<Job>) -> impl IntoView {
    let user_id = job.with_untracked(|job| job.user_id);
    view! {
        <div class="notice notice-bad">
            <p>
                <strong>"This file was not processed. "</strong>
                {move || job.with(|job| job.error.clone())}
            </p>
        </div>
        <p>
            "If the file is to blame, repair it and "
            <a href=format!("/users/{user_id}#upload")>"upload it as a new file"</a>
            ". This one is kept as it came until you delete it."
        </p>
    }
    .into_any()
}
