//! Fuzzes files under any format. The single pass, the planner with any slices, and the independent reference must
//! agree.
//!
//! An input is the JSON of a format, NUL, and the file.

#![no_main]

use fuzz::{agreement::agreed_as, format_and_file};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (format, file) = format_and_file(data);
    let _ = agreed_as(file, &format);
});
