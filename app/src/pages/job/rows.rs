//! The rows of a job: filter, search and paging stand in the URL.

mod address;
mod pager;
mod table;
mod tools;

use domain::{InvalidField, Job, JobStatus, PageRequest};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

pub use self::address::Address;
use self::{
    pager::Pager,
    table::RowTable,
    tools::{Filters, Jump, Search},
};
use crate::{
    AppError, ErrorKind,
    api::{RowPage, get_rows},
    pages::failure::set_status,
};

/// The rows that the URL asks for.
#[derive(Clone, Copy)]
pub struct Rows {
    request: Memo<Result<PageRequest, InvalidField>>,
    page: Resource<Result<RowPage, AppError>>,
    /// Grows when the rows are to be fetched anew.
    reload: RwSignal<u32>,
}

pub fn use_rows(job_id: Memo<Option<i64>>) -> Rows {
    let query = use_query_map();
    let request = Memo::new(move |_| query.with(address::parse));
    let reload = RwSignal::new(0);
    let page = Resource::new(
        move || (job_id.get(), request.get(), reload.get()),
        async |(job_id, request, _)| {
            let request = request?;
            let job_id =
                job_id.ok_or_else(|| AppError::new(ErrorKind::NotFound, "Job not found"))?;
            let query = request.query().unwrap_or_default().to_owned();
            get_rows(
                job_id,
                request.page(),
                request.size(),
                request.filter(),
                query,
                request.row(),
            )
            .await
        },
    );
    Rows {
        request,
        page,
        reload,
    }
}

impl Rows {
    pub fn refetch(self) {
        // The page may have been left.
        let _ = self.reload.try_update(|reload| *reload += 1);
    }
}

#[component]
pub fn Table(job: Signal<Job>, rows: Rows) -> impl IntoView {
    let job_id = job.with_untracked(|job| job.id);
    let address = Memo::new(move |_| Address::new(job_id, rows.request.get().ok()));
    view! {
        <section class="rows" aria-labelledby="rows">
            <h2 id="rows">"Transactions"</h2>
            <div class="rows-tools">
                <Filters job address />
                <div class="rows-forms">
                    <Search address />
                    <Jump address />
                </div>
            </div>
            <Transition fallback=|| {
                view! { <p class="loading">"Loading rows…"</p> }
            }>
                {move || Suspend::new(async move {
                    match rows.page.await {
                        Ok(page) => view! { <Page page job address=address.get_untracked() /> }.into_any(),
                        Err(error) => view! { <NoPage error address=address.get_untracked() /> }.into_any(),
                    }
                })}
            </Transition>
        </section>
    }
    .into_any()
}

#[component]
fn Page(page: RowPage, job: Signal<Job>, address: Address) -> impl IntoView {
    if page.rows.is_empty() {
        return view! { <NoRows page job address /> }.into_any();
    }
    view! {
        <RowTable rows=page.rows sought=address.row() />
        <Pager page=page.page total=page.total address />
    }
    .into_any()
}

/// Says why there is nothing to see, and where there is something.
#[component]
fn NoRows(page: RowPage, job: Signal<Job>, address: Address) -> impl IntoView {
    let status = job.with_untracked(|job| job.status);
    let (sentence, link) = if page.total > 0 {
        (
            "There is no such page.",
            Some((address.paged(1), "Go to the first page")),
        )
    } else if address.is_narrowed() {
        (
            "No row matches this filter and search.",
            Some((address.path(), "Show all rows")),
        )
    } else {
        let sentence = match status {
            JobStatus::Pending => "Rows appear here once the file is being processed.",
            JobStatus::Processing => "The first rows appear here in a moment.",
            JobStatus::Completed => "The file has a header but no rows.",
            JobStatus::Failed | JobStatus::Paused | JobStatus::Cancelled => {
                "No row of this file was read."
            }
        };
        (sentence, None)
    };
    view! {
        <div class="empty">
            <p>{sentence}</p>
            {link
                .map(|(href, name)| {
                    view! {
                        <p>
                            <a href=href>{name}</a>
                        </p>
                    }
                })}
        </div>
    }
    .into_any()
}

#[component]
fn NoPage(error: AppError, address: Address) -> impl IntoView {
    set_status(error.kind);
    view! {
        <div class="notice notice-bad" role="alert">
            <p>{error.message}</p>
            <p>
                <a href=address.path()>"Show all rows"</a>
            </p>
        </div>
    }
    .into_any()
}
