//! `/jobs/{id}`: how far a job is, live, and its rows.

mod details;
mod downloads;
mod questions;
mod reading;
mod report;
mod result;
mod rows;

use axum::http::StatusCode;
use backend::Backend;
use domain::{JobId, UserId};
use leptos::{either::Either, prelude::*, server_fn::ServerFn};

use self::{
    details::Details, downloads::Downloads, questions::Questions, reading::HowItIsRead,
    report::Report, result::ResultFacts, rows::Rows,
};
use super::{
    failure::{failure, not_found},
    refresh_after_question, refresh_without_javascript,
};
use crate::{
    Page, Query, Site,
    api::{self, CommandJob, DeleteJob, JobDetails},
    components::Confirm,
    islands::{JobSummary, job_title},
};

/// Sends answers to the questions of a job. Returns where that leads, or the page with what is wrong with them.
pub async fn answer(
    site: &Site,
    backend: &Backend,
    id: &str,
    fields: &[(String, String)],
) -> Result<String, Page> {
    let Ok(job_id) = id.parse() else {
        return Err(not_found(site));
    };
    match api::answer_questions(backend, job_id, fields).await {
        Ok(()) => Ok(format!("/jobs/{job_id}")),
        Err(error) => {
            let query = Query::default().with_answer_error(error.message);
            let page = job(site, backend, id, &query).await;
            Err(Page {
                status: error.kind.status(),
                ..page
            })
        }
    }
}

pub async fn job(site: &Site, backend: &Backend, id: &str, query: &Query) -> Page {
    let Ok(job_id) = id.parse() else {
        return not_found(site);
    };
    let (details, rows) = futures::join!(
        api::job(backend, job_id),
        Rows::read(backend, job_id, query)
    );
    let JobDetails {
        job,
        user,
        report,
        file,
        same_file_as,
    } = match details {
        Ok(details) => details,
        Err(error) => return failure(site, error),
    };
    let status = rows
        .error()
        .map_or(StatusCode::OK, |error| error.kind.status());
    let is_question_open = query.get("ask") == "cancel";
    let is_active = job.state.status.is_active();
    let refresh = is_active.then(|| match is_question_open {
        true => Either::Left(refresh_after_question(&format!("/jobs/{job_id}"))),
        false => Either::Right(refresh_without_javascript()),
    });
    site.page(status, &job_title(&job.state, &job.filename), || {
        let facts = view! { <ResultFacts job=&job report=&report /> };
        view! {
            {refresh}
            <nav class="crumbs" aria-label="Breadcrumb">
                <a href="/">"Users"</a>
                <span aria-hidden="true">"/"</span>
                <a href=format!("/users/{}", user.id) aria-keyshortcuts="b">
                    {user.name}
                </a>
                <span aria-hidden="true">"/"</span>
                <span aria-current="page">{job.filename.clone()}</span>
            </nav>
            <JobSummary
                job_id
                job=job.state.clone()
                filename=job.filename.clone()
                is_question_open
                posted={query.posted::<CommandJob>()}
            >
                {facts}
            </JobSummary>
            {same_file_as.map(same_file)}
            <Questions job=&job file=&file error=query.answer_error() />
            <Report job=&job report />
            <rows::Table job=&job rows />
            <div class="columns columns-even">
                <Details job=&job />
                <div class="stack">
                    <HowItIsRead file=&file />
                    <Downloads job=&job />
                    <Delete job_id user_id=user.id query />
                </div>
            </div>
        }
    })
}

/// Says that the file was here before.
fn same_file(earlier: JobId) -> impl IntoView {
    view! {
        <p class="notice">
            "You uploaded the same file before: "
            <a href=format!("/jobs/{earlier}")>"see that upload"</a>
            ", or go on with this one."
        </p>
    }
}

#[component]
fn Delete<'a>(job_id: JobId, user_id: UserId, query: &'a Query) -> impl IntoView + use<> {
    view! {
        <section class="panel" aria-labelledby="delete">
            <h2 id="delete">"Delete"</h2>
            <p class="muted">"Removes the uploaded file, its rows and its results."</p>
            <Confirm
                id="delete-job"
                button="Delete file…"
                question="Delete this file?"
                error={query.posted::<DeleteJob>()}
            >
                <p>"The file goes with all its rows and results. This can't be undone."</p>
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
