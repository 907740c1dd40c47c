//! `/jobs/{id}/rows/{number}`: one row with everything in the file about it. With JavaScript the job's page shows it in
//! a drawer (`browser::drawer`).

use std::collections::HashMap;

use axum::http::StatusCode;
use backend::{Backend, Viewer, results::row::RowDetails};
use domain::{Job, JobId, Transaction, format};
use leptos::prelude::*;
use serde_json::{Map, Value};

use super::failure::{failure, not_found};
use crate::{
    AppError, Page, Site,
    components::{Copy, FileName},
};

/// The maximum number of characters shown of the record and of each field.
const MAX_CHARS: usize = 10_000;

pub async fn job_row(
    site: &Site,
    backend: &Backend,
    viewer: &Viewer,
    id: &str,
    number: &str,
) -> Page {
    let (Ok(job_id), Some(number)) = (id.parse(), row_number(number)) else {
        return not_found(site);
    };
    let read = async {
        let job = backend::queries::job(backend, viewer, job_id).await?;
        let row = backend::results::row::get(backend, viewer, job_id, number).await?;
        Ok::<_, AppError>((job, row))
    };
    let (job, row) = match read.await {
        Ok(read) => read,
        Err(error) => return failure(site, error),
    };
    let title = format!("Row {} · {}", format::count(number), job.filename);
    let lists_users = site.lists_users();
    site.page(StatusCode::OK, &title, || {
        let Job { filename, .. } = job;
        view! {
            <nav class="crumbs" aria-label="Breadcrumb">
                {lists_users
                    .then(|| {
                        view! {
                            <a href="/users">"Users"</a>
                            <span aria-hidden="true">"/"</span>
                        }
                    })}
                <a href=format!("/jobs/{job_id}?row={number}#rows") aria-keyshortcuts="b">
                    <FileName name=filename />
                </a>
                <span aria-hidden="true">"/"</span>
                <span aria-current="page">{format!("Row {}", format::count(number))}</span>
            </nav>
            <Details job_id details=row />
        }
    })
}

/// Parses digits as `Display` writes them, so that each row has a single address.
fn row_number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain)
}

#[component]
fn Details(job_id: JobId, details: RowDetails) -> impl IntoView {
    let json = json(&details);
    let RowDetails {
        row,
        raw,
        fields,
        more_fields,
        same_id,
        previous,
        next,
    } = details;
    let number = row.row_number;
    let href = move |row: u64| format!("/jobs/{job_id}/rows/{row}");
    let line = row
        .line
        .map(|line| format!("line {} of the file", format::count(line)));
    let same = same_id.map(|row| {
        view! {
            <p>
                "Same ID as " <a href=href(row)>{format!("row {}", format::count(row))}</a>
            </p>
        }
    });
    let link = |to: Option<u64>, rel: &'static str, key: &'static str, name: &'static str| {
        view! {
            <a
                class="button"
                href=to.map(href)
                rel=rel
                aria-keyshortcuts=to.map(|_| key)
                role=to.is_none().then_some("link")
                aria-disabled=to.is_none().then_some("true")
                tabindex=to.is_none().then_some("-1")
            >
                {name}
            </a>
        }
    };
    let shortened = |text: String| format::shortened(&text, MAX_CHARS).unwrap_or(text);
    let fields = fields.into_iter().map(|(name, value)| {
        view! {
            <div>
                <dt>
                    <bdi>{name}</bdi>
                </dt>
                <dd dir="auto">
                    {match value.is_empty() {
                        true => view! { <span class="muted">"empty"</span> }.into_any(),
                        false => shortened(value).into_any(),
                    }}
                </dd>
            </div>
        }
    });
    let copied = raw.clone();
    view! {
        <article class="row-details" id="row" aria-labelledby="row-title">
            <div class="page-head-row">
                <h1 id="row-title">{format!("Row {}", format::count(number))}</h1>
                <Verdict row=row.clone() />
                <span class="muted">{line}</span>
            </div>
            <ul class="row-errors">
                {row
                    .errors
                    .iter()
                    .map(|error| view! { <li class="cell-error">{error.message.clone().into_owned()}</li> })
                    .collect_view()}
            </ul>
            {same}
            <dl class="details">{fields.collect_view()}</dl>
            {(more_fields > 0)
                .then(|| {
                    let more = format::counted(more_fields as u64, "more field");
                    view! { <p class="muted">{format!("… and {more}")}</p> }
                })}
            <h2>"As it is in the file"</h2>
            <pre class="raw" tabindex="0" aria-label="The row as it is in the file" dir="auto">{shortened(raw)}</pre>
            <div class="buttons">
                {link(previous, "prev", "k", "Previous row")}
                {link(next, "next", "j", "Next row")}
                <Copy text=copied name="Copy as CSV" />
                <Copy text=json name="Copy as JSON" />
                <Copy text=href(number) name="Copy link" is_link=true />
                <a class="row-page" href=href(number)>
                    "Link to this row"
                </a>
            </div>
        </article>
    }
    .into_any()
}

#[component]
fn Verdict(row: Transaction) -> impl IntoView {
    let (verdict, name) = match row.is_valid {
        _ if row.is_ignored => ("ignored", "Ignored"),
        true => ("valid", "Valid"),
        false => ("invalid", "Invalid"),
    };
    let suspicious = row.is_suspicious.then(|| {
        view! {
            <span class="badge" data-status="suspicious">
                "Suspicious"
            </span>
        }
    });
    view! {
        <span class="badge" data-status=verdict>
            {name}
        </span>
        {suspicious}
    }
}

/// Returns the fields by name, in their order. Repeated names are numbered.
fn json(details: &RowDetails) -> String {
    let mut object = Map::new();
    // The next number to try for each name.
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    for (name, value) in &details.fields {
        let number = numbers.entry(name).or_insert(1);
        let mut free = name.clone();
        while object.contains_key(&free) {
            *number += 1;
            free = format!("{name} {number}");
        }
        object.insert(free, Value::from(value.clone()));
    }
    Value::Object(object).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_one_address() {
        assert_eq!(row_number("17"), Some(17));
        for other in ["0", "017", "+17", "", "x", "99999999999999999999"] {
            assert_eq!(row_number(other), None, "{other}");
        }
    }
}
