//! Shared by the targets: the tests' comparison of all ways through the validator, and their reference.

#[path = "../../validator/tests/it/agreement.rs"]
pub mod agreement;
#[path = "../../validator/tests/it/reference.rs"]
pub mod reference;
pub mod value;
