//! A stored file: its text, its header, its records, its chunks.
//!
//! ```text
//! bytes ─► decode ─► text ─► scan, records ─► Record ─► rules ─► Verdict ─► Row
//!                      └──► header ─► Layout ────────────┘
//! ```
//!
//! The [`Planner`], [`validate_chunk`], [`read_rows`] and the [`Checker`] share this single path, so their verdicts
//! can't differ.

mod blocks;
mod check;
mod clean;
mod decode;
mod encoding;
mod encoding_proof;
mod error;
mod header;
mod layout;
mod lines;
mod multi_byte;
mod plan;
mod reader;
mod record;
mod records;
mod scan;

pub use check::{Candidate, Checked, Checker, read_rows, validate_chunk};
pub use encoding_proof::EncodingProof;
pub use error::FileError;
pub use header::{HEADER_BYTES, PossibleHeader, header_key, is_download, possible_saved_headers};
pub use layout::{Column, Encoding, Layout};
pub use plan::{
    ChunkRange, EncodingProbe, Head, HeadEnd, Plan, PlanSink, Planner, RowId, ScannedSlice,
    scan_slice,
};
pub use reader::Presumed;

pub(crate) use record::Record;
