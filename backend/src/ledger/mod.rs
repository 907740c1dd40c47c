//! The ledger: every query on chunks.
//!
//! The ledger turns at-least-once steps into exactly-once results. A single statement commits a chunk and checks that
//! its attempt is current. However often and wherever a step is repeated, each row gets one verdict.
//!
//! **Invariant.** A committed chunk never changes. (Chunks that an earlier version committed get their verdicts added
//! once.)

mod read;
mod write;

pub(crate) use read::{
    CommittedChunk, OpenChunk, StoredVerdicts, committed, missing_rows, open_chunks, problems,
    remaining, rows_before, sums, verdicts, window, with_rows,
};
pub(crate) use write::{
    OldChunk, PlannedChunk, ValidatedChunk, add_verdicts, commit, insert, insert_validated,
    old_chunks, remove_some, try_begins, try_ended,
};
