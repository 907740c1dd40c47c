//! Quotas of users, their usage, and how long jobs are kept.

use serde::Serialize;

use crate::{InvalidField, format};

/// A quota, and how much of it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Quota {
    pub used: u64,
    /// The limit. `null` means no limit.
    pub limit: Option<u64>,
    /// The quota that an admin set for this user. 0 means no limit, and `null` that the default for all users applies.
    pub own: Option<u64>,
}

impl Quota {
    /// The largest quota that can be set. JSON and every client can represent it exactly.
    pub const MAX: u64 = 999_999_999_999_999;

    /// 0 means no limit for `own` and `default`.
    pub fn new(used: u64, own: Option<u64>, default: u64) -> Self {
        let limit = own.unwrap_or(default);
        Self {
            used,
            limit: (limit > 0).then_some(limit),
            own,
        }
    }

    /// Returns how much more fits, or `None` without a limit.
    pub fn remaining(self) -> Option<u64> {
        self.limit.map(|limit| limit.saturating_sub(self.used))
    }

    /// Returns whether nothing more fits.
    pub fn is_reached(self) -> bool {
        self.remaining() == Some(0)
    }

    /// Returns whether at least nine tenths are used.
    pub fn is_nearly_reached(self) -> bool {
        self.limit
            .is_some_and(|limit| u128::from(self.used) * 10 >= u128::from(limit) * 9)
    }
}

/// How long jobs are kept after they have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Retention {
    /// The number of days. `null` means until somebody deletes them.
    pub days: Option<u64>,
    /// The number of days that an admin set for this user. 0 keeps jobs until somebody deletes them, and `null` means
    /// that the default for all users applies.
    pub own: Option<u64>,
}

impl Retention {
    /// A hundred years.
    pub const MAX_DAYS: u64 = 36_500;

    /// 0 means no end for `own` and `default`.
    pub fn new(own: Option<u64>, default: u64) -> Self {
        let days = own.unwrap_or(default);
        Self {
            days: (days > 0).then_some(days),
            own,
        }
    }
}

/// The quotas of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Quotas {
    /// The number of jobs in any status. Deleted jobs don't count.
    pub jobs: Quota,
    /// The total size of the files of these jobs and of their unpacked or converted texts, in bytes.
    pub bytes: Quota,
    /// The number of jobs that are processed at the same time.
    pub active_jobs: Quota,
    pub retention: Retention,
}

impl Quotas {
    /// Returns a sentence for each quota that is reached or nearly reached.
    pub fn warnings(&self) -> Vec<String> {
        let warning = |quota: Quota, what: &str, text: fn(u64) -> String| {
            let limit = quota.limit.filter(|_| quota.is_nearly_reached())?;
            let share = format::share(quota.used.min(limit), limit);
            let (used, limit) = (text(quota.used), text(limit));
            Some(match quota.is_reached() {
                true => format!(
                    "The quota is used up: {used} of {limit} {what}. Delete jobs that are no longer needed, or ask an \
                     admin for a higher quota."
                ),
                false => format!("{share} of the quota is used: {used} of {limit} {what}."),
            })
        };
        [
            warning(self.jobs, "jobs", format::count),
            warning(self.bytes, "stored", format::bytes),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Changes to a user's quotas. Omitted fields stay as they are, `null` restores the default of all users, and 0 means
/// unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", serde(deny_unknown_fields))]
pub struct QuotaChange {
    /// The maximum number of the user's jobs.
    #[cfg_attr(feature = "openapi", schema(schema_with = crate::schema::quota, required = false))]
    pub jobs: Option<Option<u64>>,
    /// The maximum total size of the files of these jobs, in bytes.
    #[cfg_attr(feature = "openapi", schema(schema_with = crate::schema::quota, required = false))]
    pub bytes: Option<Option<u64>>,
    /// The maximum number of jobs that are processed at the same time.
    #[cfg_attr(feature = "openapi", schema(schema_with = crate::schema::quota, required = false))]
    pub active_jobs: Option<Option<u64>>,
    /// The number of days after which ended jobs are deleted.
    #[cfg_attr(feature = "openapi", schema(schema_with = crate::schema::days, required = false))]
    pub retention_days: Option<Option<u64>>,
}

impl QuotaChange {
    pub const FIELDS: [&'static str; 4] = ["jobs", "bytes", "active_jobs", "retention_days"];

    /// Parses the fields of a form, in the order of [`Self::FIELDS`]. An empty field means the default for all users.
    pub fn parse(typed: [&str; 4]) -> Result<Self, Vec<InvalidField>> {
        let [jobs, bytes, active_jobs, days] = Self::FIELDS;
        let parsed = [
            parse_number(jobs, typed[0], Quota::MAX),
            parse_bytes(bytes, typed[1]),
            parse_number(active_jobs, typed[2], Quota::MAX),
            parse_number(days, typed[3], Retention::MAX_DAYS),
        ];
        match parsed {
            [Ok(jobs), Ok(bytes), Ok(active_jobs), Ok(days)] => Ok(Self {
                jobs: Some(jobs),
                bytes: Some(bytes),
                active_jobs: Some(active_jobs),
                retention_days: Some(days),
            }),
            parsed => Err(parsed.into_iter().filter_map(Result::err).collect()),
        }
    }
}

/// The units in which quotas of bytes are typed and shown.
const UNITS: [(&str, u64); 4] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
];

/// Formats bytes exactly, for [`QuotaChange::parse`], in the largest unit that leaves a whole number.
pub fn exact_bytes(bytes: u64) -> String {
    let unit = UNITS
        .iter()
        .find(|(_, size)| bytes > 0 && bytes.is_multiple_of(*size));
    match unit {
        Some((unit, size)) => format!("{} {unit}", bytes / size),
        None => bytes.to_string(),
    }
}

fn parse_bytes(field: &str, typed: &str) -> Result<Option<u64>, InvalidField> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(None);
    }
    let digits = typed.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let unit = &typed[digits.len()..];
    let size = match unit {
        "" => Some(1),
        unit => UNITS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(unit))
            .map(|(_, size)| *size),
    };
    let number = plain_number(digits.trim_end());
    let bytes = number
        .zip(size)
        .and_then(|(number, size)| number.checked_mul(size));
    match bytes.filter(|bytes| *bytes <= Quota::MAX) {
        Some(bytes) => Ok(Some(bytes)),
        None => Err(InvalidField::new(
            field,
            "Enter a size such as 500 MB or 10 GB, below 1,000 TB. Leave it empty for the default.",
        )),
    }
}

