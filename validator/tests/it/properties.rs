//! Properties that hold for every file.

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};
use validator::Format;

use crate::agreement::{agreed, assert_reference, checked, planned};

/// Generates pieces of interesting files: good and bad values, and everything that separates them.
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
        "'=1",
        "'-x",
        "1.234,56",
        "\"1,234.56\"",
        "1.234",
        "1 234.5",
        "03/04/2024",
        "13/04/24",
        "04-13-2024",
        "3.4.2024",
        "(5.00)",
        "12.50-",
        "€ 5",
        "31 Jan 2024",
        "Jan 31, 2024",
        "2024-01-31 9:05 PM",
        "12345",
        "D",
        "Pending",
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

/// Generates digits in groups, or nearly so.
fn grouped() -> impl Strategy<Value = String> {
    let separator = select(vec![",", ".", " ", "'", "\u{2019}", "\u{A0}", "\u{202F}"]);
    let number = (
        "[0-9]{1,4}",
        vec((separator, "[0-9]{3}|[0-9]{2}"), 0..3),
        any::<bool>(),
        "([.,][0-9]{0,4})?(e[0-9])?",
    );
    number.prop_map(|(first, groups, is_same, end)| {
        let separator = groups.first().map(|(separator, _)| *separator);
        let groups = groups.iter().map(|(other, digits)| match separator {
            Some(separator) if is_same => format!("{separator}{digits}"),
            _ => format!("{other}{digits}"),
        });
        first + &groups.collect::<String>() + &end
    })
}

/// Generates rows of one dialect, some of them broken.
fn dialect() -> impl Strategy<Value = Vec<u8>> {
    let amount = select(vec![
        "1,5",
        "1.5",
        "1.234",
        "1,234",
        "1.234,56",
        "1,234.56",
        "-5",
        "(5)",
        "12.50-",
        "€ 5",
        "0.125",
        "1.000.000",
        "x",
        "",
        "0",
    ]);
    let date = select(vec![
        "03/04/2024",
        "13/04/24",
        "04/13/2024",
        "04-13-24",
        "3.4.2024",
        "2024-01-31",
        "31 Jan 2024",
        "31/12/2024 10:00",
        "32/01/2024",
        "",
        "x",
    ]);
    let end = select(vec![
        "",
        "",
        "",
        ";",
        ";x",
        "; ;",
        ";\"a\nb\"",
        ";\"A;1;2024-01-01\nB;2;2024-01-01\"",
    ]);
    let row = (
        select(vec!["A", "B", "C", "D", "", "'=1", "Pending"]),
        amount,
        date,
        end,
    );
    let rows = vec(
        row.prop_map(|(id, amount, date, end)| format!("{id};{amount};{date}{end}\n")),
        0..12,
    );
    let before = select(vec![
        "",
        "",
        "sep=;\n",
        "\n\nsep=;\r\n",
        "Statement;;;\nFrom, to, at\n\n",
        "IBAN;1234\n;;;\n",
        "transaction_id;amount;amount;date,x,x\n",
        "\u{FEFF}",
    ]);
    let header = select(vec![
        "transaction_id;amount;date\n",
        "TransactionId;Amount;Date;;\n",
        "transaction_id;amount;date;description\n",
        "date\u{200B};amount;transaction_id;amount_2\n",
        "id;amount;date;Amount\n",
        "ref;value;when\n",
        "transaction_id;amount;date;row_number;is_valid;is_suspicious;errors;error_message\n",
        "transaction_id;amount;date;row_number;line;is_valid;is_suspicious;errors;error_message\n",
        "amount;transaction_id\n",
    ]);
    let after = select(vec![
        "",
        "",
        "",
        "\"",
        "Total;;\n",
        "a;\"b",
        "\"a\nb;c;d",
        "***END***\n",
    ]);
    (before, header, rows, after, 0..8_u8).prop_map(|(before, header, rows, after, legacy)| {
        let mut file = [before, header, &rows.concat(), after]
            .concat()
            .into_bytes();
        match legacy {
            0 => file.extend(b"\xE4;1;2024-01-01\n"),
            1 => file.extend(b"\xE4\xC3\xA4;1;2024-01-01\n"),
            _ => {}
        }
        file
    })
}

