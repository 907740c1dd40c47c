//! Paging of lists: `page` and `size`, the total in `X-Total-Count`, and neighbouring pages in `Link` (RFC 8288).

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use domain::PageRequest;
use utoipa::IntoParams;

use crate::input::{QueryParameters, QueryValues};

const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// The highest page number.
pub const MAX_PAGE: u64 = u32::MAX as u64;

/// A page of a list.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// The page number, from 1.
    #[param(default = 1, minimum = 1, maximum = 4294967295_u64, required = false)]
    pub page: u64,
    /// The number of items per page.
    #[param(default = 100, minimum = 1, maximum = 1000, required = false)]
    pub size: u64,
}

impl ListQuery {
    const DEFAULT_SIZE: u64 = 100;
}

impl QueryParameters for ListQuery {
    const NAMES: &'static [&'static str] = &["page", "size"];

    fn read(query: &mut QueryValues) -> Option<Self> {
        Some(Self {
            page: query.number("page", MAX_PAGE).unwrap_or(1),
            size: query
                .number("size", PageRequest::MAX_SIZE.into())
                .unwrap_or(Self::DEFAULT_SIZE),
        })
    }
}

/// Returns the headers of a page.
pub fn headers(uri: &Uri, page: u64, pages: u64, total: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(TOTAL_COUNT, total.into());
    if let Ok(links) = HeaderValue::try_from(links(uri, page, pages)) {
        headers.insert(header::LINK, links);
    }
    headers
}

/// Returns the links to other pages: the same URL with another page number.
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
