//! Tests that no input causes a panic.

use std::{fs, io::Cursor};

use container::{Kind, Outcome, Request, identify, run, sniff, unpack};
use proptest::{collection::vec, prelude::*};

use crate::build::{CSV, LIMITS, gzip, ods, xlsx, zip};

/// Generates random bytes after the magic bytes of each kind, and real files with changed bytes or a truncated end.
fn files() -> impl Strategy<Value = Vec<u8>> {
    let starts: &[&[u8]] = &[
        b"",
        b"\x1F\x8B\x08\0",
        b"PK\x03\x04",
        b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1",
        b"\x09\x08\x10\0",
        b"<?xml ",
        b"<a",
        b"{\"",
        b"[[",
        b"\xFF\xFE<\0",
    ];
    let row = r#"<row r="1"><c r="A1" t="s"><v>0</v></c><c><v>12345678901234567</v></c></row>"#;
    let whole = [
        gzip(CSV),
        zip(&[("a.csv", CSV)]),
        xlsx(&[row]),
        ods("<table:table table:name=\"a\"><table:table-row/></table:table>"),
        gzip(&xlsx(&[row])),
    ];
    let noise = (prop::sample::select(starts), vec(any::<u8>(), 0..2000))
        .prop_map(|(start, rest)| [start, &rest].concat());
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..8);
    let damaged = (
        prop::sample::select(Vec::from(whole)),
        changes,
        any::<prop::sample::Index>(),
    )
        .prop_map(|(mut file, changes, length)| {
            for (at, byte) in changes {
                let at = at.index(file.len());
                file[at] = byte;
            }
            if length.index(3) == 0 {
                file.truncate(length.index(file.len()));
            }
            file
        });
    prop_oneof![noise, damaged]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn sniffing_and_unpacking_never_panic(file in files()) {
        sniff(&file);
        let kind = identify(Cursor::new(&file)).unwrap();
        for kind in [kind, Kind::Gzip, Kind::Zip] {
            let _ = unpack(kind, Cursor::new(&file), LIMITS, Vec::new());
        }
    }

    #[test]
    fn running_always_has_an_outcome(file in files()) {
        let folder = tempfile::tempdir().unwrap();
        let request = Request {
            input: folder.path().join("in"),
            output: folder.path().join("out"),
            limits: LIMITS,
            sheet: None,
            max_memory_bytes: 0,
            max_cpu_seconds: 0,
        };
        fs::write(&request.input, file).unwrap();
        let outcome = run(&request);
        prop_assert!(!matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
        if let Outcome::Converted(converted) = outcome {
            prop_assert_eq!(converted.bytes, fs::metadata(&request.output).unwrap().len());
        }
    }
}
