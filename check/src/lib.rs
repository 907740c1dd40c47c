//! Checks a file before its upload, with the worker's validator in a web worker of the browser.
//!
//! With the feature `web_worker` this crate is the WebAssembly that runs in the web worker, which the browser loads when
//! the first file is chosen. Without it, the crate has only the messages from the web worker to the page, and the form
//! that asks how a file is to be read:
//!
//! ```
//! use serde_json::json;
//! use validator::{DateOrder, Question};
//!
//! let question: Question = serde_json::from_value(json!({
//!     "key": "date_order", "code": "format.date_order",
//!     "message": "Is the day or the month first in 03/04/2024?",
//!     "choices": [
//!         { "value": "dmy", "label": "Day first", "samples": [] },
//!         { "value": "mdy", "label": "Month first", "samples": [] },
//!     ],
//! }))?;
//! let html = check::form::fields(&[question], "format", &[]);
//! assert!(html.contains(r#"<input type="radio" name="date_order" value="dmy" required>"#));
//!
//! let answers = [("date_order".to_owned(), "dmy".to_owned())];
//! let format = check::form::answers(&answers).unwrap();
//! assert_eq!(format.date_order, Some(DateOrder::Dmy));
//! # Ok::<(), serde_json::Error>(())
//! ```

#[cfg(feature = "web_worker")]
mod facts;
pub mod form;
#[cfg(feature = "web_worker")]
mod web_worker;

use serde::{Deserialize, Serialize};
use validator::Counts;
pub use validator::Example;

/// The maximum size of the rows that are kept for a download, in bytes.
pub const MAX_KEPT_BYTES: u64 = 100_000_000;

/// The progress of a check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The number of bytes read from the file.
    pub bytes: u64,
    pub seconds: f64,
    pub counts: Counts,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub progress: Progress,
    /// The most frequent first.
    pub problems: Vec<Problem>,
    /// How the file is read, and a summary of its valid rows, as names and values.
    pub facts: Vec<(String, String)>,
    /// `false` if the file has more rows than fit into a browser's memory.
    pub is_whole: bool,
    /// The format given for the file, as JSON.
    pub format: String,
}

/// A kind of error that occurs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    pub title: String,
    pub rows: u64,
    /// The first rows that have it.
    pub examples: Vec<Example>,
}

/// The reason why a check has no report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Failure {
    /// Processing would also fail, with this sentence.
    Refused(String),
    /// Only processing can check the file, for this reason.
    Unpacked(String),
    /// Processing would also ask.
    Asked(Asked),
    /// An answer is invalid, for this reason.
    Invalid(String),
    /// The file was changed, moved or removed after it was chosen, or it is a directory.
    Unreadable,
    /// The rows to keep exceed [`MAX_KEPT_BYTES`], or belong to a file that isn't checked to its end.
    TooLarge,
    /// The web worker couldn't start or was aborted, for example for lack of memory.
    Broken,
}

/// Questions that must be answered before the file can be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The questions as sentences.
    pub sentence: String,
    /// The fields of a form, as HTML.
    pub fields: String,
    /// The format given for the file so far, as JSON.
    pub format: String,
}

/// A message from the web worker, sent as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    Progress(Progress),
    Done(Box<Report>),
    Failed(Failure),
    /// How the rows that a question shows are read. `None` if the question is invalid.
    Reads(Option<form::Reads>),
}
