use domain::{JOBS_CHANGED, JobDeleted, JobId, JobProgress, JobState, JobStatus, Phase, format};
use leptos::{either::EitherOf3, prelude::*};
use serde::Deserialize;

use super::renew;
use crate::{
    AppError,
    components::{
        Announcements, ConnectionState, Controls, Counts, FileName, JobProgressBar, StatusBadge,
        follow_title, shown, some_text, text,
    },
    live,
};

/// The header of a job's page, and what its status requires: starting it, its progress, its result, or why it failed.
/// Keeps the rest of the page up to date, too.
#[island]
pub fn JobSummary(
    job_id: JobId,
    job: JobState,
    filename: String,
    /// The part of the page's query that links to rows keep, such as `&size=50`.
    kept: String,
    /// Whether the page asks to confirm that the job is cancelled.
    is_question_open: bool,
    /// The error of a command that was posted without JavaScript.
    posted: Option<AppError>,
    /// The results of the rows so far, and their downloads.
    children: Children,
) -> impl IntoView {
    #[derive(Deserialize)]
    struct Fresh {
        job: JobState,
        kept: String,
    }

    let user_id = job.user_id;
    let job = RwSignal::new(job);
    let kept = RwSignal::new(kept);
    let asked = RwSignal::new(None);
    let shown = shown(job, asked);
    let status = Memo::new(move |_| shown.with(|job| job.status));
    let announcements = Announcements::new();
    announcements.follow(job.into(), filename.clone());
    live::on_refresh("JobSummary", move |fresh: Fresh| {
        renew(job, fresh.job);
        kept.set(fresh.kept);
    });
    let lost = live::watch(Some(user_id), move |message| {
        match JobProgress::from_json(message) {
            Ok(update) if update.job_id == job_id => renew(job, update.state),
            Ok(_) => {}
            // The job was deleted, so its page no longer exists.
            Err(_) if JobDeleted::from_json(message).is_some_and(|it| it.job_id == job_id) => {
                live::refresh();
            }
            // The server may have missed messages about this job.
            Err(_) if message == JOBS_CHANGED => live::refresh(),
            // Anything else only shows that the connection is alive.
            Err(_) => {}
        }
    });
    live::follow(job.into());
    let quiet = live::quiet_seconds(shown);
    // While the connection is lost, it is unknown whether there is progress.
    let quiet = Memo::new(move |_| match lost.get() {
        true => quiet.get().min(QUIET_SECONDS - 1),
        false => quiet.get(),
    });
    let heading = filename.clone();
    let name = filename.clone();
    follow_title(move || shown.with(|job| title(job, &name)));
    view! {
        <div class="page-head page-head-row">
            <h1>
                <FileName name=heading />
            </h1>
            <StatusBadge job=shown />
        </div>
        <section class="panel summary" aria-label="Progress">
            {move || match status.get() {
                JobStatus::Pending => {
                    EitherOf3::A(
                        view! {
                            <p>"Uploaded and ready. You can close this page while it runs."</p>
                        },
                    )
                }
                JobStatus::Failed => EitherOf3::B(view! { <Failed job_id job=shown /> }),
                _ => {
                    EitherOf3::C(
                        view! {
                            <p class="headline">
                                {text(move || shown.with(|job| headline(job, quiet.get())))}
                            </p>
                            <JobProgressBar job=shown filename=filename.clone() />
                            <Counts job_id job=shown kept=kept.into() />
                        },
                    )
                }
            }}
            {children()}
            <Controls job_id job asked posted is_question_open />
        </section>
        {announcements.region()}
        <ConnectionState lost />
    }
}

/// Returns the title of the page, which depends on the job's status.
pub fn title(job: &JobState, filename: &str) -> String {
    let state = match job.status {
        JobStatus::Pending => return filename.to_owned(),
        JobStatus::Failed => "Failed".to_owned(),
        JobStatus::Paused => "Paused".to_owned(),
        JobStatus::Cancelled => "Cancelled".to_owned(),
        JobStatus::Completed => "Completed".to_owned(),
        JobStatus::Processing if job.phase() == Some(Phase::Finishing) => "Finishing".to_owned(),
        JobStatus::Processing => format!("{}%", job.progress_percent as u8),
    };
    format!("{state} · {filename}")
}

/// The number of seconds without updates after which the page says so.
const QUIET_SECONDS: u64 = 30;

