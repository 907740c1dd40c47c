use domain::{Job, JobStatus, RowFilter};
use leptos::prelude::*;

use crate::format;

/// The file with its verdicts, once the job is completed: all rows, or those to be repaired.
#[component]
pub fn Downloads(job: RwSignal<Job>) -> impl IntoView {
    let job_id = job.with_untracked(|job| job.id);
    let counts = Memo::new(move |_| {
        job.with(|job| {
            (job.status == JobStatus::Completed).then_some((job.total_records, job.invalid_records))
        })
    });
    let link = move |filter: RowFilter, name: &'static str, rows: u64| {
        view! {
            // Not a page of this router.
            <a
                class="button"
                rel="external"
                download
                href=format!("/api/jobs/{job_id}/results.csv?filter={filter}")
            >
                {format!("{name} ({})", format::count(rows))}
            </a>
        }
    };
    move || {
        counts.get().map(|(total, invalid)| {
            view! {
                <section class="panel" aria-labelledby="download">
                    <h2 id="download">"Download"</h2>
                    <p class="muted">
                        "The file as it was uploaded, each row with its verdict, as CSV."
                    </p>
                    <p class="buttons">
                        {link(RowFilter::All, "All rows", total)}
                        {(invalid > 0).then(|| link(RowFilter::Invalid, "Invalid rows", invalid))}
                    </p>
                </section>
            }
            .into_any()
        })
    }
}
