use domain::{JobState, format};
use leptos::prelude::*;

use super::text;
use crate::live;

/// The job's rows by verdict.
#[component]
pub fn Counts(
    #[prop(into)] job: Signal<JobState>,
    /// Smaller, and without those that only matter while one waits.
    #[prop(optional)]
    compact: bool,
) -> impl IntoView {
    let numbers = Memo::new(move |_| {
        job.with(|job| {
            [
                job.total_records,
                job.valid_records,
                job.invalid_records,
                job.suspicious_records,
            ]
        })
    });
    let numbers = live::smooth(numbers.into());
    let count = move |name: &'static str, kind: &'static str, number: fn([u64; 4]) -> u64| {
        view! {
            <div data-kind=kind>
                <dt>{name}</dt>
                <dd>{text(move || format::count(number(numbers.get())))}</dd>
            </div>
        }
    };
    view! {
        <dl class="counts" class:counts-small=compact>
            {count("Total rows", "total", |[total, ..]| total)}
            // A sum, so that the numbers agree on their way too.
            {(!compact)
                .then(|| count("Processed", "processed", |[_, valid, invalid, _]| valid + invalid))}
            {count("Valid", "valid", |[_, valid, ..]| valid)}
            {count("Invalid", "invalid", |[_, _, invalid, _]| invalid)}
            {count("Suspicious", "suspicious", |[.., suspicious]| suspicious)}
        </dl>
    }
}
