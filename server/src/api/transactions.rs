//! `/jobs/{job_id}/transactions`

use axum::{
    Json,
    extract::{OriginalUri, State},
    response::IntoResponse,
};
use backend::{
    Backend,
    results::page::{self, RowPage},
};
use domain::{JobId, PageRequest, RowFilter, Transaction};
use utoipa::IntoParams;

use super::paging::{self, MAX_PAGE};
use crate::{
    auth::By,
    busy::Turns,
    input::{ApiPath, ApiQuery, QueryParameters, QueryValues},
    problem::Problem,
};

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RowsQuery {
    /// The page number, from 1.
    #[param(default = 1, minimum = 1, maximum = 4294967295_u64, required = false)]
    page: u64,
    #[param(default = 20, minimum = 1, maximum = 1000, required = false)]
    size: u32,
    #[param(required = false)]
    filter: RowFilter,
    /// Only rows with exactly this transaction id. If there are none, rows whose id or description contains the text,
    /// ignoring case.
    #[param(max_length = 255, pattern = "^[^\\u0000]*$")]
    q: Option<String>,
    /// The page that contains the row with this number, or the next row that isn't ignored. Without one, the page is empty.
    /// Replaces `page`, `filter` and `q`.
    #[param(minimum = 1)]
    row: Option<u64>,
}

impl QueryParameters for RowsQuery {
    const NAMES: &'static [&'static str] = &["page", "size", "filter", "q", "row"];

    fn read(query: &mut QueryValues) -> Option<Self> {
        let size = query.number("size", PageRequest::MAX_SIZE.into());
        let filter = query.text("filter").unwrap_or_default();
        Some(Self {
            page: query.number("page", MAX_PAGE).unwrap_or(1),
            size: size
                .and_then(|size| size.try_into().ok())
                .unwrap_or(PageRequest::DEFAULT_SIZE),
            filter: query.parsed(filter.parse::<RowFilter>())?,
            q: query.search("q"),
            row: query.number("row", i64::MAX as u64),
        })
    }
}

/// List a job's rows in the order of the file
#[utoipa::path(get, path = "/jobs/{job_id}/transactions", tag = "jobs",
    params(("job_id" = JobId, Path), RowsQuery),
    responses(
        (status = 200, body = [Transaction], headers(
            ("X-Total-Count" = u64, description = "number of matching rows"),
            ("Link" = String, description = "first, prev, next and last page (RFC 8288)"))),
        (status = 404, body = Problem),
        (status = 409, description = "the job's file is missing, or the job was restarted meanwhile", body = Problem),
        (status = 422, body = Problem)))]
pub async fn list(
    State(backend): State<Backend>,
    By(viewer): By,
    State(turns): State<Turns>,
    OriginalUri(uri): OriginalUri,
    ApiPath(job_id): ApiPath<JobId>,
    ApiQuery(query): ApiQuery<RowsQuery>,
) -> Result<impl IntoResponse, Problem> {
    let request = match query.row {
        Some(row) => PageRequest::around(row, query.size)?,
        None => PageRequest::parse(query.page, query.size, query.filter, query.q.as_deref())?,
    };
    let _turn = match request.query() {
        Some(_) => Some(turns.searches.take(&viewer).await?),
        None => None,
    };
    let mut found = page::get(&backend, &viewer, job_id, &request).await?;
    let pages = request.pages(found.total);
    if query
        .row
        .is_some_and(|row| is_beyond(&found, row, query.size))
    {
        // Like a page beyond the last one.
        found.page = pages + 1;
        found.rows.clear();
    }
    let headers = paging::headers(&uri, found.page, pages, found.total);
    Ok((headers, Json(found.rows)))
}

/// Returns whether the row is behind the last one. `found` is the page with the row or, if there is none, the last page.
fn is_beyond(found: &RowPage, row: u64, size: u32) -> bool {
    let until = (found.page - 1) * u64::from(size) + found.rows.len() as u64;
    // A page that ends early, because its rows are large, has rows after it.
    until == found.total && found.rows.last().is_some_and(|last| last.row_number < row)
}
