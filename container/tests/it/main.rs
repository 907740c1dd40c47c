//! Tests the crate from outside: kinds of files, unpacking, workbooks, and the child process.

#![cfg(feature = "convert")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod arbitrary;
mod build;
mod child;
mod sniffing;
mod unpacking;
mod workbooks;
