use chrono::NaiveDate;
use domain::{DateSpan, Job, JobReport, JobStatus, format};
use leptos::prelude::*;

use crate::islands::rate;

/// What a completed job has come to; empty before.
#[component]
pub fn ResultFacts<'a>(job: &'a Job, report: &'a JobReport) -> impl IntoView + use<> {
    let facts = (job.state.status == JobStatus::Completed).then(|| facts(job, report));
    view! {
        <dl class="counts counts-small result" id="result" data-part>
            {facts}
        </dl>
    }
    .into_any()
}

fn facts(job: &Job, report: &JobReport) -> impl IntoView + use<> {
    let share = (job.state.total_records > 0)
        .then(|| format::share(job.state.valid_records, job.state.total_records))
        .map(|share| ("Share valid", share.into_any()));
    let amount = format::decimal(&report.valid_amount.to_string());
    let amount = report
        .valid_dates
        .map(|_| ("Sum of valid amounts", amount.into_any()));
    let dates = report.valid_dates.map(|dates| ("Dates", span(dates)));
    let took = job.finished_at.zip(job.started_at).map(|(end, start)| {
        let seconds = (end - start).num_milliseconds() as f64 / 1000.0;
        ("Duration", format::seconds(seconds).into_any())
    });
    let speed = job
        .state
        .rows_per_second
        .map(|speed| ("Speed", rate(speed).into_any()));
    [share, amount, dates, took, speed]
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
}

fn span(dates: DateSpan) -> AnyView {
    let day = |date: NaiveDate| {
        let date = date.to_string();
        view! { <time datetime=date.clone()>{date.clone()}</time> }
    };
    let last = (dates.last != dates.first).then(|| (" – ", day(dates.last)));
    (day(dates.first), last).into_any()
}
