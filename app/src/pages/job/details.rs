use chrono::{DateTime, Utc};
use domain::{Job, JobStatus, format};
use leptos::prelude::*;

use crate::components::Time;

/// The file as it was uploaded, and when what happened to it.
#[component]
pub fn Details<'a>(job: &'a Job) -> impl IntoView + use<> {
    let end = match job.state.status {
        JobStatus::Cancelled => "Cancelled at",
        JobStatus::Failed => "Failed at",
        _ => "Finished",
    };
    view! {
        <section class="panel" aria-labelledby="details">
            <h2 id="details">"Details"</h2>
            <dl class="details" id="times" data-part>
                <div>
                    <dt>"Size"</dt>
                    <dd>{format::bytes(job.bytes)}</dd>
                </div>
                <div>
                    <dt>"SHA-256"</dt>
                    <dd>
                        <code>{job.sha256.clone()}</code>
                    </dd>
                </div>
                <div>
                    <dt>"Uploaded"</dt>
                    <dd>
                        <Time at=format::machine_time(job.created_at) />
                    </dd>
                </div>
                {happened("Started", job.started_at)}
                {happened(end, job.finished_at)}
            </dl>
        </section>
    }
    .into_any()
}

fn happened(what: &'static str, at: Option<DateTime<Utc>>) -> impl IntoView {
    at.map(|at| {
        view! {
            <div>
                <dt>{what}</dt>
                <dd>
                    <Time at=format::machine_time(at) />
                </dd>
            </div>
        }
    })
}
