use domain::{JobId, JobProgress, JobState, JobStatus, UserId, format};
use leptos::{
    either::{Either, EitherOf3},
    prelude::*,
    server_fn::ServerFn,
};
use serde::{Deserialize, Serialize};

use super::{job_summary::title as job_title, renew};
use crate::{
    AppError,
    api::CreateDemoJob,
    components::{
        Announcements, ConnectionState, Controls, Counts, FileName, FormError, JobProgressBar,
        StatusBadge, Time, follow_title, shown, some_text, text,
    },
    live,
};

/// One of a user's files.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListedJob {
    pub job_id: JobId,
    pub job: JobState,
    pub filename: String,
    pub bytes: u64,
    /// As [`format::machine_time`] has it.
    pub created_at: String,
}

/// A page of a user's files, newest first. Keeps the rest of the page up to date as well.
#[island]
pub fn JobList(
    user_id: UserId,
    user_name: String,
    jobs: Vec<ListedJob>,
    /// How many files there are on all pages.
    total: u64,
    /// The error of a command that was posted without JavaScript.
    posted: Option<AppError>,
    /// Why there is no demonstration.
    demo_error: Option<AppError>,
) -> impl IntoView {
    #[derive(Deserialize)]
    struct Fresh {
        user_name: String,
        jobs: Vec<ListedJob>,
        total: u64,
    }

    let user_name = RwSignal::new(user_name);
    let jobs = Jobs::new(jobs);
    let total = RwSignal::new(total);
    // What messages have told of jobs that are not on this page, or not yet: it may be newer than the page that brings
    // them.
    let others = StoredValue::new(Vec::<JobProgress>::new());
    let announcements = Announcements::new();
    live::on_refresh("JobList", move |fresh: Fresh| {
        user_name.set(fresh.user_name);
        jobs.update(fresh.jobs);
        others.update_value(|others| others.retain(|told| !jobs.apply(told.clone())));
        total.set(fresh.total);
    });
    let lost = live::watch(
        user_id,
        move |told| {
            if !jobs.apply(told.clone())
                && others.try_update_value(|others| keep(others, told)) == Some(true)
            {
                live::refresh();
            }
        },
        move |was_lost| {
            if was_lost || untrack(|| jobs.active()).is_some() {
                live::refresh();
            }
        },
    );
    follow_title(move || {
        let active = jobs.active();
        let active = active
            .as_ref()
            .map(|(job, filename)| (job, filename.as_str()));
        title(active, &user_name.read())
    });
    let has_jobs = Memo::new(move |_| total.get() > 0);
    let list = move || {
        let posted = posted.clone();
        view! {
            <ul class="cards" aria-label="Files">
                <For each=move || jobs.0.get() key=|entry| entry.job_id let(entry)>
                    <JobItem entry posted=posted.clone() announcements />
                </For>
            </ul>
        }
    };
    view! {
        <section aria-labelledby="files">
            <h2 id="files">
                "Files "
                <span class="tally">{text(move || format::count(total.get()))}</span>
            </h2>
            {move || match has_jobs.get() {
                true => Either::Left(list()),
                false => Either::Right(view! { <NoJobs user_id error=demo_error.clone() /> }),
            }}
        </section>
        {announcements.region()}
        <ConnectionState lost />
    }
}

/// What the page is called: how far the newest job under way is, and its file.
pub fn title(active: Option<(&JobState, &str)>, user_name: &str) -> String {
    match active {
        Some((job, filename)) => job_title(job, filename),
        None => user_name.to_owned(),
    }
}

/// The jobs that the page shows, newest first.
#[derive(Clone, Copy)]
struct Jobs(RwSignal<Vec<Entry>>);

/// Keeps what was told of a job; gives whether nothing was told of it before.
fn keep(others: &mut Vec<JobProgress>, told: JobProgress) -> bool {
    match others.iter_mut().find(|other| other.job_id == told.job_id) {
        Some(other) => {
            other.state.renew(told.state);
            false
        }
        None => {
            others.push(told);
            true
        }
    }
}

/// Each has a signal of its own: a message touches nothing but its job.
#[derive(Clone)]
struct Entry {
    job_id: JobId,
    job: ArcRwSignal<JobState>,
    filename: String,
    bytes: u64,
    created_at: String,
}

