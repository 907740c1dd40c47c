//! Tests the rules for files and rows through the public interface of the crate.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod agreement;
mod cases;
mod chunks;
mod files;
mod first_rules;
mod formats;
mod generated;
mod ledger_size;
mod lines;
mod properties;
mod reference;
mod results;
mod rows;
mod values;
