use domain::{Column, DateSpan, Layout, RowFilter};
use leptos::{html, prelude::*};

use super::download::Download;
use crate::{
    check::{Example, Problem, Report},
    format,
};

/// Kinds of problems whose rows are shown from the start.
const OPEN: usize = 3;

/// The most characters of a name that are shown, and the most names of ignored columns.
const MAX_NAME_CHARS: usize = 60;
const MAX_NAMES: usize = 12;

/// What a check has found: the problems, how the file is read, and the rows for download.
#[component]
pub fn ReportView(
    report: Report,
    /// Of the file.
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
            <Reading
                layout=report.layout
                valid_amount=report.valid_amount
                valid_dates=report.valid_dates
            />
        </div>
    }
    .into_any()
}

#[component]
fn Problems(problems: Vec<Problem>) -> impl IntoView {
    let problem = |(at, problem): (usize, Problem)| {
        let more = problem.rows - problem.examples.len() as u64;
        view! {
            <li>
                <details open={at < OPEN}>
                    <summary>
                        <span>{problem.code.title()}</span>
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
        <h4 id="check-problems">"Problems by kind"</h4>
        <ul class="problems" aria-labelledby="check-problems">
            {problems.into_iter().enumerate().map(problem).collect_view()}
        </ul>
    }
    .into_any()
}

fn example(example: Example) -> impl IntoView {
    view! {
        <li>
            <span class="row-number">{format!("Row {}", format::count(example.row_number))}</span>
            " "
            <span>{example.message}</span>
        </li>
    }
}

/// Which column is taken for what, and what the valid rows amount to.
#[component]
fn Reading(layout: Layout, valid_amount: String, valid_dates: Option<DateSpan>) -> impl IntoView {
    let column = |column: Column| {
        let place = match layout.position(column) {
            Some(at) => format!("column {}, “{}”", at + 1, shown(&layout.names()[at])),
            None => "no such column".to_owned(),
        };
        (column.as_str(), place)
    };
    let ignored = ignored_names(&layout);
    let others = (!ignored.is_empty()).then_some(("Not checked", ignored));
    let sums = valid_dates.map(|DateSpan { first, last }| {
        let days = match first == last {
            true => first.to_string(),
            false => format!("{first} to {last}"),
        };
        [
            ("Sum, valid rows", format::decimal(&valid_amount)),
            ("Dates, valid rows", days),
        ]
    });
    let facts = Column::ALL
        .map(column)
        .into_iter()
        .chain(others)
        .chain([
            ("Separator", separator(layout.delimiter()).to_owned()),
            ("Encoding", layout.encoding().name().to_owned()),
        ])
        .chain(sums.into_iter().flatten())
        .map(|(name, fact)| {
            view! {
                <div>
                    <dt>{name}</dt>
                    <dd>{fact}</dd>
                </div>
            }
        })
        .collect_view();
    view! {
        <div class="check-part">
            <h4>"How the file is read"</h4>
            <dl class="details">{facts}</dl>
        </div>
    }
    .into_any()
}

fn ignored_names(layout: &Layout) -> String {
    let known = Column::ALL.map(|column| layout.position(column));
    let mut names: Vec<String> = layout
        .names()
        .iter()
        .enumerate()
        .filter(|(at, _)| !known.contains(&Some(*at)))
        .map(|(_, name)| format!("“{}”", shown(name)))
        .collect();
    if names.len() > MAX_NAMES {
        let more = names.len() - MAX_NAMES;
        names.truncate(MAX_NAMES);
        names.push(format!("and {} more", format::count(more as u64)));
    }
    names.join(", ")
}

fn shown(name: &str) -> String {
    format::shortened(name, MAX_NAME_CHARS).unwrap_or_else(|| name.to_owned())
}

fn separator(delimiter: u8) -> &'static str {
    match delimiter {
        b';' => "semicolon",
        b'\t' => "tab",
        b'|' => "bar",
        _ => "comma",
    }
}