impl From<ListedJob> for Entry {
    fn from(listed: ListedJob) -> Self {
        Self {
            job_id: listed.job_id,
            job: ArcRwSignal::new(listed.job),
            filename: listed.filename,
            bytes: listed.bytes,
            created_at: listed.created_at,
        }
    }
}

impl Jobs {
    fn new(jobs: Vec<ListedJob>) -> Self {
        Self(RwSignal::new(jobs.into_iter().map(Entry::from).collect()))
    }

    /// Takes in a newly fetched list. A job of which a message has told something newer keeps it.
    fn update(self, fetched: Vec<ListedJob>) {
        self.0.update(|entries| {
            let known = std::mem::take(entries);
            let entry = |listed: ListedJob| {
                let id = listed.job_id;
                match known.iter().find(|entry| entry.job_id == id) {
                    Some(entry) => {
                        renew(entry.job.clone(), listed.job);
                        entry.clone()
                    }
                    None => listed.into(),
                }
            };
            *entries = fetched.into_iter().map(entry).collect();
        });
    }

    /// Applies a message; gives whether its job is in the list.
    fn apply(self, told: JobProgress) -> bool {
        self.0.with_untracked(|entries| {
            let entry = entries.iter().find(|entry| entry.job_id == told.job_id);
            let is_listed = entry.is_some();
            if let Some(entry) = entry {
                renew(entry.job.clone(), told.state);
            }
            is_listed
        })
    }

    /// The newest job under way, and its file.
    fn active(self) -> Option<(JobState, String)> {
        self.0.with(|entries| {
            entries
                .iter()
                .find(|entry| entry.job.with(|job| job.status.is_active()))
                .map(|entry| (entry.job.get(), entry.filename.clone()))
        })
    }
}

/// What to do first, with a file of one's own or without.
#[component]
fn NoJobs(user_id: UserId, error: Option<AppError>) -> impl IntoView {
    view! {
        <div class="empty">
            <h3>"No files yet"</h3>
            <ol>
                <li>
                    "Upload a file of transactions. "
                    <a href="/sample.csv" download>
                        "Download a sample file"
                    </a>
                </li>
                <li>"Start processing. You can close the page; it keeps running."</li>
                <li>"Review the problems and download the rows to fix."</li>
            </ol>
            <p>"No file to hand?"</p>
            <form method="post" action=CreateDemoJob::PATH>
                <FormError error />
                <input type="hidden" name="user_id" value=user_id.to_string() />
                <button class="button" data-under-way="Preparing…">
                    "Try it with 200,000 sample rows"
                </button>
            </form>
        </div>
    }
}

#[component]
fn JobItem(entry: Entry, posted: Option<AppError>, announcements: Announcements) -> impl IntoView {
    let Entry {
        job_id,
        job,
        filename,
        bytes,
        created_at,
    } = entry;
    let job = RwSignal::from(job);
    announcements.follow(job.into(), filename.clone());
    let asked = RwSignal::new(None);
    let shown = shown(job, asked);
    let status = Memo::new(move |_| shown.with(|job| job.status));
    view! {
        <li class="card">
            <div class="card-head">
                <a class="card-title" href=format!("/jobs/{job_id}")>
                    <FileName name=filename.clone() />
                </a>
                <StatusBadge job=shown />
            </div>
            <p class="muted">{format::bytes(bytes)} " · uploaded " <Time at=created_at /></p>
            {move || match status.get() {
                JobStatus::Pending => EitherOf3::A(()),
                JobStatus::Failed => {
                    let error = some_text(move || shown.with(|job| job.error.clone()));
                    EitherOf3::B(view! { <p class="notice notice-bad">{error}</p> })
                }
                JobStatus::Processing
                | JobStatus::Completed
                | JobStatus::Paused
                | JobStatus::Cancelled => {
                    EitherOf3::C(
                        view! {
                            <JobProgressBar job=shown filename=filename.clone() />
                            <Counts job_id job=shown compact=true />
                        },
                    )
                }
            }}
            <Controls job_id job asked posted />
        </li>
    }
}
