//! `/jobs/{id}`: the progress of a job, live, and its rows.

mod chart;
mod details;
mod downloads;
mod questions;
mod reading;
mod report;
mod result;
mod rows;
mod spread;
mod throughput;
mod versions;

use axum::http::StatusCode;
use backend::{Backend, Viewer};
use chrono::Utc;
use domain::{JobId, UserId, format};
use leptos::{prelude::*, server_fn::ServerFn};

use self::{
    details::Details, downloads::Downloads, questions::Questions, reading::HowItIsRead,
    report::Report, result::ResultFacts, rows::Rows, spread::Spread, versions::VersionList,
};
use super::{
    REFRESH_SECONDS,
    failure::{failure, not_found},
};
use crate::{
    Page, Query, Site,
    api::{self, CommandJob, DeleteJob, JobDetails},
    components::{Confirm, FileName, error_title},
    islands::{JobSummary, job_title},
};

/// Submits answers to the questions of a job. Returns the redirect, or the page with the answers and either their error
/// or, if only a preview was requested, the rows as read with them.
pub async fn answer(
    site: &Site,
    backend: &Backend,
    viewer: &Viewer,
    id: &str,
    fields: &[(String, String)],
) -> Result<String, Page> {
    let Ok(job_id) = id.parse() else {
        return Err(not_found(site));
    };
    if fields
        .iter()
        .any(|(name, value)| name == "only" && value == "preview")
    {
        let query = Query::default().with_answers(fields, None);
        return Err(job(site, backend, viewer, id, &query).await);
    }
    match api::answer_questions(backend, viewer, job_id, fields).await {
        Ok(()) => Ok(format!("/jobs/{job_id}")),
        Err(error) => {
            let query = Query::default().with_answers(fields, Some(error.message));
            let page = job(site, backend, viewer, id, &query).await;
            Err(Page {
                status: error.kind.status(),
                ..page
            })
        }
    }
}

pub async fn job(site: &Site, backend: &Backend, viewer: &Viewer, id: &str, query: &Query) -> Page {
    let Ok(job_id) = id.parse() else {
        return not_found(site);
    };
    // Reads the state first, so that the rest is at least as new. Otherwise, a job that completes in between would be
    // shown as completed and without rows, and no message would cause the page to be fetched again.
    let details = api::job(backend, viewer, job_id).await;
    let JobDetails {
        job,
        user,
        report,
        file,
        same_file_as,
        versions,
        events,
        expires_at,
    } = match details {
        Ok(details) => details,
        Err(error) => return failure(site, error),
    };
    let rows = Rows::read(backend, viewer, job_id, query).await;
    let status = rows
        .error()
        .map_or(StatusCode::OK, |error| error.kind.status());
    let is_question_open = query.get("ask") == "cancel";
    // An open question leaves time to answer before the page starts to reload again.
    let refresh = job
        .state
        .status
        .is_active()
        .then(|| match is_question_open {
            true => format!("60;url=/jobs/{job_id}"),
            false => REFRESH_SECONDS.to_owned(),
        });
    let title = job_title(&job.state, &job.filename);
    let title = match rows.error() {
        Some(_) => error_title(&title),
        None => query.title(&title),
    };
    let (lists_users, host) = (site.lists_users(), site.host());
    site.live_page(status, &title, refresh, || {
        let facts = view! { <ResultFacts job=&job report=&report /> };
        let downloads = view! { <Downloads job=&job /> };
        let problems = report.problems.ranked();
        let kept = rows.kept();
        view! {
            <nav class="crumbs" aria-label="Breadcrumb">
                {lists_users
                    .then(|| {
                        view! {
                            <a href="/users">"Users"</a>
                            <span aria-hidden="true">"/"</span>
                        }
                    })}
                <a href=format!("/users/{}", user.id) aria-keyshortcuts="b">
                    <bdi>{user.name.clone()}</bdi>
                </a>
                <span aria-hidden="true">"/"</span>
                <span aria-current="page">
                    <FileName name=job.filename.clone() />
                </span>
            </nav>
            <p class="on-paper">
                <bdi>{user.name}</bdi>
                {format!(
                    ", {} · {} · printed from {host}/jobs/{job_id} at {}",
                    user.email,
                    job.filename,
                    format::time(&format::machine_time(Utc::now())),
                )}
            </p>
            <JobSummary
                job_id
                job=job.state.clone()
                filename=job.filename.clone()
                kept
                is_question_open
                posted={query.posted::<CommandJob>()}
            >
                {facts} {downloads}
            </JobSummary>
            {same_file_as.map(same_file)}
            <VersionList job=&job versions />
            <Questions job=&job file=&file query module=&site.check />
            <Report job=&job problems address=rows.address() />
            <rows::Table job=&job rows />
            <Spread report=&report />
            <div class="columns columns-even">
                <Details job=&job events expires_at throughput=report.throughput />
                <div class="stack">
                    <HowItIsRead file=&file />
                    <Delete job_id user_id=user.id filename=job.filename.clone() bytes=job.bytes query />
                </div>
            </div>
        }
    })
}

/// Says that the same file was uploaded before.
fn same_file(earlier: JobId) -> impl IntoView {
    view! {
        <p class="notice">
            "You uploaded the same file before. "
            <a href=format!("/jobs/{earlier}")>"Open that job"</a>
            ", or continue with this one."
        </p>
    }
}

#[component]
fn Delete<'a>(
    job_id: JobId,
    user_id: UserId,
    filename: String,
    bytes: u64,
    query: &'a Query,
) -> impl IntoView + use<> {
    let size = format::bytes(bytes);
    view! {
        <section class="panel" aria-labelledby="delete">
            <h2 id="delete">"Delete"</h2>
            <Confirm
                id="delete-job"
                button="Delete file…"
                question="Delete this file?"
                error={query.posted::<DeleteJob>()}
            >
                <p>
                    "This deletes " <FileName name=filename />
                    {format!(" ({size}), its rows and results. It can't be undone.")}
                </p>
                <form method="post" action=DeleteJob::PATH>
                    <input type="hidden" name="job_id" value=job_id.to_string() />
                    <input type="hidden" name="user_id" value=user_id.to_string() />
                    <button class="button button-danger" data-under-way="Deleting…">
                        "Delete file"
                    </button>
                </form>
            </Confirm>
        </section>
    }
    .into_any()
}
