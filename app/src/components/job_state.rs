use domain::{JobState, JobStatus, format};
use leptos::prelude::*;

use super::{some_text, text};

#[component]
pub fn StatusBadge(#[prop(into)] status: Signal<JobStatus>) -> impl IntoView {
    let name = text(move || match status.get() {
        JobStatus::Pending => "Pending",
        JobStatus::Processing => "Processing",
        JobStatus::Completed => "Completed",
        JobStatus::Failed => "Failed",
        JobStatus::Paused => "Paused",
        JobStatus::Cancelled => "Cancelled",
    });
    view! {
        <span class="badge" data-status=text(move || status.get().as_str())>
            {name}
        </span>
    }
}

#[component]
pub fn JobProgressBar(#[prop(into)] job: Signal<JobState>, filename: String) -> impl IntoView {
    let label = format!("Progress of {filename}");
    let percent = Memo::new(move |_| job.with(|job| job.progress_percent));
    view! {
        <div class="progress" data-status=text(move || job.with(|job| job.status.as_str()))>
            <progress max="100" value=text(move || format::short(percent.get())) aria-label=label></progress>
            <span class="progress-percent">{text(move || format::percent(percent.get()))}</span>
        </div>
    }
}

/// Says the state of jobs to screen readers: when it changes, and at each quarter of the work. Not
/// at every message, which would drown everything else.
#[derive(Clone, Copy)]
pub struct Announcements(RwSignal<String>);

impl Announcements {
    pub fn new() -> Self {
        Self(RwSignal::default())
    }

    /// Announces `job` from now on, for as long as the owner of the calling component lives.
    pub fn follow(self, job: Signal<JobState>, filename: String) {
        let step = Memo::new(move |_| {
            job.with(|job| (job.status, job.run, (job.progress_percent / 25.0) as u8))
        });
        Effect::new(move |before: Option<(JobStatus, u32, u8)>| {
            let now = step.get();
            if before.is_some_and(|before| before != now) {
                let sentence = job.with_untracked(|job| sentence(job, &filename));
                self.0.set(sentence);
            }
            now
        });
    }

    pub fn region(self) -> impl IntoView {
        view! {
            <p class="visually-hidden" role="status">
                {self.0}
            </p>
        }
    }
}

fn sentence(job: &JobState, filename: &str) -> String {
    match job.status {
        JobStatus::Pending => format!("{filename} waits for its start."),
        JobStatus::Processing => {
            format!("{filename}: {} percent.", job.progress_percent as u8)
        }
        JobStatus::Completed => format!(
            "{filename} is completed: {}, {} valid, {} invalid, {} suspicious.",
            format::counted(job.total_records, "row"),
            format::count(job.valid_records),
            format::count(job.invalid_records),
            format::count(job.suspicious_records),
        ),
        JobStatus::Failed => format!("{filename} failed."),
        JobStatus::Paused => format!("{filename} is paused."),
        JobStatus::Cancelled => format!("{filename} is cancelled."),
    }
}

/// Says, discreetly, that the live updates are interrupted.
#[component]
pub fn ConnectionState(lost: ReadSignal<bool>) -> impl IntoView {
    view! {
        <p class="connection" role="status">
            {some_text(move || lost.get().then_some("Connection lost. Reconnecting…"))}
        </p>
    }
}
