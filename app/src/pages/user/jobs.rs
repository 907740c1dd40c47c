use domain::{Job, JobProgress, JobStatus};
use leptos::prelude::*;

use crate::{
    api::CreateDemoJob,
    components::{Announcements, Controls, Counts, FormError, JobProgressBar, StatusBadge, Time},
    format,
};

/// The jobs that the page shows, newest first. Each has a signal of its own: a message touches
/// nothing but its job.
#[derive(Clone, Copy)]
pub struct Jobs(RwSignal<Vec<(i64, ArcRwSignal<Job>)>>);

impl Jobs {
    pub fn new(jobs: Vec<Job>) -> Self {
        let entry = |job: Job| (job.id, ArcRwSignal::new(job));
        Self(RwSignal::new(jobs.into_iter().map(entry).collect()))
    }

    /// Takes in a newly fetched list. A job of which a message has told something newer keeps it.
    pub fn update(self, fetched: Vec<Job>) {
        let merge = |entries: &mut Vec<(i64, ArcRwSignal<Job>)>| {
            let known = std::mem::take(entries);
            *entries = fetched
                .into_iter()
                .map(|job| match known.iter().find(|(id, _)| *id == job.id) {
                    Some((id, signal)) => {
                        if signal.with_untracked(|known| known.version < job.version) {
                            signal.set(job);
                        }
                        (*id, signal.clone())
                    }
                    None => (job.id, ArcRwSignal::new(job)),
                })
                .collect();
        };
        // The page may have been left.
        let _ = self.0.try_update(merge);
    }

    /// Applies a message; gives whether its job is in the list.
    pub fn apply(self, progress: &JobProgress) -> bool {
        self.0.with_untracked(|entries| {
            let entry = entries.iter().find(|(id, _)| *id == progress.job_id);
            if let Some((_, job)) = entry
                && job.with_untracked(|job| job.version < progress.version)
            {
                job.update(|job| progress.apply_to(job));
            }
            entry.is_some()
        })
    }

    /// The newest job under way.
    pub fn active(self) -> Option<Job> {
        self.0.with(|entries| {
            entries
                .iter()
                .map(|(_, job)| job)
                .find(|job| job.with(|job| job.status.is_active()))
                .map(|job| job.get())
        })
    }

    pub fn count(self) -> u64 {
        self.0.with(|entries| entries.len() as u64)
    }
}

#[component]
pub fn JobList(user_id: i64, jobs: Jobs, announcements: Announcements) -> impl IntoView {
    view! {
        <section aria-labelledby="files">
            <h2 id="files">
                "Files "
                <span class="tally">{move || format::count(jobs.count())}</span>
            </h2>
            <Show
                when=move || { jobs.count() > 0 }
                fallback=move || {
                    view! {
                        <NoJobs user_id />
                    }
                }
            >
                <ul class="cards" aria-label="Files">
                    <For each=move || jobs.0.get() key=|(id, _)| *id let((id, job))>
                        <JobItem id job=RwSignal::from(job) announcements />
                    </For>
                </ul>
            </Show>
        </section>
    }
    .into_any()
}

/// What to do first, with a file of one's own or without.
#[component]
fn NoJobs(user_id: i64) -> impl IntoView {
    let demo = ServerAction::<CreateDemoJob>::new();
    let error = Signal::derive(move || {
        demo.value()
            .with(|result| result.as_ref()?.as_ref().err().cloned())
    });
    view! {
        <div class="empty">
            <h3>"No files yet"</h3>
            <ol>
                <li>
                    "Upload a CSV file with the columns transaction_id, amount and date; a description is optional. "
                    <a href="/sample.csv" rel="external" download>
                        "Here is a small one"
                    </a> "."
                </li>
                <li>"Start it: every row gets its verdict while you watch, or while you don't."</li>
                <li>
                    "Look at the problems by kind, and download the invalid rows with their reasons."
                </li>
            </ol>
            <p>"No file at hand? A demonstration has 200,000 rows, and problems of many kinds."</p>
            <ActionForm action=demo>
                <FormError error />
                <input type="hidden" name="user_id" value=user_id.to_string() />
                <button class="button" disabled=demo.pending()>
                    {move || {
                        if demo.pending().get() { "Preparing it…" } else { "Try the demonstration" }
                    }}
                </button>
            </ActionForm>
        </div>
    }
    .into_any()
}

#[component]
fn JobItem(id: i64, job: RwSignal<Job>, announcements: Announcements) -> impl IntoView {
    announcements.follow(job.into());
    let (filename, created_at, bytes) =
        job.with_untracked(|job| (job.filename.clone(), job.created_at, job.bytes));
    let status = Memo::new(move |_| job.with(|job| job.status));
    view! {
        <li class="card">
            <div class="card-head">
                <a class="card-title" href=format!("/jobs/{id}")>
                    {filename}
                </a>
                <StatusBadge status />
            </div>
            <p class="muted">
                {format::bytes(bytes)} " · uploaded " <Time at=created_at />
            </p>
            {move || match status.get() {
                JobStatus::Pending => ().into_any(),
                JobStatus::Failed => {
                    view! { <p class="notice notice-bad">{move || job.with(|job| job.error.clone())}</p> }
                        .into_any()
                }
                JobStatus::Processing
                | JobStatus::Completed
                | JobStatus::Paused
                | JobStatus::Cancelled => {
                    view! {
                        <JobProgressBar job />
                        <Counts job compact=true />
                    }
                        .into_any()
                }
            }}
            <Controls job />
        </li>
    }
    .into_any()
}
