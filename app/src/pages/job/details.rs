use chrono::{DateTime, Utc};
use domain::{Job, JobEvent, JobStatus, Throughput, format};
use leptos::prelude::*;

use super::throughput::Pace;
use crate::components::{Age, Copy, Time};

/// The uploaded file, and the times of the main events.
#[component]
pub fn Details<'a>(
    job: &'a Job,
    events: Vec<JobEvent>,
    /// When retention will delete the job.
    expires_at: Option<DateTime<Utc>>,
    throughput: Throughput,
) -> impl IntoView + use<> {
    let id = job.id.to_string();
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
                    <dt>"Job"</dt>
                    <dd>
                        <code>{id.clone()}</code>
                        " "
                        <Copy text=id.clone() name="Copy" label="Copy the job's ID" />
                        " "
                        <Copy text=format!("/jobs/{id}") name="Copy link" is_link=true />
                    </dd>
                </div>
                <div>
                    <dt>"Size"</dt>
                    <dd>{format::bytes(job.bytes)}</dd>
                </div>
                <div>
                    <dt>"SHA-256"</dt>
                    <dd>
                        <code>{job.sha256.clone()}</code>
                        " "
                        <Copy text=job.sha256.clone() name="Copy" label="Copy the SHA-256" />
                    </dd>
                </div>
                {happened("Uploaded", Some(job.created_at))}
                {happened("Started", job.started_at)}
                {happened(end, job.finished_at)}
                {expires_at.map(will_be_deleted)}
            </dl>
            <div id="history" data-part>
                <History events />
            </div>
            <div id="pace" data-part>
                <Pace throughput />
            </div>
        </section>
    }
    .into_any()
}

/// Every attempt from start to end.
#[component]
fn History(events: Vec<JobEvent>) -> impl IntoView {
    (!events.is_empty()).then(|| {
        let mut before = None;
        let events = events.into_iter().map(|event| {
            let since = before.replace(event.at).map(|before| {
                let seconds = (event.at - before).num_milliseconds() as f64 / 1000.0;
                format!(" after {}", format::seconds(seconds))
            });
            view! {
                <li>
                    {event.kind.title()} " "
                    <span class="muted">
                        <Time at=format::machine_time(event.at) /> {since}
                    </span>
                </li>
            }
        });
        view! {
            <details class="disclosure">
                <summary>"History"</summary>
                <ol class="history">{events.collect_view()}</ol>
            </details>
        }
    })
}

fn will_be_deleted(at: DateTime<Utc>) -> impl IntoView {
    view! {
        <div>
            <dt>"Will be deleted"</dt>
            <dd>
                <Time at=format::machine_time(at) />
            </dd>
        </div>
    }
}

fn happened(what: &'static str, at: Option<DateTime<Utc>>) -> impl IntoView {
    at.map(|at| {
        view! {
            <div>
                <dt>{what}</dt>
                <dd>
                    <Age at=format::machine_time(at) seconds=(Utc::now() - at).num_seconds() />
                    " "
                    <span class="muted">
                        <Time at=format::machine_time(at) />
                    </span>
                </dd>
            </div>
        }
    })
}
