//! `/jobs/{job_id}/transactions`

use axum::{
    Json,
    extract::{OriginalUri, State},
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header},
    response::IntoResponse,
};
use backend::{Backend, results::page};
use domain::{InvalidField, JobId, PageRequest, RowFilter, Transaction};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::problem::{ApiPath, ApiQuery, Problem};

const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

#[derive(Debug, Deserialize, IntoParams)]
pub struct RowsQuery {
    /// From 1.
    #[param(default = 1, minimum = 1)]
    #[serde(default = "first_page")]
    page: u64,
    #[param(default = 20, minimum = 1, maximum = 1000)]
    #[serde(default = "default_size")]
    size: u32,
    /// `all`, `valid`, `invalid`, `suspicious`, or the code of an error that the rows have.
    #[serde(default)]
    filter: String,
    /// Only rows with exactly this transaction id; if there are none, those whose id or description contains
    /// it, whatever the case.
    q: Option<String>,
    /// Instead of `page`, `filter` and `q`: the page that holds the row of this number.
    #[param(minimum = 1)]
    row: Option<u64>,
}

fn first_page() -> u64 {
    1
}

fn default_size() -> u32 {
    PageRequest::DEFAULT_SIZE
}

/// List a job's rows in the order of the file
#[utoipa::path(get, path = "/jobs/{job_id}/transactions", tag = "jobs",
    params(("job_id" = JobId, Path), RowsQuery),
    responses(
        (status = 200, body = [Transaction], headers(
            ("X-Total-Count" = u64, description = "rows under this filter"),
            ("Link" = String, description = "first, prev, next and last page (RFC 8288)"))),
        (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub async fn list(
    State(backend): State<Backend>,
    OriginalUri(uri): OriginalUri,
    ApiPath(job_id): ApiPath<JobId>,
    ApiQuery(query): ApiQuery<RowsQuery>,
) -> Result<impl IntoResponse, Problem> {
    let request = match query.row {
        Some(row) => PageRequest::around(row, query.size)?,
        None => {
            let filter: RowFilter = query.filter.parse().map_err(InvalidField::from)?;
            PageRequest::parse(query.page, query.size, filter, query.q.as_deref())?
        }
    };
    let found = page::get(&backend, job_id, &request).await?;
    let mut headers = HeaderMap::new();
    headers.insert(TOTAL_COUNT, found.total.into());
    if let Ok(links) = HeaderValue::try_from(links(&uri, found.page, request.pages(found.total))) {
        headers.insert(header::LINK, links);
    }
    Ok((headers, Json(found.rows)))
}

/// The neighbours of a page: the same address with another page number.
fn links(uri: &Uri, page: u64, pages: u64) -> String {
    let others: Vec<&str> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !["", "page", "row"].contains(&pair.split('=').next().unwrap_or_default()))
        .collect();
    let link = |relation: &str, page: u64| {
        let page = format!("page={page}");
        let query = [&others[..], &[&page]].concat().join("&");
        format!("<{}?{query}>; rel=\"{relation}\"", uri.path())
    };
    let mut links = vec![link("first", 1), link("last", pages)];
    if page > 1 {
        links.push(link("prev", (page - 1).min(pages)));
    }
    if page < pages {
        links.push(link("next", page + 1));
    }
    links.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_keep_the_rest_of_the_query() {
        let uri = "/api/jobs/7/transactions?filter=valid&page=2&size=5"
            .parse()
            .unwrap();
        assert_eq!(
            links(&uri, 2, 3),
            "</api/jobs/7/transactions?filter=valid&size=5&page=1>; rel=\"first\", \
             </api/jobs/7/transactions?filter=valid&size=5&page=3>; rel=\"last\", \
             </api/jobs/7/transactions?filter=valid&size=5&page=1>; rel=\"prev\", \
             </api/jobs/7/transactions?filter=valid&size=5&page=3>; rel=\"next\""
        );
        assert!(!links(&uri, 1, 1).contains("next"));
        let uri = "/jobs/7/transactions?row=30".parse().unwrap();
        assert!(links(&uri, 2, 2).starts_with("</jobs/7/transactions?page=1>"));
    }
}
