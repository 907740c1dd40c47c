//! The result that a job must have.

use std::collections::BTreeMap;

use serde::Serialize;

/// The result that processing a file must have, in numbers of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Expected {
    pub rows: u64,
    pub valid: u64,
    pub invalid: u64,
    pub suspicious: u64,
    /// The invalid rows by error code, without codes that no row has.
    pub errors: BTreeMap<&'static str, u64>,
}
