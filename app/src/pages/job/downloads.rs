use domain::{Job, JobStatus, RowFilter, format};
use leptos::prelude::*;

/// The file with its verdicts, once the job is completed: all rows, or those to be repaired.
#[component]
pub fn Downloads<'a>(job: &'a Job) -> impl IntoView + use<> {
    let (job_id, total, invalid) = (job.id, job.state.total_records, job.state.invalid_records);
    let link = move |filter: RowFilter, name: &'static str, rows: u64| {
        view! {
            <a
                class="button"
                download
                href=format!("/api/jobs/{job_id}/results.csv?filter={filter}")
            >
                {format!("{name} ({})", format::count(rows))}
            </a>
        }
    };
    let panel = (job.state.status == JobStatus::Completed).then(|| {
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
    });
    view! {
        <div id="downloads" data-part>
            {panel}
        </div>
    }
    .into_any()
}
