//! Compares the scanner with csv-core.

use csv_core::{ReadRecordResult, ReaderBuilder};
use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

type Fields = Vec<Vec<u8>>;

fn records(delimiter: u8, slices: &[&[u8]]) -> Vec<Fields> {
    let mut found = Vec::new();
    let mut on_record = |record: &Record<'_>| {
        let fields = 0..record.field_count();
        let bytes: Fields = fields
            .clone()
            .map(|field| record.value_bytes(field).unwrap().into_owned())
            .collect();
        for (field, bytes) in fields.zip(&bytes) {
            let mut scratch = String::new();
            let text = record.value(field, &mut scratch).unwrap();
            assert_eq!(
                text,
                String::from_utf8_lossy(bytes).replace('\0', "\u{FFFD}")
            );
        }
        assert_eq!(record.value_bytes(record.field_count()), None);
        found.push(bytes);
    };
    let mut records = Records::new(delimiter, Encoding::Utf8, 0);
    for slice in slices {
        records.push(slice, &mut on_record);
    }
    records.finish(EndOf::File, &mut on_record);
    found
}

/// Returns what csv-core reads, without the records that are skipped.
fn csv_core_records(delimiter: u8, text: &[u8]) -> Vec<Fields> {
    let mut reader = ReaderBuilder::new().delimiter(delimiter).build();
    // csv-core drops a BOM at the start of its input. A preceding line end prevents that.
    let text = [b"\n", text].concat();
    let mut rest = &text[..];
    let mut found = Vec::new();
    let (mut values, mut ends) = (vec![0; text.len() + 1], vec![0; text.len() + 2]);
    let (mut written, mut ended) = (0, 0);
    loop {
        let (result, read, more_written, more_ended) =
            reader.read_record(rest, &mut values[written..], &mut ends[ended..]);
        rest = &rest[read..];
        written += more_written;
        ended += more_ended;
        match result {
            ReadRecordResult::InputEmpty => {}
            ReadRecordResult::Record => {
                let starts = [0].into_iter().chain(ends.iter().copied());
                let fields: Fields = starts
                    .zip(&ends[..ended])
                    .map(|(start, &end)| values[start..end].to_vec())
                    .collect();
                if fields.iter().any(|field| !field.is_empty()) {
                    found.push(fields);
                }
                (written, ended) = (0, 0);
            }
            ReadRecordResult::End => return found,
            full => panic!("{full:?}"),
        }
    }
}

#[test]
fn records_are_split_by_rfc_4180() {
    for (text, expect) in [
        ("", &[][..]),
        ("a,b\nc", &[&["a", "b"][..], &["c"]]),
        (
            "a,b\r\nc\rd\n\r\n\re",
            &[&["a", "b"], &["c"], &["d"], &["e"]],
        ),
        ("a,", &[&["a", ""]]),
        (",\n,a", &[&["", "a"]]),
        ("\"a,b\nc\r\"\"\",d", &[&["a,b\nc\r\"", "d"]]),
        ("\"a\"b\"c\"", &[&["ab\"c\""]]),
        ("\"a\" \"b\",c", &[&["a \"b\"", "c"]]),
        ("a\"b\",\"c", &[&["a\"b\"", "c"]]),
        (" \"a\nb\"", &[&[" \"a"], &["b\""]]),
        ("\"a\n,b", &[&["a\n,b"]]),
        ("\"\"\"\"\n\"\"x\n\"\"\n\"", &[&["\""], &["x"]]),
        ("a\n\u{FEFF}\"b\"", &[&["a"], &["\u{FEFF}\"b\""]]),
        ("a\u{85}b\u{2028}c\x0Bd", &[&["a\u{85}b\u{2028}c\x0Bd"]]),
        (
            "12345678,\"12345678\",1234567\n1234567\r12345678",
            &[
                &["12345678", "12345678", "1234567"],
                &["1234567"],
                &["12345678"],
            ],
        ),
    ] {
        let expect: Vec<Fields> = expect
            .iter()
            .map(|fields| {
                fields
                    .iter()
                    .map(|field| field.as_bytes().to_vec())
                    .collect()
            })
            .collect();
        assert_eq!(records(b',', &[text.as_bytes()]), expect, "{text:?}");
        assert_eq!(
            csv_core_records(b',', text.as_bytes()),
            expect,
            "csv-core, {text:?}"
        );
    }
}