/// Generates a format for any of these files.
fn format() -> impl Strategy<Value = Format> {
    let column = || {
        prop_oneof![
            3 => select(vec!["transaction_id", "amount", "date", "description", "id", "value", "when", "Amount", "x"]).prop_map(|name| json!(name)),
            2 => (1..5).prop_map(|number| json!({ "column": number })),
        ]
    };
    let id = prop_oneof![
        Just(Value::Null),
        column(),
        (column(), column()).prop_map(|(a, b)| json!([a, b])),
        column().prop_map(|from| json!({ "from": from, "unique": false })),
    ];
    let amount = prop_oneof![
        column(),
        (column(), column())
            .prop_map(|(debit, credit)| json!({ "debit": debit, "credit": credit })),
        (column(), column()).prop_map(
            |(value, sign)| json!({ "value": value, "sign": sign, "negative": ["D", "A", "x"] })
        ),
    ];
    let description = prop_oneof![
        Just(Value::Null),
        column(),
        (column(), column()).prop_map(|(a, b)| json!([a, b])),
    ];
    let some = proptest::option::weighted::<BoxedStrategy<Value>>;
    let columns = (
        some(0.3, id.boxed()),
        some(0.3, amount.boxed()),
        some(0.3, column().boxed()),
        some(0.2, description.boxed()),
    );
    let columns = columns.prop_map(|(id, amount, date, description)| {
        let columns = [
            ("transaction_id", id),
            ("amount", amount),
            ("date", date),
            ("description", description),
        ];
        let given = columns
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)));
        Value::Object(given.collect())
    });
    let is = prop_oneof![
        Just(json!("empty")),
        Just(json!(["Pending", "A"])),
        Just(json!(["", " x "])),
    ];
    let ignore = (column(), is).prop_map(|(column, is)| json!([{ "column": column, "is": is }]));
    let keys = (
        some(0.6, columns.boxed()),
        some(
            0.1,
            select(vec![json!(";"), json!(","), json!("|"), json!(" ")]).boxed(),
        ),
        some(0.15, Just(json!(false)).boxed()),
        some(0.15, (0..3).prop_map(|records| json!(records)).boxed()),
        some(0.2, ignore.boxed()),
        some(0.3, select(vec![json!("exact"), json!("pad")]).boxed()),
        some(
            0.2,
            select(vec![
                json!({ "below": null }),
                json!({ "above": 1.5, "below": -5 }),
            ])
            .boxed(),
        ),
        some(
            0.2,
            select(vec![json!("dmy"), json!("mdy"), json!("ymd")]).boxed(),
        ),
        some(0.2, select(vec![json!("."), json!(",")]).boxed()),
        some(
            0.15,
            select(vec![
                json!("utf-8"),
                json!("windows-1252"),
                json!("iso-8859-7"),
                json!("gb18030"),
                json!("shift_jis"),
                json!("utf-16le"),
            ])
            .boxed(),
        ),
    );
    keys.prop_map(|keys| {
        let keys = [
            ("columns", keys.0),
            ("delimiter", keys.1),
            ("header", keys.2),
            ("skip_records", keys.3),
            ("ignore", keys.4),
            ("fields", keys.5),
            ("suspicious", keys.6),
            ("date_order", keys.7),
            ("decimal", keys.8),
            ("encoding", keys.9),
        ];
        let given = keys
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)));
        Format::from_value(&Value::Object(given.collect())).unwrap()
    })
}

fn utf8_file() -> impl Strategy<Value = Vec<u8>> {
    let pieces = (header(), vec(piece(), 0..40))
        .prop_map(|(header, pieces)| [header, pieces.concat()].concat());
    prop_oneof![pieces, dialect()]
}

