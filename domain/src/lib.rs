//! What a user, a job, a transaction and a verdict are, and the rules that give the verdict.
//!
//! **Invariant.** Pure: no I/O, no async, no clock. It builds for `wasm32-unknown-unknown` and never
//! depends on tokio, sqlx, axum, leptos or Temporal, so the browser, the server and the worker all
//! run this very code.

mod amount;
mod command;
mod date;
mod duplicates;
mod file;
mod findings;
pub mod format;
mod job;
mod number;
mod page;
mod progress;
mod report;
mod results;
mod row;
mod shown;
mod transaction;
mod trim;
mod user;

pub use amount::Amount;
pub use command::{Command, Effect, Forbidden};
pub use duplicates::{IdHasher, SeenHashes, SeenIds};
pub use file::{
    Checker, ChunkRange, Column, Encoding, FileError, Layout, Plan, PlanSink, Planner,
    validate_chunk, validate_some,
};
pub use findings::{AmountSum, DateSpan, Findings, Problems};
pub use job::{Counts, Job, JobStatus};
pub use page::{PageRequest, RowFilter};
pub use progress::JobProgress;
pub use report::{JobReport, Throughput};
pub use results::{results_filename, write_results_header, write_results_row};
pub use row::Row;
pub use transaction::{ErrorCode, Field, RowError, Transaction};
pub use user::{Email, InvalidField, NewUser, User, UserChange, UserName};
