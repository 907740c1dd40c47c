use domain::{ErrorCode, Job, JobStatus, RowFilter, format};
use leptos::prelude::*;

use super::rows::Address;

/// The number of kinds that are visible at once. If there are more, the last one gives way to a summary that opens the
/// others, so that the rows below stay in view and hardly move while a job runs.
const SHOWN: usize = 6;

/// The errors of the rows by kind. Empty until there is something to show.
#[component]
pub fn Report<'a>(
    job: &'a Job,
    /// The most frequent first.
    problems: Vec<(ErrorCode, u64)>,
    address: &'a Address,
) -> impl IntoView + use<> {
    let is_clean = job.state.status == JobStatus::Completed
        && job.state.total_records > 0
        && job.state.invalid_records == 0;
    // A running job will have more, so its space is reserved to avoid moving the rest.
    let is_shown = is_clean || job.state.status.is_active() || !problems.is_empty();
    let kinds = if !problems.is_empty() {
        view! { <Problems address problems rows=job.state.processed_records /> }.into_any()
    } else if is_clean {
        view! { <p class="muted">"None: every row is valid."</p> }.into_any()
    } else {
        view! { <p class="muted">"None so far."</p> }.into_any()
    };
    let panel = is_shown.then(|| {
        view! {
            <section class="panel" aria-labelledby="problems">
                <h2 id="problems">"Problems"</h2>
                {kinds}
            </section>
        }
    });
    view! {
        <div class="report" id="report" data-part>
            {panel}
        </div>
    }
    .into_any()
}

/// A bar for each kind, as long as its share of all rows. It links to the rows.
#[component]
fn Problems<'a>(
    address: &'a Address,
    mut problems: Vec<(ErrorCode, u64)>,
    /// The number of checked rows.
    rows: u64,
) -> impl IntoView + use<> {
    let bar = |(code, found): (ErrorCode, u64)| {
        // Never too short to be visible.
        let share = (found as f64 / rows.max(1) as f64 * 100.0).max(0.5);
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
    let further = (problems.len() > SHOWN).then(|| {
        let further = problems.split_off(SHOWN - 1);
        let kinds = format::counted(further.len() as u64, "more kind");
        view! {
            <li>
                <details class="disclosure">
                    <summary>{kinds}</summary>
                    <ol class="bars">{further.into_iter().map(bar).collect_view()}</ol>
                </details>
            </li>
        }
    });
    view! {
        <ol class="bars">{problems.into_iter().map(bar).collect_view()} {further}</ol>
        <p class="hint">"Percentages are of the rows checked. A row can have several errors."</p>
    }
    .into_any()
}
