//! Fuzzes the search for the format that a user has saved for a file's header. The header under which a file is read
//! must be among those that are looked up.
//!
//! An input is the JSON of a format, NUL, and the file.

#![no_main]

use fuzz::{agreement::checked, format_and_file};
use libfuzzer_sys::fuzz_target;
use validator::{HEADER_BYTES, possible_saved_headers};

fuzz_target!(|data: &[u8]| {
    let (format, file) = format_and_file(data);
    let Ok(read) = checked(file, &format, &[file.len().max(1)]) else {
        return;
    };
    let Some(key) = read.layout.header_key() else {
        return;
    };
    let head = &file[..file.len().min(HEADER_BYTES)];
    let labels = [String::new(), read.layout.encoding().label()];
    let headers = possible_saved_headers(head, &format, &labels);
    assert!(
        headers.iter().any(|header| header.names == key),
        "{key:?}: {headers:?}"
    );
});
