use domain::{ErrorCode, Job, JobReport, JobStatus, RowFilter, Throughput};
use leptos::prelude::*;

use super::rows::Address;
use crate::format;

/// What the rows amount to: the problems by kind, and how fast it went. Nothing before there is something to say.
#[component]
pub fn Report(job: RwSignal<Job>, report: RwSignal<JobReport>) -> impl IntoView {
    let job_id = job.with_untracked(|job| job.id);
    let problems = Memo::new(move |_| report.with(|report| report.problems.ranked()));
    let throughput = Memo::new(move |_| report.with(|report| report.throughput.clone()));
    let is_clean = Memo::new(move |_| {
        job.with(|job| {
            job.status == JobStatus::Completed && job.total_records > 0 && job.invalid_records == 0
        })
    });
    let has_throughput =
        Memo::new(move |_| throughput.with(|found| found.rows_per_second.len() > 1));
    let is_shown = Memo::new(move |_| {
        is_clean.get() || has_throughput.get() || problems.with(|problems| !problems.is_empty())
    });
    let kinds = move || match problems.get() {
        problems if !problems.is_empty() => view! { <Problems job_id problems /> }.into_any(),
        _ if is_clean.get() => {
            view! { <p class="muted">"None: every row is valid."</p> }.into_any()
        }
        _ => view! { <p class="muted">"None so far."</p> }.into_any(),
    };
    let pace = move || {
        has_throughput.get().then(|| {
            view! {
                <section class="panel" aria-labelledby="throughput">
                    <h2 id="throughput">"Rows per second"</h2>
                    {move || throughput.with(chart)}
                </section>
            }
            .into_any()
        })
    };
    move || {
        is_shown.get().then(|| {
            view! {
                <div class="columns columns-even report">
                    <section class="panel" aria-labelledby="problems">
                        <h2 id="problems">"Problems by kind"</h2>
                        {kinds}
                    </section>
                    {pace}
                </div>
            }
            .into_any()
        })
    }
}

/// A bar for each kind, as long as its share of the most frequent one. It leads to the rows.
#[component]
fn Problems(job_id: i64, problems: Vec<(ErrorCode, u64)>) -> impl IntoView {
    let most = problems.first().map_or(1, |(_, rows)| *rows);
    let all = Address::new(job_id, None);
    let bar = |(code, rows): (ErrorCode, u64)| {
        let share = (rows as f64 / most as f64 * 100.0).max(0.5);
        view! {
            <li>
                <a href=all.filtered(RowFilter::Problem(code))>{code.title()}</a>
                <span class="bar-count">{format::count(rows)}</span>
                <svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
                    <rect width=format!("{share:.1}") height="1" />
                </svg>
            </li>
        }
    };
    view! { <ol class="bars">{problems.into_iter().map(bar).collect_view()}</ol> }.into_any()
}

/// A bar for each part of the time.
fn chart(throughput: &Throughput) -> AnyView {
    let rates = &throughput.rows_per_second;
    let peak = rates.iter().copied().fold(0.0, f64::max);
    let lowest = rates.iter().copied().fold(peak, f64::min);
    let seconds = throughput.part_seconds * rates.len() as f64;
    let whole = |rate: f64| format::count(rate.round() as u64);
    let description = format!(
        "Between {} and {} rows per second in the course of {}.",
        whole(lowest),
        whole(peak),
        format::seconds(seconds)
    );
    let bars: Vec<_> = rates
        .iter()
        .enumerate()
        .map(|(part, rate)| {
            let height = rate / peak.max(1.0) * 100.0;
            view! {
                <rect
                    x=format!("{:.2}", part as f64 + 0.08)
                    y=format!("{:.1}", 100.0 - height)
                    width="0.84"
                    height=format!("{height:.1}")
                />
            }
        })
        .collect();
    view! {
        <figure class="chart">
            <p class="chart-peak">{format!("up to {}", whole(peak))}</p>
            <svg
                viewBox=format!("0 0 {} 100", rates.len())
                preserveAspectRatio="none"
                role="img"
                aria-label=description
            >
                {bars}
            </svg>
            <figcaption>
                <span>"0"</span>
                <span>{format::seconds(seconds)}</span>
            </figcaption>
        </figure>
    }
    .into_any()
}
