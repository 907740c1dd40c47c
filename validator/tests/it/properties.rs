//! What holds for every file.

use proptest::{collection::vec, prelude::*, sample::select};
use validator::ErrorCode;

use crate::{
    agreement::{agreed, assert_reference, checked, planned},
    reference,
};

/// Pieces of which interesting files are made: values good and bad, and all that separates them.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let value = select(vec![
        "T1",
        "T2",
        "T1",
        " T1 ",
        "\u{A0}T2",
        "",
        "id",
        "é",
        "𝄞",
        "1",
        "-5",
        "+7.50",
        "1e3",
        "60000",
        "50000",
        "50000.01",
        "12,50",
        "nan",
        "1e100",
        "0e99",
        "1e-11",
        ".5",
        "5.",
        ".",
        "2024-01-15",
        "2024/02/30",
        "20240229",
        "2023-02-29T10:00",
        "2024-01-01T23:59:60",
        "0000-01-01",
        "2024-01-01 10:00:00.5Z",
        "2024-01-01T10:00+14:01",
        "\u{FEFF}",
        "\u{2028}",
        "a\"b",
        "amount",
    ])
    .prop_map(|value| value.as_bytes().to_vec());
    let row = (
        select(vec!["A", "B", "A ", ""]),
        select(vec!["1.0", "-2", "x"]),
    )
        .prop_map(|(id, amount)| format!("\n{id},{amount},2024-01-01,note\n").into_bytes());
    let mark = select(b",,,;\t|\n\n\r\"\"\" ".to_vec()).prop_map(|byte| vec![byte]);
    let odd = select(vec![
        vec![0],
        vec![0xFF],
        vec![0xC3],
        vec![0xA9],
        b"\"\xC3\"\xA9".to_vec(),
        vec![0xE2, 0x80],
        vec![0xED, 0xA0, 0x80],
        vec![0xEF, 0xBB, 0xBF],
        b"\r\n".to_vec(),
        b"\"\"".to_vec(),
        b"\",\"".to_vec(),
        b"\n\n\n".to_vec(),
        b",,\n".to_vec(),
    ]);
    prop_oneof![4 => value, 4 => row, 6 => mark, 1 => odd]
}

fn header() -> impl Strategy<Value = Vec<u8>> {
    select(vec![
        "transaction_id,amount,date,description\n",
        "Transaction ID;AMOUNT;Date\r\n",
        "timestamp|amount|transaction-id|x\r",
        "\u{FEFF}transaction_id,amount,date\n",
        "\n\"\",\n\"transaction_id\",\"amount\",\"date\",\"a\nb\"\n",
        "description\ttransaction_id\tdate\tamount\n",
        "date,timestamp,transaction_id,amount\n",
        "",
        "amount,amount,date,transaction_id\n",
        "timestamp,timestamp,transaction_id,amount\n",
        "a,b\n",
        "transaction_id;amount;date,x\n",
        "transaction_id,amount,date\0\n",
        "transaction_id,amount,date",
        "transaction_id\u{A0},amount ,\tdate\n",
    ])
    .prop_map(|header| header.as_bytes().to_vec())
}

fn utf8_file() -> impl Strategy<Value = Vec<u8>> {
    (header(), vec(piece(), 0..40)).prop_map(|(header, pieces)| [header, pieces.concat()].concat())
}

/// UTF-16 of either order, with lone surrogates in it, and perhaps an odd byte at the end.
fn utf16_file() -> impl Strategy<Value = Vec<u8>> {
    let surrogates = vec(
        (0.0..1.0, select(vec![0xD800_u16, 0xDBFF, 0xDC00, 0xDFFF])),
        0..3,
    );
    (utf8_file(), surrogates, any::<bool>(), any::<bool>()).prop_map(
        |(text, surrogates, big_endian, odd)| {
            let mut units: Vec<u16> = String::from_utf8_lossy(&text).encode_utf16().collect();
            for (place, surrogate) in surrogates {
                units.insert((place * units.len() as f64) as usize, surrogate);
            }
            let mut file = utf16(&units, big_endian);
            file.extend(odd.then_some(b'\n'));
            file
        },
    )
}

