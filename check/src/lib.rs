//! The check of a file before its upload: the worker's validator, in a thread of the browser.
//!
//! With the feature `thread` this is the WebAssembly that runs there, and that the browser loads when the first file
//! is chosen; without it, what the thread tells to the page.

#[cfg(feature = "thread")]
mod facts;
pub mod form;
#[cfg(feature = "thread")]
mod thread;

use serde::{Deserialize, Serialize};
use validator::Counts;
pub use validator::Example;

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
    /// The most frequent first.
    pub problems: Vec<Problem>,
    /// How the file is read, and what its valid rows amount to: names and what there is to say.
    pub facts: Vec<(String, String)>,
    /// `false` if there are more rows than a browser has memory for.
    pub is_whole: bool,
    /// What was given about the file, as JSON.
    pub format: String,
}

/// A kind of error that occurs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    pub title: String,
    pub rows: u64,
    /// The first few rows that have it.
    pub examples: Vec<Example>,
}

/// Why a check has no report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Failure {
    /// Processing would fail too, with this sentence.
    Refused(String),
    /// Only processing can check it, for this reason.
    Unpacked(String),
    /// Processing would ask, too.
    Asked(Asked),
    /// An answer is no good, for this reason.
    Invalid(String),
    /// The file was changed, moved or removed after it was chosen, or it is a directory.
    Unreadable,
    /// The rows to be kept are more than [`MAX_KEPT_BYTES`], or those of a file that isn't checked to its end.
    TooLarge,
    /// The thread couldn't be started, or broke off: for want of memory, say.
    Broken,
}

/// What must be answered before the file can be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The questions, as sentences.
    pub sentence: String,
    /// The fields of a form, as HTML.
    pub fields: String,
    /// What was given about the file so far, as JSON.
    pub format: String,
}

/// What the thread tells, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    Progress(Progress),
    Done(Box<Report>),
    Failed(Failure),
    /// How the rows that a question shows are read. `None` if the question is none.
    Reads(Option<form::Reads>),
}
