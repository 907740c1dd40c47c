use ::check::{Example, Problem, Report};
use domain::{RowFilter, format};
use leptos::{html, prelude::*};

use super::download::Download;

/// The number of kinds of errors whose rows are initially shown.
const OPEN: usize = 3;

/// The result of a check: the errors, how the file is read, and the rows for download.
#[component]
pub fn ReportView(
    report: Report,
    /// The name of the file.
    name: String,
    input: NodeRef<html::Input>,
) -> impl IntoView {
    let counts = report.progress.counts;
    let download = |filter, what: &str, rows| {
        let label = format!("{what} ({})", format::count(rows));
        view! { <Download input filter label file_name=name.clone() /> }
    };
    let downloads = (report.is_whole && counts.processed > 0).then(|| {
        view! {
            <div class="check-downloads">
                <h4>"Download with verdicts"</h4>
                {(counts.invalid > 0)
                    .then(|| download(RowFilter::Invalid, "Invalid rows", counts.invalid))}
                {download(RowFilter::All, "All rows", counts.processed)}
            </div>
        }
    });
    view! {
        <div class="check-report">
            <div class="check-part">
                {(!report.problems.is_empty()).then(|| view! { <Problems problems=report.problems /> })}
                {downloads}
            </div>
            <Facts facts=report.facts />
        </div>
    }
}

#[component]
fn Problems(problems: Vec<Problem>) -> impl IntoView {
    let problem = |(at, problem): (usize, Problem)| {
        let more = problem.rows - problem.examples.len() as u64;
        view! {
            <li>
                <details open={at < OPEN}>
                    <summary>
                        <span>{problem.title}</span>
                        " "
                        <span class="tally">{format::counted(problem.rows, "row")}</span>
                    </summary>
                    <ul class="examples">
                        {problem.examples.into_iter().map(example).collect_view()}
                        {(more > 0)
                            .then(|| {
                                view! {
                                    <li class="muted">
                                        {format!("and {} more", format::count(more))}
                                    </li>
                                }
                            })}
                    </ul>
                </details>
            </li>
        }
    };
    view! {
        <h4 id="check-problems">"Problems"</h4>
        <ul class="problems" aria-labelledby="check-problems">
            {problems.into_iter().enumerate().map(problem).collect_view()}
        </ul>
    }
}

fn example(example: Example) -> impl IntoView {
    let row = format!("Row {}", format::count(example.row_number));
    let place = match example.line {
        Some(line) => format!("{row} · line {}", format::count(line)),
        None => row,
    };
    view! {
        <li>
            <span class="row-number">{place}</span>
            " "
            <span>{example.message}</span>
        </li>
    }
}

#[component]
fn Facts(facts: Vec<(String, String)>) -> impl IntoView {
    let fact = |(name, fact): (String, String)| {
        view! {
            <div>
                <dt>{name}</dt>
                <dd>{fact}</dd>
            </div>
        }
    };
    view! {
        <div class="check-part">
            <h4>"How we read your file"</h4>
            <dl class="details">{facts.into_iter().map(fact).collect_view()}</dl>
        </div>
    }
}
