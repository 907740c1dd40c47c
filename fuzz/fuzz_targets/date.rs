//! Any value in the column of dates, under any order of day and month or none that is given.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../validator/tests/it/agreement.rs"]
mod agreement;
#[allow(dead_code)]
#[path = "../../validator/tests/it/reference.rs"]
mod reference;
mod value;

fuzz_target!(|data: &[u8]| {
    let formats = [
        "{}",
        r#"{"date_order":"dmy"}"#,
        r#"{"date_order":"mdy"}"#,
        r#"{"date_order":"ymd"}"#,
    ];
    value::check(data, &formats, |value| format!("1;5;{value}\n"));
});
