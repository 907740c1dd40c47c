//! The address of a page of rows, such as `/jobs/7?filter=invalid&q=refund&size=50&page=3`, or of the page with a
//! certain row, such as `/jobs/7?row=1234&size=50`. Whatever it omits has its default.

use domain::{InvalidField, JobId, PageRequest, RowFilter};
use url::form_urlencoded;

use crate::Query;

/// Parses the query of the URL.
pub fn parse(query: &Query) -> Result<PageRequest, InvalidField> {
    let page = match query.get("page") {
        "" => 1,
        page => page
            .parse()
            .map_err(|_| InvalidField::new("page", "Page must be 1 or higher."))?,
    };
    let size = match query.get("size") {
        "" => PageRequest::DEFAULT_SIZE,
        size => size
            .parse()
            .map_err(|_| InvalidField::new("size", "Size must be from 1 to 1,000."))?,
    };
    match query.get("row") {
        "" => PageRequest::parse(
            page,
            size,
            query.get("filter").parse()?,
            Some(query.get("q")),
        ),
        // Anything that isn't a number is refused like 0.
        row => PageRequest::around(row.trim().parse().unwrap_or(0), size),
    }
}

/// The address of the shown rows, from which others are derived.
#[derive(Debug, Clone, PartialEq)]
pub struct Address {
    job_id: JobId,
    request: PageRequest,
}

impl Address {
    pub fn new(job_id: JobId, request: PageRequest) -> Self {
        Self { job_id, request }
    }

    pub fn job_id(&self) -> JobId {
        self.job_id
    }

    /// Returns the address of all rows from the first one.
    pub fn path(&self) -> String {
        format!("/jobs/{}", self.job_id)
    }

    /// Returns the requested row.
    pub fn row(&self) -> Option<u64> {
        self.request.row()
    }

    pub fn size(&self) -> u32 {
        self.request.size()
    }

    pub fn filter(&self) -> RowFilter {
        self.request.filter()
    }

    pub fn query(&self) -> &str {
        self.request.query().unwrap_or_default()
    }

    /// Returns whether a filter or a search excludes rows.
    pub fn is_narrowed(&self) -> bool {
        self.filter() != RowFilter::All || !self.query().is_empty()
    }

    /// Returns the address for the same search with another filter, starting at its first page.
    pub fn filtered(&self, filter: RowFilter) -> String {
        self.href(filter, 1)
    }

    pub fn paged(&self, page: u64) -> String {
        self.href(self.filter(), page)
    }

    /// Returns what addresses of other rows keep of this one: the search and the size, such as `&q=refund&size=50`.
    pub fn kept(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !self.query().is_empty() {
            query.append_pair("q", self.query());
        }
        if self.size() != PageRequest::DEFAULT_SIZE {
            query.append_pair("size", &self.size().to_string());
        }
        match query.finish() {
            kept if kept.is_empty() => kept,
            kept => format!("&{kept}"),
        }
    }

    fn href(&self, filter: RowFilter, page: u64) -> String {
        let mut query = String::new();
        if filter != RowFilter::All {
            query = format!("&filter={filter}");
        }
        query += &self.kept();
        if page != 1 {
            query += &format!("&page={page}");
        }
        let query = query.trim_start_matches('&');
        let separator = if query.is_empty() { "" } else { "?" };
        // Turning pages scrolls to the table rather than to the top of the page.
        format!("{}{separator}{query}#rows", self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Query {
        let mut query = form_urlencoded::Serializer::new(String::new());
        Query::parse(&query.extend_pairs(pairs).finish())
    }

    #[test]
    fn an_address_says_what_differs_from_the_default() {
        let request = parse(&query(&[])).unwrap();
        assert_eq!(
            request,
            PageRequest::parse(1, 20, RowFilter::All, None).unwrap()
        );
        let address = Address::new(7.into(), request);
        assert_eq!(address.paged(1), "/jobs/7#rows");
        assert_eq!(
            address.filtered(RowFilter::Invalid),
            "/jobs/7?filter=invalid#rows"
        );
    }

    #[test]
    fn an_address_round_trips_through_the_url() {
        let asked = query(&[
            ("filter", "suspicious"),
            ("q", "a&b=ü%"),
            ("size", "50"),
            ("page", "3"),
        ]);
        let request = parse(&asked).unwrap();
        let address = Address::new(7.into(), request.clone());
        assert!(address.is_narrowed());
        assert_eq!(
            (request.page(), address.size(), address.query()),
            (3, 50, "a&b=ü%")
        );
        let asked = parse(&query(&[("row", "70"), ("size", "50")])).unwrap();
        let address_of_row = Address::new(7.into(), asked);
        assert_eq!(address_of_row.row(), Some(70));
        assert_eq!(address_of_row.paged(1), "/jobs/7?size=50#rows");
        assert!(
            address
                .paged(3)
                .starts_with("/jobs/7?filter=suspicious&q=a%26b%3D")
        );
        assert!(address.filtered(RowFilter::All).ends_with("&size=50#rows"));
    }

    #[test]
    fn an_invalid_page_is_refused_with_a_sentence() {
        for wrong in [
            ("page", "0"),
            ("page", "x"),
            ("size", "0"),
            ("size", "1001"),
            ("filter", "odd"),
            ("row", "0"),
            ("row", "x"),
        ] {
            let error = parse(&query(&[wrong])).unwrap_err();
            assert_eq!(error.field, wrong.0);
        }
        let address = Address::new(7.into(), parse(&query(&[("size", "50")])).unwrap());
        assert_eq!(
            address.filtered(RowFilter::Problem(domain::ErrorCode::DateMissing)),
            "/jobs/7?filter=date.missing&size=50#rows"
        );
        // An empty field of the search form counts as absent.
        assert!(
            parse(&query(&[
                ("page", ""),
                ("size", ""),
                ("filter", ""),
                ("q", "")
            ]))
            .is_ok()
        );
    }
}
