//! `/jobs/delete?job=1&job=2`: asks for confirmation before several jobs are deleted.

use axum::http::StatusCode;
use backend::{Backend, Viewer};
use domain::{Job, format};
use leptos::prelude::*;
use url::form_urlencoded;

use super::failure::{failure, refused};
use crate::{Page, Site, api, components::FileName};

/// The maximum number of jobs listed by name.
const MAX_NAMED: usize = 10;

/// `list` is the address of the list in which they were selected.
pub async fn delete_jobs(
    site: &Site,
    backend: &Backend,
    viewer: &Viewer,
    query: &str,
    list: Option<String>,
) -> Page {
    let fields: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let Some(job_ids) = api::chosen_jobs(&fields) else {
        let sentence = "This link is wrong. Choose the jobs again.";
        return refused(site, StatusCode::UNPROCESSABLE_ENTITY, sentence);
    };
    let jobs = match backend::queries::chosen(backend, viewer, &job_ids).await {
        Ok(jobs) => jobs,
        Err(error) => return failure(site, error.into()),
    };
    let list = list.unwrap_or_else(|| "/".to_owned());
    let title = match jobs.len() as u64 {
        0 => "Nothing to delete".to_owned(),
        count => format!("Delete {}?", format::counted(count, "job")),
    };
    site.page(StatusCode::OK, &title.clone(), || {
        view! {
            <section class="failure">
                <h1>{title}</h1>
                {match jobs.is_empty() {
                    true => nothing(list).into_any(),
                    false => question(jobs, list).into_any(),
                }}
            </section>
        }
    })
}

fn nothing(list: String) -> impl IntoView {
    view! {
        <p>"No job is selected, or the selected jobs are already deleted."</p>
        <p>
            <a class="button" href=list>
                "Back to the list"
            </a>
        </p>
    }
}

fn question(jobs: Vec<Job>, list: String) -> impl IntoView {
    let count = jobs.len() as u64;
    let bytes = jobs.iter().map(|job| job.bytes).sum();
    let active = jobs
        .iter()
        .filter(|job| job.state.status.is_active())
        .count() as u64;
    let jobs_counted = format::counted(count, "job");
    let files = if count == 1 {
        "its file"
    } else {
        "their files"
    };
    let sentence = format!(
        "This deletes {jobs_counted} with {files} ({}), rows and results. It can't be undone.",
        format::bytes(bytes)
    );
    let active = (active > 0).then(|| {
        let sentence = match active {
            1 => "1 of them is being processed and will be stopped.".to_owned(),
            _ => format!(
                "{} of them are being processed and will be stopped.",
                format::count(active)
            ),
        };
        view! { <p>{sentence}</p> }
    });
    let ids: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
    let more = (jobs.len() > MAX_NAMED).then(|| {
        let more = (jobs.len() - MAX_NAMED) as u64;
        view! { <li>{format!("and {} more", format::count(more))}</li> }
    });
    let named = jobs.into_iter().take(MAX_NAMED).map(|job| {
        view! {
            <li>
                <a href=format!("/jobs/{}", job.id)>
                    <FileName name=job.filename />
                </a>
                {format!(" ({})", format::bytes(job.bytes))}
            </li>
        }
    });
    view! {
        <p>{sentence}</p>
        {active}
        <ul class="plain-list">{named.collect_view()} {more}</ul>
        <form method="post" action="/jobs/commands">
            {ids
                .into_iter()
                .map(|id| view! { <input type="hidden" name="job" value=id /> })
                .collect_view()}
            <input type="hidden" name="from" value=list.clone() />
            <div class="actions">
                <button
                    class="button button-danger"
                    name="command"
                    value="delete"
                    data-under-way="Deleting…"
                >
                    {format!("Delete {jobs_counted}")}
                </button>
                <a class="button" href=list>
                    {if count == 1 { "Keep it" } else { "Keep them" }}
                </a>
            </div>
        </form>
    }
}
