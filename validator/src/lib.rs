//! Reads files of transactions and validates their rows.
//!
//! **Invariant.** Pure: no I/O, no async, no clock. It builds for `wasm32-unknown-unknown` and never depends on tokio,
//! sqlx, axum, leptos or Temporal, so the browser, the server and the worker run the same code.
//!
//! A [`Checker`] validates a file in a single pass. To validate it in parallel, a [`Planner`] splits it into chunks,
//! and [`validate_chunk`] returns the verdicts on the rows of each chunk. A row is valid or invalid, and suspicious or
//! not. It keeps all of its errors.
//!
//! ```
//! use validator::{Candidate, Checked, Checker, Format, Presumed};
//!
//! let file = "transaction_id,amount,date\n\
//!     TXN001,150.00,2024-01-15\n\
//!     TXN002,-50.00,2024-01-16\n\
//!     TXN001,12 EURO,2024-01-17\n";
//!
//! let mut errors = Vec::new();
//! let mut on_row = |row: &mut Candidate<'_>| {
//!     errors.push(row.row().to_transaction().errors.len());
//! };
//! let mut checker = Checker::new([0; 16], Format::default(), Presumed::default());
//! checker.push(file.as_bytes(), &mut on_row)?;
//! let Checked::Done(done) = checker.finish(&mut on_row)? else {
//!     unreachable!("no row proves another decimal sign or order of dates");
//! };
//! let (_, _, summary) = *done;
//!
//! assert_eq!((summary.counts.valid, summary.counts.invalid), (2, 1));
//! assert_eq!(summary.counts.suspicious, 1); // below 0
//! assert_eq!(errors, [0, 0, 2]); // a repeated id, and no amount
//! # Ok::<(), validator::FileError>(())
//! ```

mod amount;
mod csv;
mod date;
mod duplicates;
mod examples;
mod file;
mod filter;
mod format;
mod json;
mod number;
mod row;
mod row_set;
mod rules;
mod shown;
mod spread;
mod summary;
mod text_kind;
mod transaction;
mod trim;
mod varint;
mod verdict;
mod verdicts;

pub use amount::Amount;
pub use csv::{Cell, CsvForm, header_cells, with_apostrophes};
pub use date::DateOrder;
pub use duplicates::{IdHasher, SeenHashes, SeenIds};
pub use examples::{Example, Examples};
pub use file::{
    Candidate, Checked, Checker, ChunkRange, Column, Encoding, EncodingProbe, EncodingProof,
    FileError, HEADER_BYTES, Head, HeadEnd, Layout, Plan, PlanSink, Planner, PossibleHeader,
    Presumed, RowId, ScannedSlice, header_key, is_download, possible_saved_headers, read_rows,
    scan_slice, validate_chunk,
};
pub use filter::{RowFilter, UnknownFilter};
pub use format::{
    AmountColumns, Choice, ColumnRef, CompletedFormat, Container, Decision, Fields, Format,
    FormatChange, GivenColumns, IdColumns, Ignore, IgnoredValue, InvalidFormat, Limits, Preview,
    PreviewRow, Question, Questions, Reading, Sample, Source,
};
pub use json::{JsonError, parse_json};
pub use number::Decimal;
pub use row::Row;
pub use row_set::RowSet;
pub use spread::{AmountSizes, MAX_MONTHS, Month, Months};
pub use summary::{AmountSum, Counts, DateSpan, Problems, Summary};
pub use transaction::{ErrorCode, Field, RowError, Transaction};
pub use varint::Malformed;
pub use verdict::Verdict;
pub use verdicts::{Segment, Verdicts};
