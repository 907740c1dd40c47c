//! Controls that select rows: filters, a search, and a jump to a row.

use domain::{Job, PageRequest, RowFilter, format};
use leptos::prelude::*;

use super::Address;

#[component]
pub fn Filters<'a>(
    job: &'a Job,
    address: &'a Address,
    /// The number of rows that match the current filter and search.
    found: Option<u64>,
) -> impl IntoView + use<> {
    let state = &job.state;
    // The job's counts don't consider the search. With one, only the number for the current filter is known.
    let tally = |filter: RowFilter, count: u64| {
        let count = match address.query() {
            "" => Some(count),
            _ => found.filter(|_| address.filter() == filter),
        };
        count.map(|count| view! { <span class="tally">{format::count(count)}</span> })
    };
    let filters = [
        (RowFilter::All, "1", "All", state.processed_records),
        (RowFilter::Valid, "2", "Valid", state.valid_records),
        (RowFilter::Invalid, "3", "Invalid", state.invalid_records),
        (
            RowFilter::Suspicious,
            "4",
            "Suspicious",
            state.suspicious_records,
        ),
    ];
    let ignored = (state.ignored_records > 0).then(|| {
        let is_current = address.filter() == RowFilter::Ignored;
        view! {
            <a
                href=address.filtered(RowFilter::Ignored)
                aria-current=is_current.then_some("true")
            >
                "Ignored "
                {tally(RowFilter::Ignored, state.ignored_records)}
            </a>
        }
    });
    let problem = address.filter().problem().map(|problem| {
        view! {
            <a href=address.paged(1) aria-current="true">
                {problem.title()} " "
                {found.map(|found| view! { <span class="tally">{format::count(found)}</span> })}
            </a>
        }
    });
    view! {
        <nav class="filters" aria-label="Filter by verdict">
            {filters
                .map(|(filter, key, name, count)| {
                    view! {
                        <a
                            aria-keyshortcuts=key
                            href=address.filtered(filter)
                            aria-current=(address.filter() == filter).then_some("true")
                        >
                            {name}
                            " "
                            {tally(filter, count)}
                        </a>
                    }
                })
                .collect_view()}
            {ignored}
            {problem}
        </nav>
    }
    .into_any()
}

/// Keeps the filter and starts at the first page.
#[component]
pub fn Search<'a>(address: &'a Address) -> impl IntoView + use<> {
    const SIZES: [u32; 4] = [20, 50, 100, 500];
    let size = address.size();
    // A size that was entered in the URL is also an option.
    let mut sizes = SIZES.to_vec();
    if !sizes.contains(&size) {
        sizes.push(size);
        sizes.sort_unstable();
    }
    view! {
        <search>
            <form method="get" action=action(address) class="search">
                <input type="hidden" name="filter" value=address.filter().as_str() />
                <label class="visually-hidden" for="q">
                    "Search in ID and description"
                </label>
                <input
                    id="q"
                    type="search"
                    name="q"
                    aria-keyshortcuts="/"
                    value=address.query().to_owned()
                    dir="auto"
                    maxlength=PageRequest::MAX_QUERY_CHARS.to_string()
                    placeholder="Search ID or description"
                />
                <label class="visually-hidden" for="size">
                    "Rows per page"
                </label>
                <select id="size" name="size" data-at-once>
                    {sizes
                        .into_iter()
                        .map(|option| {
                            view! {
                                <option value=option.to_string() selected=option == size>
                                    {format!("{option} rows")}
                                </option>
                            }
                        })
                        .collect_view()}
                </select>
                <button class="button">"Search"</button>
            </form>
        </search>
    }
    .into_any()
}

/// Goes to the page of all rows that contains a certain row.
#[component]
pub fn Jump<'a>(address: &'a Address) -> impl IntoView + use<> {
    view! {
        <form method="get" action=action(address) class="jump">
            <input type="hidden" name="size" value=address.size().to_string() />
            <label class="visually-hidden" for="row">
                "Row number"
            </label>
            <input
                id="row"
                type="number"
                name="row"
                min="1"
                required
                inputmode="numeric"
                aria-keyshortcuts="g"
                placeholder="Row number"
                value=address.row().map(|row| row.to_string())
            />
            <button class="button">"Go to row"</button>
        </form>
    }
    .into_any()
}

/// Returns the form's target, which scrolls to the table.
fn action(address: &Address) -> String {
    format!("{}#rows", address.path())
}
