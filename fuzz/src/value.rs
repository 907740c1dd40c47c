//! Builds files whose rows have the lines of an input as values.

use validator::Format;

use crate::agreement::agreed_as;

/// The first byte selects one of the formats.
pub fn check(data: &[u8], formats: &[&str], row: impl Fn(&str) -> String) {
    let Some((choice, values)) = data.split_first() else {
        return;
    };
    let Ok(values) = str::from_utf8(values) else {
        return;
    };
    let format = Format::from_json(formats[usize::from(*choice) % formats.len()]).unwrap();
    let rows: String = values
        .split('\n')
        .map(|value| row(&format!("\"{}\"", value.replace('"', "\"\""))))
        .collect();
    let file = format!("transaction_id;amount;date\n{rows}");
    let _ = agreed_as(file.as_bytes(), &format);
}
