use chrono::NaiveDate;
use domain::{DateSpan, Job, JobReport, JobStatus};
use leptos::prelude::*;

use crate::{
    components::{Controls, Counts, JobProgressBar, state_sentence},
    format,
};

/// What the state of the job calls for: its start, its progress, its result, or why it failed.
#[component]
pub fn Summary(
    job: RwSignal<Job>,
    status: Memo<JobStatus>,
    report: RwSignal<JobReport>,
    is_question_open: bool,
) -> impl IntoView {
    view! {
        <section class="panel summary" aria-label="Progress">
            {move || {
                let status = status.get();
                let sentence = state_sentence(status).map(|sentence| view! { <p>{sentence}</p> });
                match status {
                    JobStatus::Pending => sentence.into_any(),
                    JobStatus::Failed => view! { <Failed job /> }.into_any(),
                    JobStatus::Processing | JobStatus::Paused | JobStatus::Cancelled => {
                        view! {
                            {sentence}
                            <JobProgressBar job />
                            <p class="pace">{move || job.with(pace)}</p>
                            <Counts job />
                        }
                            .into_any()
                    }
                    JobStatus::Completed => {
                        view! {
                            <JobProgressBar job />
                            <Counts job />
                            <Result job report />
                        }
                            .into_any()
                    }
                }
            }}
            <Controls job cancel=Some(is_question_open) />
        </section>
    }
    .into_any()
}

/// How fast it goes and how long it takes.
fn pace(job: &Job) -> String {
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

fn rate(rows_per_second: f64) -> String {
    format!("{} rows/s", format::count(rows_per_second.round() as u64))
}

/// What a completed job has come to.
#[component]
fn Result(job: RwSignal<Job>, report: RwSignal<JobReport>) -> impl IntoView {
    let facts = move || {
        let share = job.with(|job| {
            (job.total_records > 0)
                .then(|| format::share(job.valid_records, job.total_records))
                .map(|share| ("Share valid", share.into_any()))
        });
        let (amount, dates) = report
            .with(|report| {
                let dates = report.valid_dates?;
                let amount = format::decimal(&report.valid_amount.to_string());
                Some((
                    ("Sum of valid amounts", amount.into_any()),
                    ("Dates", span(dates)),
                ))
            })
            .unzip();
        let took = job.with(|job| {
            let took = (job.finished_at? - job.started_at?).num_milliseconds() as f64 / 1000.0;
            Some(("Duration", format::seconds(took).into_any()))
        });
        let rate = job.with(|job| Some(("Speed", rate(job.rows_per_second?).into_any())));
        [share, amount, dates, took, rate]
            .into_iter()
            .flatten()
            .map(|(name, value)| {
                view! {
                    <div>
                        <dt>{name}</dt>
                        <dd>{value}</dd>
                    </div>
                }
            })
            .collect_view()
    };
    view! { <dl class="counts counts-small result">{facts}</dl> }.into_any()
}

fn span(dates: DateSpan) -> AnyView {
    let day = |date: NaiveDate| {
        let date = date.to_string();
        view! { <time datetime=date.clone()>{date.clone()}</time> }
    };
    let last = (dates.last != dates.first).then(|| (" – ", day(dates.last)));
    (day(dates.first), last).into_any()
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
