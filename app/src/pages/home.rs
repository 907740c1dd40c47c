//! `/`: the jobs of all users, live.

use backend::{Backend, Viewer};
use domain::format;
use leptos::prelude::*;

use super::{
    failure::failure,
    job_list::{JobTable, Jobs},
    tabs::{Tab, Tabs},
};
use crate::{Page, Query, Site};

pub async fn home(site: &Site, backend: &Backend, viewer: &Viewer, query: &Query) -> Page {
    let jobs = match Jobs::read(backend, viewer, None, query).await {
        Ok(jobs) => jobs,
        Err(error) => return failure(site, error),
    };
    let title = match jobs.running() {
        0 => "Jobs".to_owned(),
        running => format!("{} running · Jobs", format::count(running)),
    };
    let refresh = jobs.refresh(site);
    site.list_page(query, &title, refresh, || {
        view! {
            <div class="page-head">
                <h1>"Check every transaction before it counts"</h1>
                <p class="lead">
                    "Upload a CSV of transactions. Batchline checks every row in the background and tells you which ones to fix."
                </p>
            </div>
            <Tabs current=Tab::Jobs />
            <JobTable jobs noun="job" heading="Jobs" empty=view! { <NoJobs /> } />
        }
    })
}

#[component]
fn NoJobs() -> impl IntoView {
    view! {
        <div class="empty">
            <h3>"No jobs yet"</h3>
            <p>
                "Files belong to users. " <a href="/users">"Choose or create a user"</a>
                " to upload your first file."
            </p>
        </div>
    }
    .into_any()
}
