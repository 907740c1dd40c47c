//! Fuzzes multipart forms with any boundary and in any pieces, and files of any bytes in a form.

#![no_main]

use fuzz::form_agreement::{Part, agree, round_trip};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (String, Vec<u8>, Vec<u8>)| {
    let (boundary, cuts, form) = input;
    // The boundaries that `bodies::boundary` accepts.
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
