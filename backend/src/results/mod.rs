//! What the rows of a job are: the stored file, read under the verdicts of the ledger.
//!
//! **Invariant.** Nothing here validates. The verdicts are those that were committed, whatever the rules are by now.

pub mod download;
pub(crate) mod id_index;
pub mod page;
mod reader;
pub mod row;
pub(crate) mod search;
mod workbook;
