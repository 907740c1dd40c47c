use domain::{JobId, JobState, format};
use leptos::prelude::*;

use super::{some_text, text};
use crate::live;

/// The job's rows by verdict. Each number links to the rows.
#[component]
pub fn Counts(
    job_id: JobId,
    #[prop(into)] job: Signal<JobState>,
    /// The part of the page's query that links keep, such as `&size=50`.
    kept: Signal<String>,
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
        let number = Memo::new(move |_| number(numbers.get()));
        let shown = text(move || format::count(number.get()));
        let is_filter = matches!(kind, "valid" | "invalid" | "suspicious");
        let has_rows = Memo::new(move |_| number.get() > 0);
        // Without rows it isn't a link.
        let href = some_text(move || {
            (is_filter && has_rows.get())
                .then(|| format!("/jobs/{job_id}?filter={kind}{}#rows", kept.get()))
        });
        view! {
            <div data-kind=kind data-some=some_text(move || has_rows.get().then_some(""))>
                <dt>{name}</dt>
                <dd>
                    <a href=href tabindex=some_text(move || (!has_rows.get()).then_some("-1"))>
                        {shown}
                    </a>
                </dd>
            </div>
        }
    };
    view! {
        <dl class="counts">
            {count("Total rows", "total", |[total, ..]| total)}
            // A sum, so that the numbers agree during the animation, too.
            {count("Processed", "processed", |[_, valid, invalid, _]| valid + invalid)}
            {count("Valid", "valid", |[_, valid, ..]| valid)}
            {count("Invalid", "invalid", |[_, _, invalid, _]| invalid)}
            {count("Suspicious", "suspicious", |[.., suspicious]| suspicious)}
        </dl>
    }
}