fn utf16(units: &[u16], big_endian: bool) -> Vec<u8> {
    let bytes = if big_endian {
        u16::to_be_bytes
    } else {
        u16::to_le_bytes
    };
    [0xFEFF]
        .iter()
        .chain(units)
        .flat_map(|&unit| bytes(unit))
        .collect()
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => utf8_file(), 2 => utf16_file(), 1 => vec(any::<u8>(), 0..60)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_way_gives_the_verdicts_of_the_reference(
        file in file(),
        slicing in vec(1..50_usize, 1..5),
    ) {
        let outcome = checked(&file, &slicing);
        prop_assert_eq!(&planned(&file, &slicing), &outcome);
        assert_reference(&file, &outcome);
    }

    #[test]
    fn utf16_gives_the_verdicts_of_utf8(
        text in utf8_file(),
        big_endian: bool,
        slicing in vec(1..9_usize, 1..5),
    ) {
        let text = String::from_utf8_lossy(&text).into_owned();
        let units: Vec<u16> = text.trim_start_matches('\u{FEFF}').encode_utf16().collect();
        let utf16 = utf16(&units, big_endian);
        let utf8 = checked(text.trim_start_matches('\u{FEFF}').as_bytes(), &slicing);
        let verdicts = |outcome: crate::agreement::Outcome| outcome.map(|(_, counts, rows)| (counts, rows));
        let utf8 = verdicts(utf8);
        prop_assert_eq!(&verdicts(checked(&utf16, &slicing)), &utf8);
        prop_assert_eq!(&verdicts(planned(&utf16, &slicing)), &utf8);
    }

    #[test]
    fn numbers_are_read_as_the_reference_reads_them(value in "[+-]?[0-9]{0,22}[.]?[0-9]{0,14}([eE][+-]?[0-9]{0,3})?|[-+0-9.eE ]{1,9}") {
        same_value(&value, "2024-01-01");
    }

    #[test]
    fn dates_are_read_as_the_reference_reads_them(
        value in "(0000|1900|2000|2023|2024|9999)([-/]?)(0[0-9]|1[0-3])([-/]?)([0-2][0-9]|3[0-2])(([Tt ]|  )([01][0-9]|2[0-5])(:[0-6][0-9]){0,3}([.,][0-9]{0,11})?(Z|z|[+-](0[0-9]|1[0-5]):?[0-6][0-9])?)?Z?",
    ) {
        same_value("1", &value);
    }
}

/// Through a whole file, so that what is tested is what files get.
fn same_value(amount: &str, date: &str) {
    let file = format!("transaction_id,amount,date\nx,\"{amount}\",\"{date}\"\n");
    let (_, _, rows) = checked(file.as_bytes(), &[usize::MAX]).unwrap();
    let [row] = &rows[..] else { panic!("one row") };
    let code = |of: fn(ErrorCode) -> bool| {
        row.errors
            .iter()
            .map(|error| error.code)
            .find(|&code| of(code))
            .map(ErrorCode::as_str)
    };
    let read = row
        .amount
        .map(|amount| (amount.to_string(), row.is_suspicious));
    let trim = |value: &str| value.trim_matches(' ').to_owned();
    assert_eq!(
        read.ok_or_else(|| code(|code| code.as_str().starts_with("amount.")).unwrap()),
        reference::amount(&trim(amount))
    );
    let read = row.date.map(|date| date.to_string());
    assert_eq!(
        read.ok_or_else(|| code(|code| code.as_str().starts_with("date.")).unwrap()),
        reference::date(&trim(date))
    );
}

/// The marks, whole and in part, with what may follow them.
#[test]
fn short_files() {
    let bytes = [0xFE, 0xFF, 0xEF, 0xBB, 0xBF, 0, b'\n'];
    let mut files: Vec<Vec<u8>> = vec![vec![]];
    for _ in 0..4 {
        let longer: Vec<Vec<u8>> = files
            .iter()
            .flat_map(|file| bytes.iter().map(move |&byte| [&file[..], &[byte]].concat()))
            .collect();
        files = longer;
        for file in &files {
            assert!(agreed(file).is_err());
        }
    }
}
