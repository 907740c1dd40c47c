//! `/users/{id}`: a user's files, live, and the actions on the user.

mod formats;
mod settings;

use backend::{Backend, Viewer};
use domain::{Job, UserId, format};
use leptos::{prelude::*, server_fn::ServerFn};

use self::{formats::SavedFormats, settings::Settings};
use super::{
    failure::{failure, not_found},
    job_list::{JobTable, Jobs},
    members::SignInSettings,
    quotas::{QuotaSettings, QuotaWarnings},
    second_factor::RemoveSecondFactor,
};
use crate::{
    AppError, Page, Query, Site,
    api::{CreateDemoJob, UploadFile},
    components::{FormError, Time},
    islands::{Corrected, UploadForm, job_title},
};

pub async fn user(
    site: &Site,
    backend: &Backend,
    viewer: &Viewer,
    id: &str,
    query: &Query,
) -> Page {
    let Ok(user_id) = id.parse() else {
        return not_found(site);
    };
    let read = async {
        let user = backend::users::get(backend, viewer, user_id).await?;
        let formats = backend::saved_formats::list(backend, viewer, user_id).await?;
        let jobs = Jobs::read(backend, viewer, Some(user_id), query).await?;
        let corrects = corrected(backend, viewer, user_id, query.get("corrects")).await?;
        // If signing in is required, admins manage how users do it.
        let manages = viewer.has_session() && viewer.is_admin();
        let member = match manages {
            true => Some(backend::accounts::member(backend, viewer, user_id).await?),
            false => None,
        };
        let quotas = backend::quotas::of(backend, viewer, user_id).await?;
        Ok::<_, AppError>((user, formats, jobs, corrects, member, quotas))
    };
    let (user, formats, jobs, corrects, member, quotas) = match read.await {
        Ok(read) => read,
        Err(error) => return failure(site, error),
    };
    let may_change = viewer.is_admin();
    let lists_users = site.lists_users();
    let (has_passwords, has_provider) = (site.has_passwords, site.has_provider);
    let has_second_factor = has_passwords && member.as_ref().is_some_and(|it| it.has_second_factor);
    let role_error = query.answer_error().map(AppError::conflict);
    let mut listed = jobs.list().jobs.iter().map(|listed| &listed.job);
    let title = match listed.find(|job| job.state.status.is_active()) {
        Some(Job {
            state, filename, ..
        }) => job_title(state, filename),
        None => user.name.clone(),
    };
    let format_names: Vec<String> = formats.iter().map(|saved| saved.name.clone()).collect();
    let all = jobs.list().counts.of(None);
    let refresh = jobs.refresh(site);
    site.list_page(query, &title, refresh, || {
        view! {
            <nav class="crumbs" aria-label="Breadcrumb" id="crumbs" data-part>
                {lists_users
                    .then(|| {
                        view! {
                            <a href="/users" aria-keyshortcuts="b">
                                "Users"
                            </a>
                            <span aria-hidden="true">"/"</span>
                        }
                    })}
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
            <QuotaWarnings quotas />
            // Not beside its button, which is in a part that is fetched again.
            {query
                .posted::<CreateDemoJob>()
                .map(|error| view! { <FormError error=Some(error) /> })}
            <UploadForm
                user_id
                max_bytes=backend.max_upload_bytes()
                module=site.check.clone()
                formats=format_names
                corrects
                posted={query.posted::<UploadFile>()}
            />
            <div class="columns">
                <JobTable
                    jobs
                    noun="file"
                    heading="Files"
                    empty=view! { <NoFiles user_id /> }
                />
                <div class="stack">
                    <SavedFormats user_id formats query />
                    {member.map(|member| view! { <SignInSettings member has_passwords has_provider error=role_error /> })}
                    {has_second_factor.then(|| view! { <RemoveSecondFactor user_id /> })}
                    {may_change.then(|| view! { <QuotaSettings user_id quotas query /> })}
                    {may_change.then(|| view! { <Settings user=user.clone() job_count=all query /> })}
                </div>
            </div>
        }
    })
}

/// Returns the job with this id, if it belongs to the user.
async fn corrected(
    backend: &Backend,
    viewer: &Viewer,
    user_id: UserId,
    id: &str,
) -> Result<Option<Corrected>, AppError> {
    let Ok(job_id) = id.parse() else {
        return Ok(None);
    };
    let jobs = backend::queries::chosen(backend, viewer, &[job_id]).await?;
    let job = jobs.into_iter().find(|job| job.state.user_id == user_id);
    Ok(job.map(|job| Corrected {
        job_id,
        filename: job.filename,
    }))
}

/// Explains the first steps, with a file of the user's own or a demonstration.
#[component]
fn NoFiles(user_id: UserId) -> impl IntoView {
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
                <li>"Choose \"Upload and start\". You can close the page; processing continues."</li>
                <li>"Review the errors and download the invalid rows to fix."</li>
            </ol>
            <p>"No file to hand?"</p>
            <form method="post" action=CreateDemoJob::PATH>
                <input type="hidden" name="user_id" value=user_id.to_string() />
                <button class="button" data-under-way="Preparing…">
                    "Try it with 200,000 sample rows"
                </button>
            </form>
        </div>
    }
    .into_any()
}
