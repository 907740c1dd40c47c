//! Generates files of transactions with known verdicts for tests, `script/bench` and `script/chaos`. The browser tests use
//! it through the program `testkit`. Also measures processes, for tests and for `script/bench`.
//!
//! **Invariant.** No verdict comes from the validator. Every row is written with or without one particular
//! error, so the expected result follows from the construction, and a validator that is wrong disagrees with it. Nothing
//! of the product depends on this crate.
//!
//! ```
//! let file = testkit::Transactions::new(1_000).with_errors();
//! let expected = file.expected();
//! assert_eq!((expected.valid, expected.invalid, expected.suspicious), (950, 50, 10));
//! assert_eq!(expected.errors["amount.missing"], 5);
//! ```

mod error;
mod expected;
pub mod process;
mod row;
mod table;
mod transactions;
mod unusual_ids;

pub use self::{
    error::Error,
    expected::Expected,
    row::{LONGEST_ID, Row},
    transactions::{INVALID_EVERY, Transactions},
    unusual_ids::{write_equal_ids, write_short_ids},
};
