//! Shared by the targets: the tests' comparison of all ways through the validator with their reference, and the
//! properties of forms.

#[path = "../../validator/tests/it/agreement.rs"]
pub mod agreement;
#[path = "../../server/src/bodies/form.rs"]
pub mod form;
#[path = "../../server/src/bodies/form_agreement.rs"]
pub mod form_agreement;
#[path = "../../validator/tests/it/reference.rs"]
pub mod reference;
pub mod value;
