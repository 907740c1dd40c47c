//! The vocabulary of users, jobs, progress, pages and reports.
//!
//! **Invariant.** Pure: no I/O, no async, no clock. It builds for `wasm32-unknown-unknown` and never depends on tokio,
//! sqlx, axum, leptos or Temporal. It re-exports the types of the validator that its own types use.
//!
//! Input is parsed once, at the edge, into one of these types or into a sentence about a field. The effect of a command
//! depends only on the job's status.
//!
//! ```
//! use domain::{Command, Effect, JobStatus, UserName};
//!
//! let name = UserName::parse("  Ann ")?;
//! assert_eq!(name.as_str(), "Ann");
//!
//! let refused = UserName::parse("").unwrap_err();
//! assert_eq!((&*refused.field, &*refused.message), ("name", "Enter a name."));
//!
//! assert_eq!(Command::Pause.effect_on(JobStatus::Paused), Ok(Effect::Nothing));
//! assert!(Command::Pause.effect_on(JobStatus::Completed).is_err());
//! # Ok::<(), domain::InvalidField>(())
//! ```

mod account;
mod command;
mod event;
pub mod format;
pub mod hidden;
mod id;
mod job;
mod job_list;
mod page;
mod quota;
mod report;
mod saved_format;
#[cfg(feature = "openapi")]
mod schema;
mod state;
mod user;

pub use account::{
    ApiToken, AuditEvent, AuditKind, NewPassword, NewToken, Outcome, Role, Scope, Session,
    TokenName, UnknownName,
};
pub use command::{Command, Effect, Forbidden};
pub use event::{JobEvent, JobEventKind};
pub use id::{JobId, ResultId, SavedFormatId, SessionId, TokenId, UserId};
pub use job::{Job, JobStatus, UnknownStatus};
pub use job_list::{JobColumn, JobFilter, JobListRequest, JobOrder};
pub use page::{PageRequest, page_count};
pub use quota::{Quota, QuotaChange, Quotas, Retention, exact_bytes};
pub use report::{AmountRows, JobReport, MonthRows, Throughput, results_filename};
pub use saved_format::{
    FormatName, GivenFormat, HeaderKey, NewSavedFormat, SavedFormat, SavedFormatChange,
};
pub use state::{JOBS_CHANGED, JobDeleted, JobProgress, JobState, Phase};
pub use user::{Email, InvalidField, MAX_NAMED_CHARS, NewUser, User, UserChange, UserName};
pub use validator::{
    Amount, AmountSum, Counts, DateSpan, Decision, ErrorCode, Field, Format, FormatChange,
    InvalidFormat, JsonError, Month, Problems, Question, Reading, RowError, RowFilter, Source,
    Transaction, parse_json,
};
