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

use validator::Format;

/// Splits the JSON of a format, NUL, and a file.
pub fn format_and_file(data: &[u8]) -> (Format, &[u8]) {
    let (format, file) = match data.iter().position(|byte| *byte == 0) {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (&b"{}"[..], data),
    };
    let format = str::from_utf8(format).unwrap_or("{}");
    (Format::from_json(format).unwrap_or_default(), file)
}
