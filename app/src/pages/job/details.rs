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
    let took = Memo::new(move |_| Some(finished_at.get()? - started_at.get()?));
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
                {move || {
                    started_at
                        .get()
                        .map(|at| {
                            view! {
                                <div>
                                    <dt>"Started"</dt>
                                    <dd>
                                        <Time at />
                                    </dd>
                                </div>
                            }
                        })
                }}
                {move || {
                    finished_at
                        .get()
                        .map(|at| {
                            view! {
                                <div>
                                    <dt>"Finished"</dt>
                                    <dd>
                                        <Time at />
                                    </dd>
                                </div>
                            }
                        })
                }}
                {move || {
                    took.get()
                        .map(|took| {
                            let seconds = took.num_milliseconds() as f64 / 1000.0;
                            view! {
                                <div>
                                    <dt>"Duration"</dt>
                                    <dd>{format::seconds(seconds)}</dd>
                                </div>
                            }
                        })
                }}
            </dl>
        </section>
    }
    .into_any()
}
