//! The rows of a job: filter, search and paging stand in the URL.

mod address;
mod table;
mod tools;

use backend::{Backend, results::page::RowPage};
use domain::{Job, JobId, JobStatus};
use leptos::prelude::*;

pub use self::address::Address;
use self::{
    table::RowTable,
    tools::{Filters, Jump, Search},
};
use crate::{AppError, Query, api, pages::pager::Pager};

/// The rows that the URL asks for.
pub struct Rows {
    address: Address,
    page: Result<RowPage, AppError>,
}

impl Rows {
    pub async fn read(backend: &Backend, job_id: JobId, query: &Query) -> Self {
        let request = address::parse(query);
        let address = Address::new(job_id, request.clone().ok());
        let page = match request {
            Ok(request) => api::rows(backend, job_id, &request).await,
            Err(error) => Err(error.into()),
        };
        Self { address, page }
    }

    pub fn error(&self) -> Option<&AppError> {
        self.page.as_ref().err()
    }
}

#[component]
pub fn Table<'a>(job: &'a Job, rows: Rows) -> impl IntoView + use<> {
    let Rows { address, page } = rows;
    let page = match page {
        Ok(page) => view! { <Page page status=job.state.status address=&address /> }.into_any(),
        Err(error) => view! { <NoPage error address=&address /> }.into_any(),
    };
    // Before there are rows there is nothing to choose from.
    let tools = (job.state.processed_records > 0 || address.is_narrowed()).then(|| {
        view! {
            <Filters job address=&address />
            <div class="rows-forms">
                <Search address=&address />
                <Jump address=&address />
            </div>
        }
    });
    view! {
        <section class="rows" aria-labelledby="rows">
            <h2 id="rows">"Transactions"</h2>
            <div class="rows-tools" id="rows-tools" data-part>
                {tools}
            </div>
            <div class="rows-page" id="rows-page" data-part>
                {page}
            </div>
        </section>
    }
    .into_any()
}

#[component]
fn Page<'a>(page: RowPage, status: JobStatus, address: &'a Address) -> impl IntoView + use<> {
    if page.rows.is_empty() {
        return view! { <NoRows total=page.total status address /> }.into_any();
    }
    let pages = address.clone();
    view! {
        <RowTable rows=page.rows sought=address.row() />
        <Pager
            page=page.page
            size=u64::from(address.size())
            total=page.total
            noun="row"
            href=move |page| pages.paged(page)
        />
    }
    .into_any()
}

/// Says why there is nothing to see, and where there is something.
#[component]
fn NoRows<'a>(total: u64, status: JobStatus, address: &'a Address) -> impl IntoView + use<> {
    let (sentence, link) = if total > 0 {
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
fn NoPage<'a>(error: AppError, address: &'a Address) -> impl IntoView + use<> {
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