/// Generates UTF-16 in either byte order, with lone surrogates and perhaps an odd last byte.
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
    fn all_ways_return_the_verdicts_of_the_reference(
        file in file(),
        format in prop_oneof![2 => Just(Format::default()), 3 => format()],
        slicing in vec(1..50_usize, 1..5),
    ) {
        let outcome = checked(&file, &format, &slicing);
        prop_assert_eq!(&planned(&file, &format, &slicing), &outcome);
        assert_reference(&file, &format, &outcome);
    }

    #[test]
    fn utf16_has_the_verdicts_of_utf8(
        text in utf8_file(),
        big_endian: bool,
        slicing in vec(1..9_usize, 1..5),
    ) {
        let text = String::from_utf8_lossy(&text).into_owned();
        let units: Vec<u16> = text.trim_start_matches('\u{FEFF}').encode_utf16().collect();
        let utf16 = utf16(&units, big_endian);
        let format = Format::default();
        let utf8 = [b"\xEF\xBB\xBF", text.trim_start_matches('\u{FEFF}').as_bytes()].concat();
        let verdicts = |outcome: crate::agreement::Outcome| outcome.map(|read| (read.counts, read.rows));
        let utf8 = verdicts(checked(&utf8, &format, &slicing));
        prop_assert_eq!(&verdicts(checked(&utf16, &format, &slicing)), &utf8);
        prop_assert_eq!(&verdicts(planned(&utf16, &format, &slicing)), &utf8);
    }

    #[test]
    fn numbers_are_read_as_the_reference_reads_them(
        value in "[+-]?[0-9]{0,22}[.]?[0-9]{0,14}([eE][+-]?[0-9]{0,3})?|[-+0-9.eE ]{1,9}|[-+0-9.,' ()€]{1,9}",
    ) {
        same_value(&value, "2024-01-01");
    }

    #[test]
    fn decorated_numbers_are_read_as_the_reference_reads_them(
        (before, number, after) in (
            vec(select(vec!["-", "+", "\u{2212}", "(", "€", "EUR", "kr", "Fr.", "R$", "$", "zł", " ", "\u{A0}", "\u{202F}"]), 0..4),
            grouped(),
            vec(select(vec!["-", "+", ")", "€", "CHF", "kr", "Fr.", " ", "\u{202F}", "CR"]), 0..4),
        ),
    ) {
        same_value(&[before.concat(), number, after.concat()].concat(), "2024-01-01");
    }

    #[test]
    fn dates_are_read_as_the_reference_reads_them(
        value in "(0000|1900|2000|2023|2024|9999)([-/.]?)(0[0-9]|1[0-3])([-/.]?)([0-2][0-9]|3[0-2])(([Tt ]|  |, )([01]?[0-9]|2[0-5])(:[0-6][0-9]){0,3}([.,][0-9]{0,11})?(Z|z|[+-](0[0-9]|1[0-5]):?[0-6][0-9])?)?Z?",
    ) {
        same_value("1", &value);
    }

    #[test]
    fn ordered_dates_are_read_as_the_reference_reads_them(
        value in "([0-3]?[0-9]|[0-9]{3})([-/.])([0-3]?[0-9])([-/.])(00|6[89]|20|2024|[0-9]{1,4})",
        time in "()|()|(T|t| |  |, )(1[0-3]|[0-9]):[0-5][0-9](:[0-5][0-9])?(( ?(AM|pm|Pm))|( ?(UTC|GMT|utc))|[+-][0-9]{4}|Z)?",
    ) {
        same_value("1", &(value + &time));
    }

    #[test]
    fn named_months_are_read_as_the_reference_reads_them(
        value in "([0-3]?[0-9])[- ](Jan|feb|MARCH|may|Sept|december|Decem)[- ](20)?24|(Jan|feb|MARCH|may|Sept|december) ([0-3]?[0-9]),? 2024",
        time in "()|()|(T|t| |  |, )(1[0-3]|[0-9]):[0-5][0-9]( PM)?",
    ) {
        same_value("1", &(value + &time));
    }
}

/// Tests the values through a whole file, once with a complete format and once by evidence.
fn same_value(amount: &str, date: &str) {
    let file = format!("transaction_id,amount,date\nx,\"{amount}\",\"{date}\"\n");
    for format in [
        "{}",
        r#"{"decimal": ".", "date_order": "dmy"}"#,
        r#"{"decimal": ",", "date_order": "mdy"}"#,
        r#"{"decimal": ".", "date_order": "ymd"}"#,
    ] {
        let format = Format::from_json(format).unwrap();
        let outcome = checked(file.as_bytes(), &format, &[usize::MAX]);
        assert_reference(file.as_bytes(), &format, &outcome);
    }
}

/// Covers whole and partial BOMs with what may follow them.
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
