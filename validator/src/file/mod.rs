//! A stored file: its text, its header, its records, its chunks.
//!
//! ```text
//! bytes ─► decode ─► text ─► scan, records ─► Record ─► row::Judge ─► Row
//!                      └──► header ─► Layout ────────────┘
//! ```
//!
//! [`Planner`], [`validate_chunk`], [`validate_some`] and [`Checker`] are ways along this one path, so their
//! verdicts can't differ.

mod check;
mod decode;
mod error;
mod header;
mod layout;
mod plan;
mod reader;
mod records;
mod scan;

pub use check::{Checker, validate_chunk, validate_some};
pub use error::FileError;
pub use layout::{Column, Encoding, Layout};
pub use plan::{ChunkRange, Plan, PlanSink, Planner};
pub(crate) use records::Record;
