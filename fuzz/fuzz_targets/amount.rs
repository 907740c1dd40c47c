//! Fuzzes values in the amount column, with either decimal sign or none given.

#![no_main]

use fuzz::value;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let formats = ["{}", r#"{"decimal":"."}"#, r#"{"decimal":","}"#];
    value::check(data, &formats, |value| format!("1;{value};2024-01-31\n"));
});
