//! The rows of a job. Filter, search and page are in the URL.

mod address;
mod table;
mod tools;

use backend::{Backend, Viewer, results::page::RowPage};
use domain::{Job, JobId, JobStatus, PageRequest, RowFilter, format};
use leptos::prelude::*;

pub use self::address::Address;
use self::{
    table::RowTable,
    tools::{Filters, Jump, Search},
};
use crate::{AppError, Query, api, pages::pager::Pager};

/// The rows that the URL requests.
pub struct Rows {
    address: Address,
    /// The error of an invalid URL. The first page of all rows is shown then.
    invalid: Option<AppError>,
    page: Result<RowPage, AppError>,
}

impl Rows {
    pub async fn read(backend: &Backend, viewer: &Viewer, job_id: JobId, query: &Query) -> Self {
        let (request, invalid) = match address::parse(query) {
            Ok(request) => (request, None),
            Err(error) => (PageRequest::default(), Some(error.into())),
        };
        Self {
            page: api::rows(backend, viewer, job_id, &request).await,
            address: Address::new(job_id, request),
            invalid,
        }
    }

    pub fn error(&self) -> Option<&AppError> {
        self.invalid.as_ref().or(self.page.as_ref().err())
    }

    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Returns the part of the query that links to other rows keep, such as `&size=50`.
    pub fn kept(&self) -> String {
        self.address.kept()
    }
}

#[component]
pub fn Table<'a>(job: &'a Job, rows: Rows) -> impl IntoView + use<> {
    let Rows {
        address,
        invalid,
        page,
    } = rows;
    let found = page.as_ref().ok().map(|page| page.total);
    let announcement = page
        .as_ref()
        .ok()
        .map(|page| announcement(page, job.state.status, &address));
    let page = match page {
        Ok(page) => view! { <Page page status=job.state.status address=&address /> }.into_any(),
        Err(error) => view! { <NoPage error address=&address /> }.into_any(),
    };
    let invalid = invalid.map(|error| {
        view! {
            <p class="notice notice-bad" role="alert">
                {error.message}
                " These are the first rows."
            </p>
        }
    });
    let is_active = job.state.status.is_active();
    // Before there are rows, there is nothing to filter.
    let has_tools = is_active || job.state.processed_records > 0 || address.is_narrowed();
    let tools = has_tools.then(|| {
        view! {
            <Filters job address=&address found />
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
            <div
                class="rows-page"
                id="rows-page"
                data-part
                data-announce=announcement
            >
                {invalid}
                {page}
            </div>
        </section>
    }
    .into_any()
}

/// Announces to screen readers which rows are shown.
fn announcement(page: &RowPage, status: JobStatus, address: &Address) -> String {
    let pages = page.total.div_ceil(u64::from(address.size()));
    let kind = match address.filter() {
        RowFilter::All => String::new(),
        filter => match filter.problem() {
            Some(problem) => format!(", {}", problem.title()),
            None => format!(", {filter}"),
        },
    };
    let number = match (page.rows.is_empty(), pages) {
        (true, 1..) => return "This page doesn't exist.".to_owned(),
        (false, 0 | 1) | (true, 0) => String::new(),
        _ => format!(
            ", page {} of {}",
            format::count(page.page),
            format::count(pages)
        ),
    };
    let missing = missing_row(page, address, status).unwrap_or_default();
    let rows = format::counted(page.total, "row");
    format!("{missing} {rows}{kind}{number}.")
        .trim_start()
        .to_owned()
}

/// Explains why the requested row isn't shown.
fn missing_row(page: &RowPage, address: &Address, status: JobStatus) -> Option<String> {
    let sought = address.row()?;
    let last = page.rows.last()?.row_number;
    if page.rows.iter().any(|row| row.row_number == sought) {
        return None;
    }
    let sought = format::count(sought);
    Some(match (address.row() < Some(last), status) {
        (true, _) => format!("Row {sought} is ignored. These are the rows next to it."),
        (false, JobStatus::Completed) => {
            format!(
                "There is no row {sought}. The last row is {}.",
                format::count(last)
            )
        }
        (false, _) => format!(
            "Row {sought} isn't checked. The last checked row is {}.",
            format::count(last)
        ),
    })
}

#[component]
fn Page<'a>(page: RowPage, status: JobStatus, address: &'a Address) -> impl IntoView + use<> {
    if page.rows.is_empty() {
        return view! { <NoRows total=page.total status address /> }.into_any();
    }
    let pages = address.clone();
    let missing = missing_row(&page, address, status);
    view! {
        {missing.map(|sentence| view! { <p class="notice">{sentence}</p> })}
        <RowTable
            job_id=address.job_id()
            rows=page.rows
            query=address.query()
            sought=address.row()
        />
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

/// Explains why there are no rows, and where to find some.
#[component]
fn NoRows<'a>(total: u64, status: JobStatus, address: &'a Address) -> impl IntoView + use<> {
    let (sentence, link) = if total > 0 {
        (
            "This page doesn't exist.",
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
            JobStatus::Failed | JobStatus::Paused | JobStatus::Cancelled => "No rows checked yet.",
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
