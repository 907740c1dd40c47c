use domain::Job;
use leptos::prelude::*;

use crate::{format, live};

type Count = fn(&Job) -> u64;

const COUNTS: [(&str, &str, Count); 5] = [
    ("Total rows", "total", |job| job.total_records),
    ("Processed", "processed", |job| job.processed_records),
    ("Valid", "valid", |job| job.valid_records),
    ("Invalid", "invalid", |job| job.invalid_records),
    ("Suspicious", "suspicious", |job| job.suspicious_records),
];

/// The job's rows by verdict.
#[component]
pub fn Counts(
    #[prop(into)] job: Signal<Job>,
    /// Smaller, and without those that only matter while one waits.
    #[prop(optional)]
    compact: bool,
) -> impl IntoView {
    let shown = COUNTS
        .into_iter()
        .filter(|(_, kind, _)| !compact || *kind != "processed")
        .map(|(name, kind, count)| {
            let number = live::smooth(Memo::new(move |_| job.with(count)).into());
            view! {
                <div data-kind=kind>
                    <dt>{name}</dt>
                    <dd>{move || format::count(number.get())}</dd>
                </div>
            }
        })
        .collect_view();
    view! {
        <dl class="counts" class:counts-small=compact>
            {shown}
        </dl>
    }
    .into_any()
}
