use domain::{Job, JobStatus, RowFilter, format};
use leptos::prelude::*;

/// The maximum number of rows of a worksheet, not counting the header.
const WORKSHEET_ROWS: u64 = 1_048_575;

/// Downloads of the checked rows with their verdicts, once the job is over. The rows to fix come first.
#[component]
pub fn Downloads<'a>(job: &'a Job) -> impl IntoView + use<> {
    let state = &job.state;
    let (job_id, checked) = (job.id, state.processed_records);
    let (invalid, suspicious) = (state.invalid_records, state.suspicious_records);
    let link = move |class: &'static str, file: &str, filter: RowFilter, name: String| {
        let separator = if file.contains('?') { '&' } else { '?' };
        let href = format!("/api/jobs/{job_id}/{file}{separator}filter={filter}");
        view! {
            <a class=class download href=href>
                {name}
            </a>
        }
    };
    let named = |name: &str, rows: u64| format!("{name} ({})", format::count(rows));
    let links = (state.status.is_over() && checked > 0).then(|| {
        let csv = "results.csv";
        let first = (invalid > 0).then(|| {
            let name = named("Download invalid rows", invalid);
            link("button button-primary", csv, RowFilter::Invalid, name)
        });
        let all = named("Download all rows", checked);
        let workbook = |filter: RowFilter, what: &str, rows: u64| {
            (0 < rows && rows <= WORKSHEET_ROWS).then(|| {
                let name = format!("{what} rows as an Excel workbook");
                view! { <li>{link("", "results.xlsx", filter, name)}</li> }
            })
        };
        let suspicious = (suspicious > 0).then(|| {
            let name = named("Suspicious rows as CSV", suspicious);
            view! { <li>{link("", csv, RowFilter::Suspicious, name)}</li> }
        });
        let for_excel = "All rows as CSV for Excel".to_owned();
        view! {
            {first}
            {link("button", csv, RowFilter::All, all)}
            <details class="disclosure">
                <summary>"More downloads"</summary>
                <ul>
                    {suspicious} {workbook(RowFilter::Invalid, "Invalid", invalid)}
                    {workbook(RowFilter::All, "All", checked)}
                    <li>{link("", "results.csv?excel", RowFilter::All, for_excel)}</li>
                </ul>
            </details>
        }
    });
    let is_failed = state.status == JobStatus::Failed;
    let corrected = (is_failed || (state.status.is_over() && invalid > 0)).then(|| {
        // If a question must be answered, it comes first.
        let code = state.error_code.as_deref();
        let is_asked = code.is_some_and(|code| code.starts_with("format."));
        let class = match is_failed && !is_asked {
            true => "button button-primary",
            false => "button",
        };
        let href = format!("/users/{}?corrects={job_id}#upload", state.user_id);
        view! {
            <a class=class href=href>
                "Upload a corrected version"
            </a>
        }
    });
    view! {
        <div class="buttons" id="downloads" data-part>
            {links}
            {corrected}
        </div>
    }
    .into_any()
}
