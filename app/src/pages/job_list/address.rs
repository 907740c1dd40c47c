//! The address of a list of jobs: `/?status=failed&q=march&sort=-rows&page=2`, or the same below `/users/7`. Whatever
//! it omits has its default.

use backend::JobList;
use domain::{InvalidField, JobColumn, JobListRequest, JobOrder, JobStatus, UserId, page_count};
use url::form_urlencoded;

use crate::Query;

/// The address of the shown jobs, from which others are derived.
#[derive(Debug, Clone, PartialEq)]
pub struct Address {
    request: JobListRequest,
    page: u64,
    /// Whether jobs can be selected without JavaScript, although the page would otherwise keep reloading.
    select: Select,
}

/// Which jobs are selected when the page is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Select {
    #[default]
    Off,
    None,
    All,
}

impl Address {
    /// Parses the query of the address. Invalid values are ignored and returned as errors.
    pub fn read(owner: Option<UserId>, query: &Query, page: u64) -> (Self, Vec<InvalidField>) {
        let parsed = JobListRequest::parse(owner, |name| query.get(name).to_owned());
        let (request, errors) = match parsed {
            Ok(request) => (request, Vec::new()),
            Err(errors) => {
                let wrong: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
                let rest = JobListRequest::parse(owner, |name| match wrong.contains(&name) {
                    true => String::new(),
                    false => query.get(name).to_owned(),
                });
                (rest.unwrap_or_default(), errors)
            }
        };
        let select = match query.get("select") {
            "all" => Select::All,
            "" => Select::Off,
            _ => Select::None,
        };
        let address = Self {
            request,
            page,
            select,
        };
        (address, errors)
    }

    pub fn request(&self) -> &JobListRequest {
        &self.request
    }

    pub fn select(&self) -> Select {
        self.select
    }

    pub fn owner(&self) -> Option<UserId> {
        self.request.filter.owner
    }

    /// Returns the address of all jobs in the default order.
    pub fn path(&self) -> String {
        match self.owner() {
            Some(user_id) => format!("/users/{user_id}"),
            None => "/".to_owned(),
        }
    }

    /// Returns whether any jobs are excluded.
    pub fn is_narrowed(&self) -> bool {
        self.request.filter.is_narrowed() || self.request.filter.status.is_some()
    }

    /// Returns the address of those jobs that have this status.
    pub fn with_status(&self, status: Option<JobStatus>) -> String {
        let mut other = self.clone();
        other.request.filter.status = status;
        other.paged(1)
    }

    /// Returns the address with this column as the order, or with the order reversed if it already is.
    pub fn ordered_by(&self, column: JobColumn) -> String {
        let mut other = self.clone();
        let order = self.request.order;
        other.request.order = match order.column() == Some(column) {
            true => order.reversed(),
            false => column.usual_order(),
        };
        other.paged(1)
    }

    /// Returns the address of the page with this number.
    pub fn paged(&self, page: u64) -> String {
        Self {
            page,
            select: Select::Off,
            ..self.clone()
        }
        .href()
    }

    /// Returns the same page with these jobs selected.
    pub fn selecting(&self, select: Select) -> String {
        Self {
            select,
            ..self.clone()
        }
        .href()
    }

    fn href(&self) -> String {
        let JobListRequest { filter, order } = &self.request;
        let mut query = form_urlencoded::Serializer::new(String::new());
        let mut add = |name: &str, value: &str| {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        };
        add("status", filter.status.map_or("", JobStatus::as_str));
        add("q", filter.search().unwrap_or_default());
        let day =
            |day: Option<chrono::NaiveDate>| day.map_or_else(String::new, |day| day.to_string());
        add("from", &day(filter.from()));
        add("until", &day(filter.until()));
        add("sort", &order.to_string());
        if self.page != 1 {
            add("page", &self.page.to_string());
        }
        match self.select {
            Select::Off => {}
            Select::None => add("select", "none"),
            Select::All => add("select", "all"),
        }
        let query = query.finish();
        let separator = if query.is_empty() { "" } else { "?" };
        format!("{}{separator}{query}#jobs", self.path())
    }

    /// Returns the number of pages that `total` jobs fill, at least 1.
    pub fn pages(total: u64) -> u64 {
        page_count(total, JobList::SIZE)
    }

    /// Returns the direction in which the jobs are ordered by this column, as a value of `aria-sort`.
    pub fn sort_of(&self, column: JobColumn) -> Option<&'static str> {
        match self.request.order {
            JobOrder::Ascending(by) if by == column => Some("ascending"),
            JobOrder::Descending(by) if by == column => Some("descending"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> (Address, Vec<InvalidField>) {
        Address::read(None, &Query::parse(query), 1)
    }

    #[test]
    fn an_address_says_what_differs_from_the_default() {
        let (address, errors) = read("");
        assert!(errors.is_empty());
        assert_eq!(address.paged(1), "/#jobs");
        assert_eq!(address.ordered_by(JobColumn::Rows), "/?sort=-rows#jobs");
        assert_eq!(
            address.with_status(Some(JobStatus::Failed)),
            "/?status=failed#jobs"
        );
        assert_eq!(address.selecting(Select::All), "/?select=all#jobs");
    }

    #[test]
    fn an_address_round_trips_through_the_url() {
        let text =
            "status=failed&q=a%26b%3D%C3%BC&from=2024-01-01&until=2024-01-31&sort=filename&page=3";
        let (address, errors) = Address::read(Some(7.into()), &Query::parse(text), 3);
        assert!(errors.is_empty() && address.is_narrowed());
        assert_eq!(address.paged(3), format!("/users/7?{text}#jobs"));
        assert!(
            address
                .ordered_by(JobColumn::Filename)
                .contains("sort=-filename")
        );
        assert!(!address.with_status(None).contains("page"));
    }

    #[test]
    fn invalid_values_are_named_and_ignored() {
        let (address, errors) = read("status=odd&q=march&sort=size");
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["status", "sort"]);
        assert_eq!(address.paged(1), "/?q=march#jobs");
        let (address, errors) = read("from=2024-02-01&until=2024-01-01");
        assert_eq!(errors.len(), 1);
        assert_eq!(address.paged(1), "/?from=2024-02-01#jobs");
    }
}
