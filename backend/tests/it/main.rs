//! Tests of the use cases with a real PostgreSQL and a real Temporal. `script/test` starts both and passes their
//! addresses.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod maintenance;
mod state_machine;
mod steps;
