//! What the targets have in common: the tests' comparison of every way through the validator, and their reference; and
//! what must hold for forms.

#[path = "../../validator/tests/it/agreement.rs"]
pub mod agreement;
#[path = "../../server/src/bodies/form.rs"]
pub mod form;
#[path = "../../server/src/bodies/form_agreement.rs"]
pub mod form_agreement;
#[path = "../../validator/tests/it/reference.rs"]
pub mod reference;
pub mod value;
