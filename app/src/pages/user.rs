//! `/users/{id}`: a user's files, live, and what can be done with the user.

mod formats;
mod settings;

use axum::http::StatusCode;
use backend::{Backend, JobPage};
use domain::{Job, format};
use leptos::prelude::*;

use self::{formats::SavedFormats, settings::Settings};
use super::{
    REFRESH_SECONDS,
    failure::{failure, not_found},
    pager::{Pager, page_number},
};
use crate::{
    Page, Query, Site,
    api::{self, CommandJob, CreateDemoJob, Dashboard, UploadFile},
    components::Time,
    islands::{JobList, ListedJob, UploadForm, list_title},
};

pub async fn user(site: &Site, backend: &Backend, id: &str, query: &Query) -> Page {
    let Ok(user_id) = id.parse() else {
        return not_found(site);
    };
    let (page, invalid_page) = page_number(query);
    let Dashboard {
        user,
        jobs,
        formats,
    } = match api::dashboard(backend, user_id, page).await {
        Ok(dashboard) => dashboard,
        Err(error) => return failure(site, error),
    };
    let JobPage { page, jobs, total } = jobs;
    let jobs: Vec<ListedJob> = jobs.iter().map(listed).collect();
    let active = jobs.iter().find(|listed| listed.job.status.is_active());
    let active = active.map(|listed| (&listed.job, listed.filename.as_str()));
    let format_names: Vec<String> = formats.iter().map(|saved| saved.name.clone()).collect();
    let title = query.title(&list_title(active, &user.name));
    let refresh = active.map(|_| REFRESH_SECONDS.to_owned());
    site.live_page(StatusCode::OK, &title, refresh, || {
        let href = move |page| match page {
            1 => format!("/users/{user_id}#files"),
            page => format!("/users/{user_id}?page={page}#files"),
        };
        let announcement = format!(
            "{}, page {page} of {}",
            format::counted(total, "file"),
            total.div_ceil(JobPage::SIZE).max(1)
        );
        let invalid_page = invalid_page.map(|sentence| {
            view! {
                <p class="notice notice-bad" role="alert">
                    {sentence}
                </p>
            }
        });
        let pager = (total > JobPage::SIZE)
            .then(|| view! { <Pager page size=JobPage::SIZE total noun="file" href /> });
        view! {
            <nav class="crumbs" aria-label="Breadcrumb" id="crumbs" data-part>
                <a href="/" aria-keyshortcuts="b">
                    "Users"
                </a>
                <span aria-hidden="true">"/"</span>
                <span aria-current="page">
                    <bdi>{user.name.clone()}</bdi>
                </span>
            </nav>
            <div class="page-head" id="head" data-part>
                <h1>
                    <bdi>{user.name.clone()}</bdi>
                </h1>
                <p class="muted">
                    {user.email.clone()} " · created " <Time at=format::machine_time(user.created_at) />
                </p>
            </div>
            <UploadForm
                user_id
                max_bytes=backend.max_upload_bytes()
                module=site.check.clone()
                formats=format_names
                posted={query.posted::<UploadFile>()}
            />
            <div class="columns">
                <div class="files">
                    <JobList
                        user_id
                        user_name=user.name.clone()
                        jobs
                        total
                        posted={query.posted::<CommandJob>()}
                        demo_error={query.posted::<CreateDemoJob>()}
                    />
                    <div id="pages" data-part data-announce=announcement>
                        {invalid_page}
                        {pager}
                    </div>
                </div>
                <div class="stack">
                    <SavedFormats user_id formats query />
                    <Settings user job_count=total query />
                </div>
            </div>
        }
    })
}

fn listed(job: &Job) -> ListedJob {
    ListedJob {
        job_id: job.id,
        job: job.state.clone(),
        filename: job.filename.clone(),
        bytes: job.bytes,
        created_at: format::machine_time(job.created_at),
    }
}
