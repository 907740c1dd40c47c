//! `/find?q=march`: matching jobs and users, pages, and commands. With JavaScript it is shown in a dialog on any page
//! (`browser::palette`), with the commands of that page.

use axum::http::StatusCode;
use backend::{Backend, JobList, Viewer};
use chrono::Utc;
use domain::{JobListRequest, PageRequest, format};
use leptos::prelude::*;

use super::failure::failure;
use crate::{
    AppError, Page, Query, Site,
    components::{Age, COMMANDS, FileName},
};

/// The maximum number of results of each kind.
const MOST: usize = 6;

pub async fn find(site: &Site, backend: &Backend, viewer: &Viewer, query: &Query) -> Page {
    let search = query.get("q").trim().replace('\0', "\u{fffd}");
    let read = async {
        let request = JobListRequest::parse(None, |name| {
            query
                .get(match name {
                    "q" => name,
                    _ => "",
                })
                .to_owned()
        });
        let jobs = match request {
            Ok(request) => {
                backend::queries::jobs(backend, viewer, &request, 1, MOST as u64).await?
            }
            // The text is longer than any name.
            Err(errors) => return Err(AppError::invalid(errors)),
        };
        // Without a search they would be the newest users, which is rarely useful.
        let users = match search.is_empty() {
            true => Vec::new(),
            false => {
                backend::users::search(backend, viewer, 1, &search)
                    .await?
                    .users
            }
        };
        Ok::<_, AppError>((jobs, users))
    };
    let (jobs, users) = match read.await {
        Ok(read) => read,
        Err(error) => return failure(site, error),
    };
    let sentence = match (search.is_empty(), jobs.total, users.len() as u64) {
        (true, ..) => String::new(),
        (_, 0, 0) => "No job or user matches.".to_owned(),
        (_, jobs, 0) => format!("{}.", format::counted(jobs, "job")),
        (_, jobs, users) => format!(
            "{}, {}.",
            format::counted(jobs, "job"),
            format::counted(users, "user")
        ),
    };
    let announcement = sentence.clone();
    let lowered = search.to_lowercase();
    let matches = move |name: &str| name.to_lowercase().contains(&lowered);
    let commands = COMMANDS.into_iter().filter(|(_, what)| matches(what));
    let commands = commands
        .map(|(key, what)| command(key, what))
        .collect_view();
    let pages = site.places().into_iter().filter(|(_, name)| matches(name));
    let pages = pages.map(|(href, name)| page(href, name)).collect_view();
    let now = Utc::now();
    site.page(StatusCode::OK, "Find", || {
        let users = users.into_iter().take(MOST).map(|user| {
            let name = view! { <bdi>{user.name}</bdi> };
            found(
                format!("/users/{}", user.id),
                name.into_any(),
                user.email.into_any(),
                "User",
            )
        });
        let users = users.collect_view();
        view! {
            <h1>"Find"</h1>
            <FindForm search />
            <div class="found" id="found" data-part data-announce=announcement>
                <p role="status">{sentence}</p>
                <ul>{commands} {pages} {jobs_found(jobs, now)} {users}</ul>
            </div>
        }
    })
}

fn jobs_found(list: JobList, now: chrono::DateTime<Utc>) -> impl IntoView {
    let jobs = list.jobs.into_iter().map(move |listed| {
        let job = listed.job;
        let name = view! { <FileName name=job.filename /> };
        let seconds = (now - job.created_at).num_seconds();
        let more = view! {
            <bdi>{listed.user_name}</bdi>
            " · "
            <Age at=format::machine_time(job.created_at) seconds />
        };
        found(
            format!("/jobs/{}", job.id),
            name.into_any(),
            more.into_any(),
            "Job",
        )
    });
    jobs.collect_view()
}

fn found(href: String, name: AnyView, more: AnyView, kind: &'static str) -> impl IntoView {
    view! {
        <li>
            <a href=href>
                {name} " " <span class="muted">{more}</span>
            </a>
            <span class="muted">{kind}</span>
        </li>
    }
}

fn page(href: &'static str, name: &'static str) -> impl IntoView {
    found(href.to_owned(), name.into_any(), ().into_any(), "Page")
}

/// A button that does the same as a key, if the page supports it.
fn command(key: &'static str, what: &'static str) -> impl IntoView {
    view! {
        <li data-key=key hidden>
            <button type="button" data-press=key>
                {what}
            </button>
            <kbd>{key}</kbd>
        </li>
    }
}

#[component]
pub fn FindForm(search: String) -> impl IntoView {
    view! {
        <search>
            <form method="get" action="/find" class="find-form">
                <input
                    // Not of type `search`, in which Escape would clear the field instead of closing the dialog.
                    type="text"
                    role="searchbox"
                    enterkeyhint="search"
                    name="q"
                    aria-label="Find anything"
                    value=search
                    dir="auto"
                    autocomplete="off"
                    autofocus
                    maxlength=PageRequest::MAX_QUERY_CHARS.to_string()
                    placeholder="Jobs, users, pages and commands"
                />
                <button class="button">"Find"</button>
            </form>
        </search>
    }
    .into_any()
}