/// Returns what the job's numbers mean: the verdict on its rows, what it waits for, or how long it takes.
fn headline(job: &JobState, quiet: u64) -> String {
    let retry = "Retrying starts again from row 1.";
    match (job.status, job.phase()) {
        (JobStatus::Paused, _) => "Paused. Resume to continue where it left off.".to_owned(),
        (JobStatus::Cancelled, _) if job.processed_records == 0 => {
            format!("Cancelled before any row was checked. {retry}")
        }
        (JobStatus::Cancelled, _) => format!(
            "Cancelled after {}. {retry}",
            format::counted(job.processed_records, "row")
        ),
        (_, Some(_)) if job.waits_for.is_some() => {
            let what = job.waits_for.as_deref().unwrap_or_default();
            format!("{what} Trying again until it works.")
        }
        (_, Some(phase)) if quiet >= QUIET_SECONDS => {
            let awaited = match phase {
                Phase::Reading => "to read the file",
                Phase::Checking => "to check the next rows",
                Phase::Finishing => "to finish the job",
            };
            let quiet = format::seconds((quiet / 10 * 10) as f64);
            format!("No progress for {quiet}. Waiting for a worker {awaited}.")
        }
        (_, Some(Phase::Reading)) => "Reading the file…".to_owned(),
        (_, Some(Phase::Checking)) => format!("Checking rows{}", left(job.eta_seconds, quiet)),
        (_, Some(Phase::Finishing)) => "Finishing. Every row is checked.".to_owned(),
        _ => format::verdict(
            job.total_records,
            job.invalid_records,
            job.suspicious_records,
        ),
    }
}

/// Returns an estimate that was made `age` seconds ago.
fn left(eta_seconds: Option<f64>, age: u64) -> String {
    match eta_seconds.map(|eta| eta - age as f64) {
        None => "…".to_owned(),
        Some(left) if left < 0.0 && age > 0 => ", longer than expected…".to_owned(),
        Some(left) => format!(", about {} left", format::about(left)),
    }
}

#[component]
fn Failed(job_id: JobId, job: Signal<JobState>) -> impl IntoView {
    let user_id = job.with_untracked(|job| job.user_id);
    // Only errors of the file have a code.
    let code = Memo::new(move |_| job.with(|job| job.error_code.clone()));
    let advice = move || {
        let is_asked = code.get()?.starts_with("format.");
        let fix = if is_asked {
            "Answer the questions below, or fix the file and "
        } else {
            "Fix the file and "
        };
        Some(view! {
            <p>
                {fix} <a href=format!("/users/{user_id}?corrects={job_id}#upload")>"upload it again"</a>
                ". This copy stays until you delete it."
            </p>
        })
    };
    view! {
        <div class="notice notice-bad">
            <p>
                <strong>"This file was not processed. "</strong>
                {some_text(move || job.with(|job| job.error.clone()))}
            </p>
        </div>
        {advice}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(status: JobStatus, processed_records: u64, batches: (u32, u32)) -> JobState {
        let message = r#"{"job_id":1,"user_id":2,"status":"processing","progress_percent":42.0,"processed_records":5,
            "total_records":10,"valid_records":4,"invalid_records":1,"suspicious_records":0,"batch_completed":1,
            "total_batches":2,"rows_per_second":2.5,"eta_seconds":20.0,"error":null,"run":1,"version":1}"#;
        JobState {
            status,
            processed_records,
            batch_completed: batches.0,
            total_batches: batches.1,
            ..JobProgress::from_json(message).unwrap().state
        }
    }

    #[test]
    fn estimates_age() {
        let checking = job(JobStatus::Processing, 5, (1, 2));
        for (quiet, expect) in [
            (0, "Checking rows, about 20\u{a0}s left"),
            (14, "Checking rows, about 5\u{a0}s left"),
            (21, "Checking rows, longer than expected…"),
            (
                47,
                "No progress for 40\u{a0}s. Waiting for a worker to check the next rows.",
            ),
        ] {
            assert_eq!(headline(&checking, quiet), expect);
        }
    }

    #[test]
    fn a_job_says_what_it_waits_for() {
        let waits = |status| JobState {
            waits_for: Some("The file storage is full.".to_owned()),
            ..job(status, 5, (1, 2))
        };
        assert_eq!(
            headline(&waits(JobStatus::Processing), 47),
            "The file storage is full. Trying again until it works."
        );
        assert!(headline(&waits(JobStatus::Paused), 0).starts_with("Paused."));
    }

    #[test]
    fn each_phase_and_end_has_its_words() {
        let says = |status, processed, batches| headline(&job(status, processed, batches), 0);
        let active = JobStatus::Processing;
        assert_eq!(says(active, 0, (0, 0)), "Reading the file…");
        assert_eq!(says(active, 10, (2, 2)), "Finishing. Every row is checked.");
        let cancelled = JobStatus::Cancelled;
        assert!(says(cancelled, 0, (0, 2)).starts_with("Cancelled before any row was checked."));
        assert!(says(cancelled, 5, (1, 2)).starts_with("Cancelled after 5 rows."));
        assert_eq!(
            says(JobStatus::Completed, 10, (2, 2)),
            "1 of 10 rows is invalid."
        );
    }

    #[test]
    fn titles_distinguish_running_done_and_failed() {
        let title = |status, batches| title(&job(status, 5, batches), "a.csv");
        assert_eq!(title(JobStatus::Processing, (1, 2)), "42% · a.csv");
        assert_eq!(title(JobStatus::Processing, (2, 2)), "Finishing · a.csv");
        assert_eq!(title(JobStatus::Completed, (2, 2)), "Completed · a.csv");
        assert_eq!(title(JobStatus::Failed, (0, 0)), "Failed · a.csv");
    }
}
