use chrono::{DateTime, Utc};
use domain::Job;
use leptos::prelude::*;

use crate::{components::Time, format};

/// The file as it was uploaded, and when what happened to it.
#[component]
pub fn Details(job: RwSignal<Job>) -> impl IntoView {
    let (bytes, sha256, created_at) =
        job.with_untracked(|job| (job.bytes, job.sha256.clone(), job.created_at));
    let started_at = Memo::new(move |_| job.with(|job| job.started_at));
    let finished_at = Memo::new(move |_| job.with(|job| job.finished_at));
    view! {
        <section class="panel" aria-labelledby="details">
            <h2 id="details">"Details"</h2>
            <dl class="details">
                <div>
                    <dt>"Size"</dt>
                    <dd>{format::bytes(bytes)}</dd>
                </div>
                <div>
                    <dt>"SHA-256"</dt>
                    <dd>
                        <code>{sha256}</code>
                    </dd>
                </div>
                <div>
                    <dt>"Uploaded"</dt>
                    <dd>
                        <Time at=created_at />
                    </dd>
                </div>
                {move || happened("Started", started_at.get())}
                {move || happened("Finished", finished_at.get())}
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
                    <Time at />
                </dd>
            </div>
        }
    })
}
