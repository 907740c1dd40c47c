use domain::{ErrorCode, Job, JobReport, JobStatus, RowFilter, Throughput, format};
use leptos::prelude::*;

use super::rows::Address;

/// What the rows amount to: the problems by kind, and how fast it went. Empty before there is something to say.
#[component]
pub fn Report<'a>(job: &'a Job, report: JobReport, address: &'a Address) -> impl IntoView + use<> {
    let problems = report.problems.ranked();
    let is_clean = job.state.status == JobStatus::Completed
        && job.state.total_records > 0
        && job.state.invalid_records == 0;
    // Of work that goes on there will be more: its place is kept, so that nothing moves when it comes.
    let is_active = job.state.status.is_active();
    let has_throughput = is_active || report.throughput.rows_per_second.len() > 1;
    let is_shown = is_clean || has_throughput || !problems.is_empty();
    let kinds = if !problems.is_empty() {
        view! { <Problems address problems rows=job.state.processed_records /> }.into_any()
    } else if is_clean {
        view! { <p class="muted">"None: every row is valid."</p> }.into_any()
    } else {
        view! { <p class="muted">"None so far."</p> }.into_any()
    };
    let pace = has_throughput.then(|| {
        view! {
            <section class="panel" aria-labelledby="throughput">
                <h2 id="throughput">"Rows per second"</h2>
                {chart(&report.throughput)}
            </section>
        }
    });
    let panels = is_shown.then(|| {
        view! {
            <div class="columns columns-even report">
                <section class="panel" aria-labelledby="problems">
                    <h2 id="problems">"Problems"</h2>
                    {kinds}
                </section>
                {pace}
            </div>
        }
    });
    view! {
        <div id="report" data-part>
            {panels}
        </div>
    }
    .into_any()
}

/// A bar for each kind, as long as its share of the most frequent one. It leads to the rows.
#[component]
fn Problems<'a>(
    address: &'a Address,
    problems: Vec<(ErrorCode, u64)>,
    /// Checked rows.
    rows: u64,
) -> impl IntoView + use<> {
    let most = problems.first().map_or(1, |(_, rows)| *rows);
    let bar = |(code, found): (ErrorCode, u64)| {
        let share = (found as f64 / most as f64 * 100.0).max(0.5);
        view! {
            <li>
                <a href=address.filtered(RowFilter::Problem(code))>{code.title()}</a>
                <span class="bar-count">
                    {format::count(found)} " "
                    <span class="muted">{format!("({})", format::share(found, rows))}</span>
                </span>
                <svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
                    <rect width=format!("{share:.1}") height="1" />
                </svg>
            </li>
        }
    };
    view! { <ol class="bars">{problems.into_iter().map(bar).collect_view()}</ol> }.into_any()
}

/// A bar for each part of the time, up to the last in which a row was checked.
fn chart(throughput: &Throughput) -> AnyView {
    let rates = &throughput.rows_per_second;
    let end = rates
        .iter()
        .rposition(|rate| *rate > 0.0)
        .map_or(0, |last| last + 1);
    let rates = &rates[..end];
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
                viewBox=format!("0 0 {} 100", rates.len().max(1))
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