fn parse_number(field: &str, typed: &str, max: u64) -> Result<Option<u64>, InvalidField> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(None);
    }
    match plain_number(typed).filter(|number| *number <= max) {
        Some(number) => Ok(Some(number)),
        None => {
            let max = format::count(max);
            let sentence =
                format!("Enter a whole number from 0 to {max}. Leave it empty for the default.");
            Err(InvalidField::new(field, &sentence))
        }
    }
}

/// Parses digits, with or without commas between them.
fn plain_number(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(|character| *character != ',').collect();
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_the_users_own_or_the_default_and_0_means_no_limit() {
        assert_eq!(Quota::new(3, None, 0).limit, None);
        assert_eq!(Quota::new(3, None, 5).remaining(), Some(2));
        assert_eq!(Quota::new(3, Some(0), 5).remaining(), None);
        assert_eq!(Quota::new(7, Some(4), 5).remaining(), Some(0));
        assert!(!Quota::new(8, Some(9), 0).is_nearly_reached());
        assert!(Quota::new(9, Some(10), 0).is_nearly_reached());
        assert!(!Quota::new(9, Some(10), 0).is_reached());
        assert!(Quota::new(u64::MAX, Some(1), 0).is_reached());
        assert_eq!(Retention::new(None, 30).days, Some(30));
        assert_eq!(Retention::new(Some(0), 30).days, None);
    }

    #[test]
    fn warnings_say_how_much_is_used() {
        let quotas = Quotas {
            jobs: Quota::new(95, None, 100),
            bytes: Quota::new(10_000_000_000, None, 10_000_000_000),
            active_jobs: Quota::new(1, None, 1),
            retention: Retention::new(None, 0),
        };
        assert_eq!(
            quotas.warnings(),
            [
                "95% of the quota is used: 95 of 100 jobs.",
                "The quota is used up: 10.0\u{a0}GB of 10.0\u{a0}GB stored. Delete jobs that are no longer needed, or \
                 ask an admin for a higher quota."
            ]
        );
    }

    #[test]
    fn quotas_are_typed_with_units_and_shown_as_they_are_typed() {
        let bytes = |typed: &str| QuotaChange::parse(["", typed, "", ""]).map(|it| it.bytes);
        for (typed, expected) in [
            ("500 MB", 500_000_000),
            ("10gb", 10_000_000_000),
            ("1,500", 1_500),
            ("0", 0),
            ("999 TB", 999_000_000_000_000),
        ] {
            assert_eq!(bytes(typed), Ok(Some(Some(expected))), "{typed}");
            let shown = exact_bytes(expected);
            assert_eq!(bytes(&shown), Ok(Some(Some(expected))), "{shown}");
        }
        assert_eq!(bytes(" "), Ok(Some(None)));
        for wrong in [
            "1.5 GB",
            "-1",
            "GB",
            "10 GiB",
            "1000 TB",
            "ä",
            "99999999999999999999",
        ] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
        let errors = QuotaChange::parse(["x", "", "-1", "36501"]).unwrap_err();
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["jobs", "active_jobs", "retention_days"]);
    }
}
