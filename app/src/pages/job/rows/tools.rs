//! What chooses the rows: filters, a search, and the way to one row.

use domain::{Job, PageRequest, RowFilter};
use leptos::{
    prelude::*,
    web_sys::{SubmitEvent, UrlSearchParams},
};
use leptos_router::{NavigateOptions, hooks::use_navigate};

use super::Address;
use crate::format;

#[component]
pub fn Filters(job: Signal<Job>, address: Memo<Address>) -> impl IntoView {
    let filters = [
        (
            RowFilter::All,
            "1",
            "All",
            (|job: &Job| job.processed_records) as fn(&Job) -> u64,
        ),
        (RowFilter::Valid, "2", "Valid", |job| job.valid_records),
        (RowFilter::Invalid, "3", "Invalid", |job| {
            job.invalid_records
        }),
        (RowFilter::Suspicious, "4", "Suspicious", |job| {
            job.suspicious_records
        }),
    ];
    view! {
        <nav class="filters" aria-label="Filter by verdict">
            {filters
                .map(|(filter, key, name, count)| {
                    view! {
                        <a
                            aria-keyshortcuts=key
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
            {move || {
                let problem = address.with(Address::filter).problem()?;
                Some(
                    view! {
                        <a href=address.with(|address| address.paged(1)) aria-current="true">
                            {problem.title()}
                        </a>
                    },
                )
            }}
        </nav>
    }
    .into_any()
}

/// Keeps the filter and starts at the first page.
#[component]
pub fn Search(address: Memo<Address>) -> impl IntoView {
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
            <ChoiceForm address class="search">
                <input type="hidden" name="filter" value=filter prop:value=filter />
                <label class="visually-hidden" for="q">
                    "Search in id and description"
                </label>
                <input
                    id="q"
                    type="search"
                    name="q"
                    aria-keyshortcuts="/"
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
            </ChoiceForm>
        </search>
    }
    .into_any()
}

/// Leads to the page of all rows that holds a certain one.
#[component]
pub fn Jump(address: Memo<Address>) -> impl IntoView {
    let size = move || address.with(|address| address.size().to_string());
    let row = move || address.with(|address| address.row().map(|row| row.to_string()));
    view! {
        <ChoiceForm address class="jump">
            <input type="hidden" name="size" value=size prop:value=size />
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
                value=row
                prop:value=move || row().unwrap_or_default()
            />
            <button class="button">"Go to row"</button>
        </ChoiceForm>
    }
    .into_any()
}

/// A form whose fields are the query of the page's address. It leads to the table, which is what somebody wants
/// to see who chooses rows.
#[component]
fn ChoiceForm(address: Memo<Address>, class: &'static str, children: Children) -> impl IntoView {
    let action = address.with_untracked(|address| format!("{}#rows", address.path()));
    let navigate = use_navigate();
    let submit = move |event: SubmitEvent| {
        // A browser that doesn't tell what stands in the form sends it itself.
        let Ok(data) = leptos::form::form_data_from_event(&event) else {
            return;
        };
        let Ok(query) = UrlSearchParams::new_with_str_sequence_sequence(&data) else {
            return;
        };
        event.prevent_default();
        let path = address.with_untracked(Address::path);
        let query = String::from(query.to_string());
        navigate(&format!("{path}?{query}#rows"), NavigateOptions::default());
    };
    view! {
        <form method="get" action=action class=class on:submit=submit>
            {children()}
        </form>
    }
    .into_any()
}
