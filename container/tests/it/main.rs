//! Tests of the crate from outside: what files are, unpacking, workbooks, the child process.

#![cfg(feature = "convert")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod arbitrary;
mod build;
mod child;
mod sniffing;
mod unpacking;
mod workbooks;
