//! Filters and orders lists of jobs.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, Utc};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::{InvalidField, JobStatus, PageRequest, UserId};

/// Selects the jobs of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// The owner of the jobs, or `None` for all users.
    pub owner: Option<UserId>,
    pub status: Option<JobStatus>,
    /// Text in the file's name, or in the name or email address of its user, ignoring case. Never empty.
    search: Option<String>,
    /// The first day of upload, in UTC.
    from: Option<NaiveDate>,
    /// The last day of upload.
    until: Option<NaiveDate>,
}

/// The column by which a list of jobs is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase", const_into_str)]
pub enum JobColumn {
    Filename,
    /// The user's name.
    User,
    Rows,
    /// The share of invalid rows.
    Invalid,
    /// The time of the upload.
    Created,
}

/// The order of a list of jobs. Among equal jobs the newest comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum JobOrder {
    /// Jobs that are being processed, then all others, each newest first.
    #[default]
    RunningFirst,
    Ascending(JobColumn),
    Descending(JobColumn),
}

/// One page of a list of jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobListRequest {
    pub filter: JobFilter,
    pub order: JobOrder,
}

impl JobListRequest {
    /// The names of the parameters that [`parse`](Self::parse) takes.
    pub const NAMES: [&str; 5] = ["status", "q", "from", "until", "sort"];

    /// Parses the values of a query. An empty text counts as absent.
    ///
    /// # Errors
    ///
    /// Returns an error for each invalid value.
    pub fn parse(
        owner: Option<UserId>,
        mut value: impl FnMut(&str) -> String,
    ) -> Result<Self, Vec<InvalidField>> {
        let [status, search, from, until, order] = Self::NAMES.map(&mut value);
        let mut errors = Vec::new();
        let request = Self {
            filter: JobFilter {
                owner,
                status: accept(&status, parse_status, &mut errors),
                search: accept(&search, parse_search, &mut errors),
                from: accept(&from, |day| parse_day("from", day), &mut errors),
                until: accept(&until, |day| parse_day("until", day), &mut errors),
            },
            order: accept(&order, str::parse, &mut errors).unwrap_or_default(),
        };
        if let (Some(from), Some(until)) = (request.filter.from, request.filter.until)
            && from > until
        {
            let sentence = "The last day must not be before the first.";
            errors.push(InvalidField::new("until", sentence));
        }
        match errors.is_empty() {
            true => Ok(request),
            false => Err(errors),
        }
    }
}

/// Parses a value, or adds its error to `errors`.
fn accept<T>(
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, InvalidField>,
    errors: &mut Vec<InvalidField>,
) -> Option<T> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    parse(text).map_err(|error| errors.push(error)).ok()
}

fn parse_status(text: &str) -> Result<JobStatus, InvalidField> {
    let sentence = "Status must be pending, processing, completed, failed, paused or cancelled.";
    text.parse()
        .map_err(|_| InvalidField::new("status", sentence))
}

fn parse_search(text: &str) -> Result<String, InvalidField> {
    if text.chars().count() > PageRequest::MAX_QUERY_CHARS {
        return Err(InvalidField::new("q", "Search for at most 255 characters."));
    }
    // PostgreSQL texts can't contain NUL, so nothing can match it.
    Ok(text.replace('\0', "\u{fffd}"))
}

fn parse_day(name: &str, text: &str) -> Result<NaiveDate, InvalidField> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    // PostgreSQL supports fewer years than chrono.
    day.filter(|day| (1..=9999).contains(&day.year()))
        .ok_or_else(|| {
            let sentence = format!("{name} must be a date like 2024-01-31.");
            InvalidField::new(name, &sentence)
        })
}

impl JobFilter {
    pub fn of(owner: Option<UserId>) -> Self {
        Self {
            owner,
            ..Self::default()
        }
    }

    pub fn search(&self) -> Option<&str> {
        self.search.as_deref()
    }

    pub fn from(&self) -> Option<NaiveDate> {
        self.from
    }

    pub fn until(&self) -> Option<NaiveDate> {
        self.until
    }

