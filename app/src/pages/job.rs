//! `/jobs/{id}`: how far a job is, live, and its rows.

mod details;
mod downloads;
mod report;
mod rows;
mod summary;

use leptos::{either::Either, prelude::*};
use leptos_router::hooks::{use_params_map, use_query_map};

use self::{
    details::Details,
    downloads::Downloads,
    report::Report,
    rows::{Rows, use_rows},
    summary::Summary,
};
use super::{
    failure::{Failure, NotFound},
    refresh_after_question, refresh_without_javascript,
};
use crate::{
    api::{DeleteJob, JobDetails, get_job},
    components::{Announcements, Confirm, ConnectionState, StateTitle, StatusBadge},
    live,
};

#[component]
pub fn JobPage() -> impl IntoView {
    let params = use_params_map();
    let job_id =
        Memo::new(move |_| params.with(|params| params.get_str("id")?.parse::<i64>().ok()));
    let loaded = Resource::new(
        move || job_id.get(),
        async |job_id| match job_id {
            Some(job_id) => Some(get_job(job_id).await),
            None => None,
        },
    );
    // Beside the job, not after it: the server fetches both at once.
    let rows = use_rows(job_id);
    view! {
        <Suspense fallback=|| {
            view! { <p class="loading">"Loading the file…"</p> }
        }>
            {move || Suspend::new(async move {
                match loaded.await {
                    Some(Ok(loaded)) => view! { <JobView loaded rows /> }.into_any(),
                    Some(Err(error)) => view! { <Failure error /> }.into_any(),
                    None => view! { <NotFound /> }.into_any(),
                }
            })}
        </Suspense>
    }
    .into_any()
}

/// Owns the page's state and its live updates; what it shows only reads them.
#[component]
fn JobView(loaded: JobDetails, rows: Rows) -> impl IntoView {
    let JobDetails { job, user, report } = loaded;
    let (job_id, filename) = (job.id, job.filename.clone());
    let job = RwSignal::new(job);
    let report = RwSignal::new(report);
    let status = Memo::new(move |_| job.with(|job| job.status));
    let announcements = Announcements::new();
    announcements.follow(job.into());

    let refetch = Action::new(move |(): &()| async move {
        // Where it fails, the page stays as it is; the next sign of the server tries again.
        if let Ok(now) = get_job(job_id).await {
            // The page may have been left. An equal version has the times, which no message has.
            let _ = report.try_set(now.report);
            let _ = job.try_update(|job| {
                if now.job.version >= job.version {
                    *job = now.job;
                }
            });
        }
    });
    let refetch = move || {
        if !refetch.pending().get_untracked() {
            refetch.dispatch(());
        }
    };
    let lost = live::watch(
        user.id,
        move |progress| {
            if progress.job_id == job_id && job.with_untracked(|job| job.version < progress.version)
            {
                job.update(|job| progress.apply_to(job));
            }
        },
        move |was_lost| {
            if was_lost || status.get_untracked().is_active() {
                refetch();
            }
        },
    );
    live::on_return(refetch);
    live::follow(job.into(), move || {
        refetch();
        rows.refetch();
    });

    let is_question_open =
        use_query_map().with_untracked(|query| query.get_str("ask") == Some("cancel"));
    let refresh = move || {
        status.get().is_active().then(|| match is_question_open {
            true => Either::Left(refresh_after_question(&format!("/jobs/{job_id}"))),
            false => Either::Right(refresh_without_javascript()),
        })
    };

    let title = {
        let filename = filename.clone();
        move || {
            job.with(|job| match job.status {
                domain::JobStatus::Pending => filename.clone(),
                domain::JobStatus::Failed => format!("Failed · {filename}"),
                domain::JobStatus::Paused => format!("Paused · {filename}"),
                domain::JobStatus::Cancelled => format!("Cancelled · {filename}"),
                _ => format!("{} % · {filename}", job.progress_percent as u8),
            })
        }
    };
    view! {
        <StateTitle text=title />
        {refresh}
        <nav class="crumbs" aria-label="Breadcrumb">
            <a href="/">"Users"</a>
            <span aria-hidden="true">"/"</span>
            <a href=format!("/users/{}", user.id) aria-keyshortcuts="b">
                {user.name}
            </a>
            <span aria-hidden="true">"/"</span>
            <span aria-current="page">{filename.clone()}</span>
        </nav>
        <div class="page-head page-head-row">
            <h1>{filename}</h1>
            <StatusBadge status />
        </div>
        <Summary job status report is_question_open />
        <Report job report />
        <rows::Table job=job.into() rows />
        <div class="columns columns-even">
            <Details job />
            <div class="stack">
                <Downloads job />
                <Delete job_id user_id=user.id />
            </div>
        </div>
        {announcements.region()}
        <ConnectionState lost />
    }
    .into_any()
}

#[component]
fn Delete(job_id: i64, user_id: i64) -> impl IntoView {
    let delete = ServerAction::<DeleteJob>::new();
    let error = Signal::derive(move || {
        delete
            .value()
            .with(|result| result.as_ref()?.as_ref().err().cloned())
    });
    view! {
        <section class="panel" aria-labelledby="delete">
            <h2 id="delete">"Delete"</h2>
            <p class="muted">"Removes the uploaded file, its rows and its results."</p>
            <Confirm id="delete-job" button="Delete file…" question="Delete this file?" error>
                <p>"The file goes with all its rows and results. This can't be undone."</p>
                <ActionForm action=delete>
                    <input type="hidden" name="job_id" value=job_id.to_string() />
                    <input type="hidden" name="user_id" value=user_id.to_string() />
                    <button class="button button-danger" disabled=delete.pending()>
                        "Delete file"
                    </button>
                </ActionForm>
            </Confirm>
        </section>
    }
    .into_any()
}
