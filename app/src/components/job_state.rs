use domain::{JobState, JobStatus, Phase, format};
use leptos::prelude::*;

use super::{some_text, text};

/// Returns the meaning of the job's colour: its status, and for a completed job whether all rows are valid.
fn tone(job: &JobState) -> &'static str {
    match job.status {
        JobStatus::Completed if job.invalid_records == 0 => "valid",
        JobStatus::Completed if job.valid_records == 0 => "invalid",
        JobStatus::Completed => "mixed",
        status => status.as_str(),
    }
}

#[component]
pub fn StatusBadge(job: Signal<JobState>) -> impl IntoView {
    let name = text(move || match job.with(|job| job.status) {
        JobStatus::Pending => "Pending",
        JobStatus::Processing => "Processing",
        JobStatus::Completed => "Completed",
        JobStatus::Failed => "Failed",
        JobStatus::Paused => "Paused",
        JobStatus::Cancelled => "Cancelled",
    });
    view! {
        <span
            class="badge"
            data-status=text(move || job.with(|job| job.status.as_str()))
            data-tone=text(move || job.with(tone))
        >
            {name}
        </span>
    }
}

#[component]
pub fn JobProgressBar(#[prop(into)] job: Signal<JobState>, filename: String) -> impl IntoView {
    let label = format!("Progress of {filename}");
    // The progress of reading is unknown.
    let percent = Memo::new(move |_| {
        job.with(|job| (job.phase() != Some(Phase::Reading)).then_some(job.progress_percent))
    });
    // The share of invalid rows, once it is final.
    let invalid = some_text(move || {
        job.with(|job| {
            let share = job.invalid_records as f64 / job.total_records.max(1) as f64 * 100.0;
            (tone(job) == "mixed").then(|| format::short(share.max(1.0)))
        })
    });
    view! {
        <div class="progress" data-tone=text(move || job.with(tone))>
            <div class="progress-bar">
                <progress
                    max="100"
                    value=some_text(move || percent.get().map(format::short))
                    aria-label=label
                ></progress>
                <svg class="progress-invalid" aria-hidden="true">
                    <rect width=some_text(move || invalid.get().map(|share| share + "%")) height="100%" />
                </svg>
            </div>
            <span class="progress-percent">
                {some_text(move || percent.get().map(format::percent))}
            </span>
        </div>
    }
}

/// Announces the state of jobs to screen readers: when it changes, and at each quarter of the work. Announcing every
/// message would drown out everything else.
#[derive(Clone, Copy)]
pub struct Announcements(RwSignal<String>);

impl Announcements {
    pub fn new() -> Self {
        Self(RwSignal::default())
    }

    /// Announces `job` until the owner of the calling component is dropped.
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

/// Returns the announcement of a list for a changed job.
#[cfg(feature = "ssr")]
pub fn job_news(job: &JobState, filename: &str) -> String {
    match job.status {
        JobStatus::Processing => format!("{filename} is being processed."),
        _ => sentence(job, filename),
    }
}

fn sentence(job: &JobState, filename: &str) -> String {
    match job.status {
        JobStatus::Pending => format!("{filename} is ready to start."),
        JobStatus::Processing if job.phase() == Some(Phase::Finishing) => {
            format!("{filename} is finishing.")
        }
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

/// Shows discreetly that live updates are interrupted.
#[component]
pub fn ConnectionState(lost: ReadSignal<bool>) -> impl IntoView {
    view! {
        <p class="connection" role="status">
            {some_text(move || lost.get().then_some("Connection lost. Reconnecting…"))}
        </p>
    }
}
