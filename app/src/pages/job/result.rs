use chrono::NaiveDate;
use domain::{DateSpan, Job, JobReport, JobStatus, format};
use leptos::prelude::*;

/// The results of the checked rows. Empty before the job was started.
#[component]
pub fn ResultFacts<'a>(job: &'a Job, report: &'a JobReport) -> impl IntoView + use<> {
    let has_rows = !matches!(job.state.status, JobStatus::Pending | JobStatus::Failed);
    view! {
        <dl class="counts counts-small result" id="result" data-part>
            {has_rows.then(|| facts(job, report))}
        </dl>
    }
    .into_any()
}

/// Always shows the same five facts, so that nothing moves when one becomes known.
fn facts(job: &Job, report: &JobReport) -> impl IntoView + use<> {
    let checked = job.state.processed_records;
    let share = (checked > 0)
        .then(|| format::share(job.state.valid_records, checked))
        .map(IntoAny::into_any);
    let amount = report.valid_dates.map(|_| {
        let amount = report.valid_amount.to_string();
        format::decimal(&amount).into_any()
    });
    let dates = report.valid_dates.map(span);
    let seconds = job
        .finished_at
        .zip(job.started_at)
        .and_then(|(end, start)| {
            let seconds = (end - start).num_milliseconds() as f64 / 1000.0;
            // The clock may have been set back.
            (seconds >= 0.0).then(|| seconds.max(0.001))
        });
    let took = seconds.map(|seconds| format::seconds(seconds).into_any());
    // Measured over the same time as the duration next to it.
    let speed = seconds.filter(|_| checked > 0).map(|seconds| {
        let speed = (checked as f64 / seconds).round() as u64;
        format!("{} rows/s", format::count(speed)).into_any()
    });
    [
        ("Valid share", share),
        ("Total (valid rows)", amount),
        ("Date range (valid rows)", dates),
        ("Duration", took),
        ("Average speed", speed),
    ]
    .map(|(name, value)| {
        view! {
            <div>
                <dt>{name}</dt>
                <dd>{value.unwrap_or_else(|| "–".into_any())}</dd>
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