/// Generates mostly special bytes, with all other bytes in between.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let meaningful =
        select(b"\"\"\"\"\",,,;\t|\n\n\r\r\r\nabcde \0\xEF\xBB\xBF\xC3\xA9\xFF".to_vec());
    let word = select(vec![
        "abcdefgh",
        "1234567",
        "\"\"",
        "\",\"",
        "\u{FEFF}",
        "\r\n",
        "\"a\"\"b\",",
        "\"a,b\",c,\"d\r\n\"\"e\"\"\"\n",
        "a plain record, as long as a block is: in the middle of it begins another\n",
    ]);
    let piece = prop_oneof![
        8 => meaningful.prop_map(|byte| vec![byte]),
        2 => word.prop_map(|word| word.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    vec(piece, 0..80).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_are_split_like_csv_core(
        text in text(),
        delimiter in select(b",;\t|".to_vec()),
        slice in 1..20_usize,
    ) {
        let expect = csv_core_records(delimiter, &text);
        prop_assert_eq!(&records(delimiter, &[&text]), &expect);
        let slices: Vec<&[u8]> = text.chunks(slice).collect();
        prop_assert_eq!(&records(delimiter, &slices), &expect);
    }
}

/// Covers every offset of special bytes relative to the borders of blocks and slices.
#[test]
fn every_offset_to_the_blocks_and_slices() {
    for record in [
        "ab,c\nd\r\ne\rf,",
        "\"a\",\"b\"\n\"c\"\r\n",
        "\"a,\n\r\",b\n\"\"\"\",\"a\"\"b\"\"\"\n,",
        "\"\",\n\"\"\n,\"\"\r\n\"\",\"\"x\n",
        "a\"b,\"c\"d\"\n\"e\"\"f\"\"\"g\"h\",i\n",
        "\"a\" \"b,c\nd\" \"\"e,\"f\"\n",
        "\r\n\r\r\n\n\"\r\n\"\r\n",
        "\"open\n,",
        "é\"€\",\"𝄞\"\n",
    ] {
        for before in 0..70 {
            for after in [0, 1, 40, 64, 130] {
                let (before, after) = ("x".repeat(before), "y".repeat(after));
                for text in [
                    format!("{before}\n{record}{after}"),
                    format!("\"{before}\",{record}{after}\n{record}"),
                    format!("\"{before},{record}{after}\"\n{record}"),
                ] {
                    let text = text.as_bytes();
                    let expect = csv_core_records(b',', text);
                    assert_eq!(records(b',', &[text]), expect);
                    for slice in [1, 63, 64, 65, 100] {
                        let slices: Vec<&[u8]> = text.chunks(slice).collect();
                        assert_eq!(records(b',', &slices), expect);
                    }
                }
            }
        }
    }
}

/// Checks that the boundaries of records don't depend on how they were found.
#[test]
fn positions_do_not_depend_on_slices() {
    let places = |text: &[u8], slice: usize| {
        let mut found = Vec::new();
        let mut on_record = |record: &Record<'_>| {
            found.push((record.start, record.end, record.is_clean()));
        };
        let mut records = Records::new(b';', Encoding::Utf16Le, 100);
        for slice in text.chunks(slice) {
            records.push(slice, &mut on_record);
        }
        records.finish(EndOf::File, &mut on_record);
        found
    };
    let text = "é;\"𝄞\r\n\"\r\n;;\n\"\";\"\"\r\na\r€\0;x\n\"𝄞".repeat(20);
    let whole = places(text.as_bytes(), text.len());
    assert_eq!(
        whole[..3],
        [(100, 118, true), (140, 144, true), (144, 154, false)]
    );
    for slice in 1..200 {
        assert_eq!(places(text.as_bytes(), slice), whole, "{slice}");
    }
}

#[test]
fn records_are_too_large_wherever_they_begin() {
    const MAX: usize = crate::file::scan::MAX_RECORD_BYTES;
    for before in 0..66 {
        for (more, too_large) in [(0, false), (1, true), (64, true)] {
            let text = [
                vec![b'a'; before],
                b"\n".to_vec(),
                vec![b'b'; MAX + more],
                b"\nc\n".to_vec(),
            ]
            .concat();
            let mut found = Vec::new();
            let mut records = Records::new(b',', Encoding::Utf8, 0);
            records.push(&text, &mut |record: &Record<'_>| {
                found.push((record.start as usize, record.is_too_large()));
            });
            found.retain(|(start, _)| *start > 0 || before > 0);
            let last = before + MAX + more + 2;
            let expect = [(0, false), (before + 1, too_large), (last, false)];
            assert_eq!(found, expect[usize::from(before == 0)..]);
        }
    }
}

#[test]
fn keeps_nothing_of_a_record_that_is_too_large() {
    let mut records = Records::new(b',', Encoding::Utf8, 0);
    let mut found = Vec::new();
    for slice in [b"\"x,y\",".as_slice()]
        .into_iter()
        .chain(std::iter::repeat_n(b",\"abc\n\"\"d\"".as_slice(), 400_000))
    {
        records.push(slice, &mut |_: &Record<'_>| {
            panic!("the record has not ended")
        });
        assert!(records.carry.capacity() <= 4 << 20);
    }
    assert!(records.carry.is_empty() && records.scanner.starts().is_empty());
    records.push(b"\nA,1\n", &mut |record: &Record<'_>| {
        found.push((
            record.start,
            record.end,
            record.is_too_large(),
            record.field_count(),
        ));
    });
    assert_eq!(
        found,
        [(0, 1_048_577, true, 0), (4_000_007, 4_000_011, false, 2)]
    );
}
