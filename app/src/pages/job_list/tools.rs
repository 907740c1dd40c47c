//! Controls that select jobs: a tab for each status, a search, a range of days, and on phones the order.

use backend::StatusCounts;
use domain::{JobColumn, JobOrder, JobStatus, PageRequest, format};
use leptos::prelude::*;

use super::Address;

#[component]
pub fn Tabs<'a>(counts: StatusCounts, address: &'a Address) -> impl IntoView + use<> {
    let current = address.request().filter.status;
    let tab = |status: Option<JobStatus>, name: &'static str, is_usual: bool| {
        let (count, is_current) = (counts.of(status), current == status);
        (is_usual || is_current || count > 0).then(|| {
            view! {
                <a href=address.with_status(status) aria-current=is_current.then_some("true")>
                    {name}
                    " "
                    <span class="tally">{format::count(count)}</span>
                </a>
            }
        })
    };
    view! {
        <nav class="filters" aria-label="Filter by status">
            {tab(None, "All", true)}
            {tab(Some(JobStatus::Processing), "Processing", true)}
            {tab(Some(JobStatus::Pending), "Pending", true)}
            {tab(Some(JobStatus::Completed), "Completed", true)}
            {tab(Some(JobStatus::Failed), "Failed", true)}
            {tab(Some(JobStatus::Paused), "Paused", false)}
            {tab(Some(JobStatus::Cancelled), "Cancelled", false)}
        </nav>
    }
    .into_any()
}

/// Keeps the status and starts at the first page.
#[component]
pub fn Search<'a>(address: &'a Address) -> impl IntoView + use<> {
    let request = address.request();
    let filter = &request.filter;
    let (label, placeholder) = match address.owner() {
        Some(_) => ("Search files", "File name"),
        None => ("Search files and users", "File, user or email"),
    };
    let day = |name: &'static str, label: &'static str, day: Option<chrono::NaiveDate>| {
        view! {
            <label class="day">
                <span>{label}</span>
                <input type="date" name=name value=day.map(|day| day.to_string()) min="0001-01-01" max="9999-12-31" />
            </label>
        }
    };
    let status = filter.status.map(|status| {
        view! { <input type="hidden" name="status" value=status.as_str() /> }
    });
    view! {
        <search>
            <form method="get" action=format!("{}#jobs", address.path()) class="search">
                {status}
                <label class="visually-hidden" for="q">
                    {label}
                </label>
                <input
                    id="q"
                    type="search"
                    name="q"
                    aria-keyshortcuts="/"
                    value=filter.search().unwrap_or_default().to_owned()
                    dir="auto"
                    maxlength=PageRequest::MAX_QUERY_CHARS.to_string()
                    placeholder=placeholder
                />
                {day("from", "From", filter.from())}
                {day("until", "To", filter.until())}
                <Order address />
                <button class="button">"Search"</button>
            </form>
        </search>
    }
    .into_any()
}

/// If there is room for the table, its header does the same, and the style sheet hides this.
#[component]
fn Order<'a>(address: &'a Address) -> impl IntoView + use<> {
    let current = address.request().order;
    let names = [
        (JobOrder::RunningFirst, "Newest, running first"),
        (JobOrder::Descending(JobColumn::Created), "Newest first"),
        (JobOrder::Ascending(JobColumn::Created), "Oldest first"),
        (JobOrder::Ascending(JobColumn::Filename), "File, A to Z"),
        (JobOrder::Descending(JobColumn::Filename), "File, Z to A"),
        (JobOrder::Ascending(JobColumn::User), "User, A to Z"),
        (JobOrder::Descending(JobColumn::User), "User, Z to A"),
        (JobOrder::Descending(JobColumn::Rows), "Most rows"),
        (JobOrder::Ascending(JobColumn::Rows), "Fewest rows"),
        (JobOrder::Descending(JobColumn::Invalid), "Most invalid"),
        (JobOrder::Ascending(JobColumn::Invalid), "Fewest invalid"),
    ];
    let has_user = address.owner().is_none();
    view! {
        <span class="order">
            <label class="visually-hidden" for="sort">
                "Order"
            </label>
            <select id="sort" name="sort" data-at-once>
                {names
                    .into_iter()
                    .filter(|(order, _)| {
                        has_user || *order == current || order.column() != Some(JobColumn::User)
                    })
                    .map(|(order, name)| {
                        view! {
                            <option value=order.to_string() selected=order == current>
                                {name}
                            </option>
                        }
                    })
                    .collect_view()}
            </select>
        </span>
    }
    .into_any()
}
