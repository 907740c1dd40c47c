//! The ledger: every query on chunks.
//!
//! It is what makes at-least-once steps exactly-once. A chunk is committed by one statement that also makes sure that
//! the attempt it belongs to is current, so however often and wherever a step is repeated, each row gets one verdict.
//!
//! **Invariant.** A committed chunk never changes. (What an earlier version has committed gets its verdicts added, once.)

mod read;
mod write;

pub(crate) use read::{
    CommittedChunk, OpenChunk, StoredVerdicts, committed, missing_rows, open_chunks, problems,
    remaining, rows_before, sums, verdicts, window, with_rows,
};
pub(crate) use write::{
    OldChunk, PlannedChunk, ValidatedChunk, add_verdicts, commit, insert, insert_validated,
    old_chunks, remove_some,
};
