//! Fuzzes files under any format. The single pass, the planner with any slices, and the independent reference must
//! agree.
//!
//! An input is the JSON of a format, NUL, and the file.

#![no_main]

use fuzz::agreement;
use libfuzzer_sys::fuzz_target;
use validator::Format;

fuzz_target!(|data: &[u8]| {
    let (format, file) = match data.iter().position(|byte| *byte == 0) {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (&b"{}"[..], data),
    };
    let format = str::from_utf8(format).unwrap_or("{}");
    let format = Format::from_json(format).unwrap_or_default();
    let _ = agreement::agreed_as(file, &format);
});
