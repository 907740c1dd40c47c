//! A multipart form of any bytes, under any boundary and in any pieces; and the same bytes as a file in a form.

#![no_main]

use fuzz::form_agreement::{Part, agree, round_trip};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (String, Vec<u8>, Vec<u8>)| {
    let (boundary, cuts, form) = input;
    // What `bodies::boundary` lets through.
    if (1..=70).contains(&boundary.len()) && boundary.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        agree(&boundary, &form, &cuts);
    }
    agree("xyz", &form, &cuts);
    let file = Part {
        name: "file".to_owned(),
        filename: Some("a.csv".to_owned()),
        content: form,
    };
    round_trip(vec![file], &cuts);
});
