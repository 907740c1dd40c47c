//! `/users/{id}`: a user's files, live, and what can be done with the user.

mod jobs;
mod settings;
mod upload;

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use self::{
    jobs::{JobList, Jobs},
    settings::Settings,
    upload::UploadForm,
};
use super::{
    failure::{Failure, NotFound},
    refresh_without_javascript,
};
use crate::{
    api::{Dashboard, get_dashboard},
    components::{Announcements, ConnectionState, StateTitle, Time},
    live,
};

#[component]
pub fn UserPage() -> impl IntoView {
    let params = use_params_map();
    let user_id =
        Memo::new(move |_| params.with(|params| params.get_str("id")?.parse::<i64>().ok()));
    let loaded = Resource::new(
        move || user_id.get(),
        async |user_id| match user_id {
            Some(user_id) => Some(get_dashboard(user_id).await),
            None => None,
        },
    );
    view! {
        <Suspense fallback=|| {
            view! { <p class="loading">"Loading the user…"</p> }
        }>
            {move || Suspend::new(async move {
                match loaded.await {
                    Some(Ok(loaded)) => view! { <DashboardView loaded /> }.into_any(),
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
fn DashboardView(loaded: Dashboard) -> impl IntoView {
    let user_id = loaded.user.id;
    let created_at = loaded.user.created_at;
    let user = RwSignal::new(loaded.user);
    let jobs = Jobs::new(loaded.jobs);
    let announcements = Announcements::new();

    let refetch = Action::new(move |(): &()| async move {
        // Where it fails, the page stays as it is; the next sign of the server tries again.
        if let Ok(now) = get_dashboard(user_id).await {
            let _ = user.try_set(now.user);
            jobs.update(now.jobs);
        }
    });
    let refetch = move || {
        if !refetch.pending().get_untracked() {
            refetch.dispatch(());
        }
    };
    let lost = live::watch(
        user_id,
        move |progress| {
            if !jobs.apply(&progress) {
                refetch();
            }
        },
        move |was_lost| {
            if was_lost || untrack(|| jobs.active()).is_some() {
                refetch();
            }
        },
    );
    live::on_return(refetch);

    let title = move || match jobs.active() {
        Some(job) => format!("{} % · {}", job.progress_percent as u8, job.filename),
        None => user.with(|user| user.name.clone()),
    };
    view! {
        <StateTitle text=title />
        {move || jobs.active().map(|_| refresh_without_javascript())}
        <nav class="crumbs" aria-label="Breadcrumb">
            <a href="/" aria-keyshortcuts="b">
                "Users"
            </a>
            <span aria-hidden="true">"/"</span>
            <span aria-current="page">{move || user.with(|user| user.name.clone())}</span>
        </nav>
        <div class="page-head">
            <h1>{move || user.with(|user| user.name.clone())}</h1>
            <p class="muted">
                {move || user.with(|user| user.email.clone())} " · created " <Time at=created_at />
            </p>
        </div>
        <UploadForm user_id max_bytes=loaded.max_upload_bytes />
        <div class="columns">
            <JobList user_id jobs announcements />
            <Settings user jobs=Signal::derive(move || jobs.count()) />
        </div>
        {announcements.region()}
        <ConnectionState lost />
    }
    .into_any()
}
