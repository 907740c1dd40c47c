//! Results: the rows of the stored file, read under the verdicts in the ledger.
//!
//! **Invariant.** Nothing here validates, except chunks that a version committed which didn't store verdicts in the
//! ledger. The verdicts are those that were committed, even if the rules have changed since.

pub mod download;
pub(crate) mod id_index;
pub mod page;
mod reader;
pub mod row;
pub(crate) mod search;
mod workbook;
