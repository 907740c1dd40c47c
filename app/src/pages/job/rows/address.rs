//! The address of a page of rows: `/jobs/7?filter=invalid&q=refund&size=50&page=3`, or of the page that holds
//! a row: `/jobs/7?row=1234&size=50`. What is not in it is the default.

use domain::{InvalidField, PageRequest, RowFilter};
use leptos_router::params::ParamsMap;

/// What the query of the URL asks for.
pub fn parse(query: &ParamsMap) -> Result<PageRequest, InvalidField> {
    let page = match query.get_str("page").unwrap_or_default() {
        "" => 1,
        page => page
            .parse()
            .map_err(|_| InvalidField::new("page", "page is a number from 1."))?,
    };
    let size = match query.get_str("size").unwrap_or_default() {
        "" => PageRequest::DEFAULT_SIZE,
        size => size
            .parse()
            .map_err(|_| InvalidField::new("size", "size is a number from 1 to 1000."))?,
    };
    if let Some(row) = query.get_str("row").filter(|row| !row.is_empty()) {
        // What is no number is refused as 0 is.
        return PageRequest::around(row.trim().parse().unwrap_or(0), size);
    }
    let filter = query.get_str("filter").unwrap_or_default().parse()?;
    PageRequest::parse(page, size, filter, query.get_str("q"))
}

/// Where the rows stand that are shown, and the ones next to them.
#[derive(Debug, Clone, PartialEq)]
pub struct Address {
    job_id: i64,
    /// `None` for a query that can't be understood: then the links lead from the default.
    request: Option<PageRequest>,
}

impl Address {
    pub fn new(job_id: i64, request: Option<PageRequest>) -> Self {
        Self { job_id, request }
    }

    /// All rows from the first.
    pub fn path(&self) -> String {
        format!("/jobs/{}", self.job_id)
    }

    /// The row that is looked for.
    pub fn row(&self) -> Option<u64> {
        self.request.as_ref().and_then(PageRequest::row)
    }

    pub fn size(&self) -> u32 {
        self.request
            .as_ref()
            .map_or(PageRequest::DEFAULT_SIZE, PageRequest::size)
    }

    pub fn filter(&self) -> RowFilter {
        self.request
            .as_ref()
            .map_or(RowFilter::All, PageRequest::filter)
    }

    pub fn query(&self) -> &str {
        self.request
            .as_ref()
            .and_then(PageRequest::query)
            .unwrap_or_default()
    }

    /// Whether rows are left out by a filter or a search.
    pub fn is_narrowed(&self) -> bool {
        self.filter() != RowFilter::All || !self.query().is_empty()
    }

    /// The same search with another filter, from its first page.
    pub fn filtered(&self, filter: RowFilter) -> String {
        self.href(filter, 1)
    }

    pub fn paged(&self, page: u64) -> String {
        self.href(self.filter(), page)
    }

    fn href(&self, filter: RowFilter, page: u64) -> String {
        let mut query = ParamsMap::new();
        if !self.query().is_empty() {
            query.insert("q", self.query().to_owned());
        }
        if self.size() != PageRequest::DEFAULT_SIZE {
            query.insert("size", self.size().to_string());
        }
        if page != 1 {
            query.insert("page", page.to_string());
        }
        let mut query = query.to_query_string();
        if filter != RowFilter::All {
            // By hand: the router would escape the point of an error code, which nobody has to.
            let rest = query.strip_prefix('?').unwrap_or_default();
            let separator = if rest.is_empty() { "" } else { "&" };
            query = format!("?filter={filter}{separator}{rest}");
        }
        // The table, not the top of the page, is what somebody wants to see who pages on.
        format!("{}{query}#rows", self.path())
    }
}

// Without `ssr` the router escapes by the browser's functions, which a test has not.
#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> ParamsMap {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn an_address_says_what_differs_from_the_default() {
        let request = parse(&query(&[])).unwrap();
        assert_eq!(
            request,
            PageRequest::parse(1, 20, RowFilter::All, None).unwrap()
        );
        let address = Address::new(7, Some(request));
        assert_eq!(address.paged(1), "/jobs/7#rows");
        assert_eq!(
            address.filtered(RowFilter::Invalid),
            "/jobs/7?filter=invalid#rows"
        );
    }

    #[test]
    fn an_address_survives_the_way_through_the_url() {
        let asked = query(&[
            ("filter", "suspicious"),
            ("q", "a&b=ü%"),
            ("size", "50"),
            ("page", "3"),
        ]);
        let request = parse(&asked).unwrap();
        let address = Address::new(7, Some(request.clone()));
        assert!(address.is_narrowed());
        assert_eq!(
            (request.page(), address.size(), address.query()),
            (3, 50, "a&b=ü%")
        );
        let asked = parse(&query(&[("row", "70"), ("size", "50")])).unwrap();
        let address_of_row = Address::new(7, Some(asked));
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
    fn what_is_no_page_is_refused_with_a_sentence() {
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
        let address = Address::new(7, parse(&query(&[("size", "50")])).ok());
        assert_eq!(
            address.filtered(RowFilter::Problem(domain::ErrorCode::DateMissing)),
            "/jobs/7?filter=date.missing&size=50#rows"
        );
        // An empty field of the search form is no value.
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
