//! Fuzzes values in the date column, with any order of day and month or none given.

#![no_main]

use fuzz::value;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let formats = [
        "{}",
        r#"{"date_order":"dmy"}"#,
        r#"{"date_order":"mdy"}"#,
        r#"{"date_order":"ymd"}"#,
    ];
    value::check(data, &formats, |value| format!("1;5;{value}\n"));
});
