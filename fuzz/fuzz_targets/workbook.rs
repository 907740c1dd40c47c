//! Fuzzes workbooks of any kind, and archives. The output must stay within the limit.

#![no_main]

use std::{
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
};

use container::{Kind, Limits, convert_sheet, identify, unpack};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits {
    max_unpacked_bytes: 1 << 20,
    max_ratio: 100,
};

fuzz_target!(
    init: {
        // The parsers may panic: `container::run` catches it and refuses the file. Without this hook the fuzzer would
        // end.
        std::panic::set_hook(Box::new(|_| {}));
    },
    |data: &[u8]| {
        let _ = identify(Cursor::new(data));
        for kind in [Kind::Xlsx, Kind::Xlsb, Kind::Xls, Kind::Ods] {
            let input = Cursor::new(data);
            let bytes = data.len() as u64;
            bounded(|out| drop(convert_sheet(kind, input, bytes, None, LIMITS, out)));
        }
        for kind in [Kind::Gzip, Kind::Zip] {
            bounded(|out| drop(unpack(kind, Cursor::new(data), LIMITS, out)));
        }
    }
);

fn bounded(write: impl FnOnce(&mut Vec<u8>)) {
    let mut out = Vec::new();
    let _ = catch_unwind(AssertUnwindSafe(|| write(&mut out)));
    assert!(out.len() as u64 <= LIMITS.max_unpacked_bytes);
}
