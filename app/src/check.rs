//! The check of a file before its upload: the worker's validator, in a thread of the browser.
//!
//! [`check`] starts that thread and listens to it. What runs there is `check_file` in `worker`: the very
//! module that the page has loaded, in a memory of its own.

mod object_url;
mod thread;
#[cfg(feature = "hydrate")]
mod worker;

use domain::{Counts, DateSpan, ErrorCode, Layout};
use serde::{Deserialize, Serialize};

pub use object_url::ObjectUrl;
pub use thread::check;

/// The most bytes of rows that are kept for a download.
pub const MAX_KEPT_BYTES: u64 = 100_000_000;

/// How far a check is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Of the file that were read.
    pub bytes: u64,
    pub seconds: f64,
    pub counts: Counts,
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub progress: Progress,
    pub layout: Layout,
    /// The most frequent first.
    pub problems: Vec<Problem>,
    /// The sum over the valid rows, as exact as the file has it.
    pub valid_amount: String,
    /// Of the valid rows.
    pub valid_dates: Option<DateSpan>,
    /// `false` if there are more rows than a browser has memory for.
    pub is_whole: bool,
}

/// A kind of error that occurs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    pub code: ErrorCode,
    pub rows: u64,
    /// The first few rows that have it.
    pub examples: Vec<Example>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    pub row_number: u64,
    /// A sentence for people.
    pub message: String,
}

/// Why a check has no report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Failure {
    /// Processing would fail too, with this sentence.
    Refused(String),
    /// The file was changed, moved or removed after it was chosen, or it is a directory.
    Unreadable,
    /// The rows to be kept are more than [`MAX_KEPT_BYTES`], or those of a file that isn't checked to its end.
    TooLarge,
    /// The thread couldn't be started, or broke off: for want of memory, say.
    Broken,
}

/// What the thread tells, as JSON.
#[derive(Debug, Serialize, Deserialize)]
enum Message {
    Progress(Progress),
    Done(Box<Report>),
    Failed(Failure),
}