    /// Returns the time from which on the jobs were uploaded.
    pub fn begins(&self) -> Option<DateTime<Utc>> {
        self.from.map(midnight)
    }

    /// Returns the time before which the jobs were uploaded.
    pub fn ends(&self) -> Option<DateTime<Utc>> {
        self.until
            .and_then(|day| day.checked_add_days(Days::new(1)))
            .map(midnight)
    }

    /// Returns whether the filter has criteria beyond status and owner.
    pub fn is_narrowed(&self) -> bool {
        self.search.is_some() || self.from.is_some() || self.until.is_some()
    }
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

impl JobColumn {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }

    /// Returns the order that people expect first: names from A, numbers from the largest.
    pub const fn usual_order(self) -> JobOrder {
        match self {
            Self::Filename | Self::User => JobOrder::Ascending(self),
            Self::Rows | Self::Invalid | Self::Created => JobOrder::Descending(self),
        }
    }
}

impl JobOrder {
    /// Returns the reverse order of the same column.
    pub const fn reversed(self) -> Self {
        match self {
            Self::RunningFirst => Self::RunningFirst,
            Self::Ascending(column) => Self::Descending(column),
            Self::Descending(column) => Self::Ascending(column),
        }
    }

    pub const fn column(self) -> Option<JobColumn> {
        match self {
            Self::RunningFirst => None,
            Self::Ascending(column) | Self::Descending(column) => Some(column),
        }
    }
}

/// Writes the form that [`FromStr`] parses, or nothing for the default.
impl fmt::Display for JobOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RunningFirst => Ok(()),
            Self::Ascending(column) => f.write_str(column.as_str()),
            Self::Descending(column) => write!(f, "-{}", column.as_str()),
        }
    }
}

impl FromStr for JobOrder {
    type Err = InvalidField;

    fn from_str(text: &str) -> Result<Self, InvalidField> {
        let column = |name: &str| {
            name.parse().map_err(|_| {
                InvalidField::new(
                    "sort",
                    "Sort must be filename, user, rows, invalid or created, or one of them after a minus sign.",
                )
            })
        };
        match text.strip_prefix('-') {
            Some(name) => column(name).map(Self::Descending),
            None => column(text).map(Self::Ascending),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<JobListRequest, Vec<InvalidField>> {
        JobListRequest::parse(None, |name| {
            let pair = pairs.iter().find(|(given, _)| *given == name);
            pair.map_or_else(String::new, |(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn an_empty_query_requests_all_jobs() {
        assert_eq!(parse(&[]), Ok(JobListRequest::default()));
        let empty = JobListRequest::NAMES.map(|name| (name, " "));
        assert_eq!(parse(&empty), Ok(JobListRequest::default()));
    }

    #[test]
    fn days_are_whole() {
        let request = parse(&[("from", "2024-02-28"), ("until", "2024-02-29")]).unwrap();
        let filter = request.filter;
        assert_eq!(
            filter.begins().unwrap().to_rfc3339(),
            "2024-02-28T00:00:00+00:00"
        );
        assert_eq!(
            filter.ends().unwrap().to_rfc3339(),
            "2024-03-01T00:00:00+00:00"
        );
        assert!(filter.is_narrowed());
    }

    #[test]
    fn orders_round_trip() {
        for order in JobColumn::ALL
            .iter()
            .flat_map(|column| [JobOrder::Ascending(*column), JobOrder::Descending(*column)])
        {
            assert_eq!(order.to_string().parse(), Ok(order));
            assert_eq!(order.reversed().reversed(), order);
        }
    }

    #[test]
    fn every_invalid_value_is_named() {
        let long = "x".repeat(256);
        let wrong = [
            ("status", "done"),
            ("q", &long),
            ("from", "31.01.2024"),
            ("until", "+12024-01-01"),
            ("sort", "-size"),
        ];
        let errors = parse(&wrong).unwrap_err();
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, wrong.map(|(name, _)| name));
        let errors = parse(&[("from", "2024-01-02"), ("until", "2024-01-01")]).unwrap_err();
        assert_eq!(errors[0].field, "until");
        assert!(parse(&[("q", "\0")]).is_ok());
    }
}
