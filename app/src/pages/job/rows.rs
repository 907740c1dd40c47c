//! The rows of a job: filter, search and paging stand in the URL.

mod address;
mod table;

use std::time::Duration;

use domain::{InvalidField, Job, JobStatus, PageRequest, RowFilter};
use leptos::prelude::*;
use leptos_router::{components::Form, hooks::use_query_map};

use self::{address::Address, table::RowTable};
use crate::{
    AppError, ErrorKind,
    api::{RowPage, get_rows},
    format,
    pages::failure::set_status,
};

/// At most how often the table of a running job is fetched anew.
const RELOAD_EVERY: Duration = Duration::from_secs(2);

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
    /// Fetches the rows anew as `job` commits some: at once when its status changes, else now and
    /// then.
    pub fn follow(self, job: Signal<Job>) {
        let state =
            Memo::new(move |_| job.with(|job| (job.status, job.run, job.processed_records)));
        let waiting = StoredValue::new(None::<TimeoutHandle>);
        let reload = self.reload;
        Effect::new(move |before: Option<(JobStatus, u32, u64)>| {
            let now = state.get();
            let Some(before) = before else { return now };
            if (before.0, before.1) != (now.0, now.1) {
                reload.update(|reload| *reload += 1);
            } else if before != now && waiting.with_value(Option::is_none) {
                let fetch = move || {
                    waiting.set_value(None);
                    reload.update(|reload| *reload += 1);
                };
                waiting.set_value(set_timeout_with_handle(fetch, RELOAD_EVERY).ok());
            }
            now
        });
        on_cleanup(move || {
            if let Some(handle) = waiting.try_get_value().flatten() {
                handle.clear();
            }
        });
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
                <Search address />
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
fn Filters(job: Signal<Job>, address: Memo<Address>) -> impl IntoView {
    let filters = [
        (
            RowFilter::All,
            "All",
            (|job: &Job| job.processed_records) as fn(&Job) -> u64,
        ),
        (RowFilter::Valid, "Valid", |job| job.valid_records),
        (RowFilter::Invalid, "Invalid", |job| job.invalid_records),
        (RowFilter::Suspicious, "Suspicious", |job| {
            job.suspicious_records
        }),
    ];
    view! {
        <nav class="filters" aria-label="Filter by verdict">
            {filters
                .map(|(filter, name, count)| {
                    view! {
                        <a
                            href=move || address.with(|address| address.filtered(filter))
                            aria-current=move || {
                                address.with(|address| address.filter() == filter).then_some("true")
                            }
                        >
                            {name}
                            " "
                            <span class="tally">{move || format::count(job.with(count))}</span>
                        </a>
                    }
                })
                .collect_view()}
        </nav>
    }
    .into_any()
}

/// Keeps the filter and starts at the first page.
#[component]
fn Search(address: Memo<Address>) -> impl IntoView {
    const SIZES: [u32; 4] = [20, 50, 100, 500];
    let query = move || address.with(|address| address.query().to_owned());
    let filter = move || address.with(|address| address.filter().as_str());
    let size = Memo::new(move |_| address.with(|address| address.size()));
    // A size that somebody wrote into the URL is an option too.
    let sizes = move || {
        let mut sizes = SIZES.to_vec();
        if !sizes.contains(&size.get()) {
            sizes.push(size.get());
            sizes.sort_unstable();
        }
        sizes
    };
    view! {
        <search>
            <Form
                method="get"
                action=address.with_untracked(|address| address.path())
                attr:class="search"
            >
                <input type="hidden" name="filter" value=filter />
                <label class="visually-hidden" for="q">
                    "Search in id and description"
                </label>
                <input
                    id="q"
                    type="search"
                    name="q"
                    value=query
                    prop:value=query
                    maxlength=PageRequest::MAX_QUERY_CHARS.to_string()
                    placeholder="Search id or description"
                />
                <label class="visually-hidden" for="size">
                    "Rows per page"
                </label>
                <select id="size" name="size">
                    {move || {
                        sizes()
                            .into_iter()
                            .map(|option| {
                                view! {
                                    <option value=option.to_string() selected=option == size.get()>
                                        {format!("{option} rows")}
                                    </option>
                                }
                            })
                            .collect_view()
                    }}
                </select>
                <button class="button">"Search"</button>
            </Form>
        </search>
    }
    .into_any()
}

#[component]
fn Page(page: RowPage, job: Signal<Job>, address: Address) -> impl IntoView {
    if page.rows.is_empty() {
        return view! { <NoRows page job address /> }.into_any();
    }
    view! {
        <RowTable rows=page.rows />
        <Pager total=page.total address />
    }
    .into_any()
}

#[component]
fn Pager(total: u64, address: Address) -> impl IntoView {
    let (page, size) = (address.page(), u64::from(address.size()));
    let pages = total.div_ceil(size).max(1);
    let first = (page - 1) * size + 1;
    let last = total.min(page * size);
    let link = |to: Option<u64>, rel: Option<&'static str>, name: &'static str| match to {
        Some(to) => view! {
            <a class="button" href=address.paged(to) rel=rel>
                {name}
            </a>
        }
        .into_any(),
        // In its place, so that the others don't move.
        None => view! {
            <span class="button" aria-disabled="true">
                {name}
            </span>
        }
        .into_any(),
    };
    view! {
        <nav class="pager" aria-label="Pages">
            <p class="muted">
                {format!(
                    "{}–{} of {}",
                    format::count(first),
                    format::count(last),
                    format::counted(total, "row"),
                )}
            </p>
            {(pages > 1)
                .then(|| {
                    view! {
                        <div class="pager-links">
                            {link((page > 1).then_some(1), None, "First")}
                            {link((page > 1).then(|| page - 1), Some("prev"), "Previous")}
                            <span class="pager-page">
                                {format!("Page {} of {}", format::count(page), format::count(pages))}
                            </span> {link((page < pages).then(|| page + 1), Some("next"), "Next")}
                            {link((page < pages).then_some(pages), None, "Last")}
                        </div>
                    }
                })}
        </nav>
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
