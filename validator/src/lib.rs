//! Reads files of transactions and validates their rows.
//!
//! **Invariant.** Pure: no I/O, no async, no clock. It builds for `wasm32-unknown-unknown` and never depends on tokio,
//! sqlx, axum, leptos or Temporal, so the browser, the server and the worker all run this very code.

mod amount;
mod csv;
mod date;
mod duplicates;
mod file;
mod filter;
mod number;
mod row;
mod shown;
mod summary;
mod transaction;
mod trim;

pub use amount::Amount;
pub use csv::{write_results_header, write_results_row};
pub use duplicates::{IdHasher, SeenHashes, SeenIds};
pub use file::{
    Checker, ChunkRange, Column, Encoding, FileError, Layout, Plan, PlanSink, Planner,
    validate_chunk, validate_some,
};
pub use filter::{RowFilter, UnknownFilter};
pub use row::Row;
pub use summary::{AmountSum, Counts, DateSpan, Problems, Summary};
pub use transaction::{ErrorCode, Field, RowError, Transaction};
