//! Given formats, and what rows prove.

use validator::{
    Checked, Checker, CompletedFormat, DateOrder, Decimal, FileError, Format, Presumed,
};

use crate::{
    agreement::{Read, agreed_as, checked_as_it_is, codes, is_ignored},
    rows,
};

#[track_caller]
fn read(file: impl AsRef<[u8]>, format: &str) -> Read {
    let format = Format::from_json(format).unwrap();
    agreed_as(file.as_ref(), &format).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn asks(file: impl AsRef<[u8]>, format: &str) -> String {
    let format = Format::from_json(format).unwrap();
    codes(&agreed_as(file.as_ref(), &format).unwrap_err()).join(" ")
}

/// Expects each row as its id, amount, date and description, or as its errors.
#[track_caller]
fn check(file: impl AsRef<[u8]>, format: &str, expect: &[&str]) -> Read {
    let read = read(file, format);
    let rows: Vec<String> = read
        .rows
        .iter()
        .map(|row| match row {
            row if is_ignored(row) => "ignored".to_owned(),
            row if !row.is_valid => rows::codes(row),
            row => format!(
                "{} {} {} {}",
                row.transaction_id.as_deref().unwrap_or("-"),
                row.amount.unwrap(),
                row.date.unwrap(),
                row.description.as_deref().unwrap_or("-")
            ),
        })
        .collect();
    assert_eq!(rows, expect);
    read
}

const HEADER: &str = "transaction_id;amount;date\n";

fn amounts(amounts: &[&str]) -> String {
    let rows = amounts.iter().enumerate();
    HEADER.to_owned()
        + &rows
            .map(|(n, amount)| format!("{n};{amount};2024-01-01\n"))
            .collect::<String>()
}

fn dates(dates: &[&str]) -> String {
    let rows = dates.iter().enumerate();
    HEADER.to_owned()
        + &rows
            .map(|(n, date)| format!("{n};1;{date}\n"))
            .collect::<String>()
}

#[test]
fn the_rows_prove_the_decimal_sign() {
    for (values, expect) in [
        (&[][..], Decimal::Point),
        (&["1", "x", ""], Decimal::Point),
        (&["1.234", "1.5"], Decimal::Point),
        (&["1,234", "1.234", "0.125"], Decimal::Point),
        (&["1.234", "1,5"], Decimal::Comma),
        (&["1.234", "1.234.567"], Decimal::Comma),
        (&["1,234", "€ 1.234,5"], Decimal::Comma),
        (&["1.234", "(0,125)"], Decimal::Comma),
        (&["1,234", "1234.567"], Decimal::Point),
        // The number 1.234 of a workbook's cell
        (&["1.234", "1.2340"], Decimal::Point),
        // Values that aren't numbers prove nothing.
        (&["n.a.", "1,5"], Decimal::Comma),
        (&["see a, b", "1.5"], Decimal::Point),
    ] {
        let read = read(amounts(values), "{}");
        assert_eq!(read.reading.format.decimal, Some(expect), "{values:?}");
    }
    for values in [
        &["1.234"][..],
        &["1,234", "1.234"],
        &["1.5", "1,5"],
        &["1.2340", "-5,00"],
        &["1.234,5", "2", "1,234.5"],
    ] {
        assert_eq!(asks(amounts(values), "{}"), "format.decimal", "{values:?}");
        read(amounts(values), r#"{"decimal": ","}"#);
    }
    // Broken and ignored rows prove nothing.
    let file = HEADER.to_owned() + "A;1,5\nB;1,5;2024-01-01\nC;1.5;2024-01-01\n";
    assert_eq!(asks(&file, "{}"), "format.decimal");
    check(
        &file,
        r#"{"ignore": [{"column": "transaction_id", "is": ["B"]}]}"#,
        &["row.column_count", "ignored", "C 1.5 2024-01-01 -"],
    );
    check(
        "transaction_id;in;out;date\nA;1.000;;2024-01-01\nB;;1,5;2024-01-01\n",
        r#"{"columns": {"amount": {"debit": "out", "credit": "in"}}}"#,
        &["A 1000 2024-01-01 -", "B -1.5 2024-01-01 -"],
    );
}

#[test]
fn the_rows_prove_the_order_of_dates() {
    for (values, expect) in [
        (&["2024-01-01", "3.4.2024", "x"][..], None),
        (&["03/04/2024", "13/04/2024"], Some(DateOrder::Dmy)),
        (&["03-04-24", "04/13/24 10:00"], Some(DateOrder::Mdy)),
        (
            &["03/04/2024", "13.04.2024", "31-12-2024"],
            Some(DateOrder::Dmy),
        ),
    ] {
        let read = read(dates(values), "{}");
        assert_eq!(read.reading.format.date_order, expect, "{values:?}");
    }
    for values in [
        &["03/04/2024"][..],
        &["3.4.2024", "5/5/24"],
        &["13/04/2024", "04/13/2024"],
    ] {
        assert_eq!(asks(dates(values), "{}"), "format.date_order", "{values:?}");
        read(dates(values), r#"{"date_order": "mdy"}"#);
    }
    check(
        dates(&["03/04/2024", "3.4.2024"]),
        r#"{"date_order": "mdy"}"#,
        &["0 1 2024-03-04 -", "1 1 2024-04-03 -"],
    );
    check(
        dates(&["03/04/2024", "3.4.2024"]),
        r#"{"date_order": "ymd"}"#,
        &["date.not_a_date", "1 1 2024-04-03 -"],
    );
}

/// The last of many rows can prove everything, and the proof names that row.
#[test]
fn the_last_row_may_prove_it() {
    let mut file = HEADER.to_owned();
    for row in 0..300 {
        file += &format!("{row};1.234;03/04/2024\n");
    }
    assert_eq!(asks(&file, "{}"), "format.date_order format.decimal");
    let read = read(file + "last;1,5;13/04/2024\n", "{}");
    assert_eq!(read.rows[0].amount.unwrap().to_string(), "1234");
    assert_eq!(read.rows[0].date.unwrap().to_string(), "2024-04-03");
    for key in ["decimal", "date_order"] {
        let decision = read
            .reading
            .decisions
            .iter()
            .find(|decision| decision.key == key);
        assert_eq!(decision.unwrap().row, Some(301), "{key}");
    }
}

#[test]
fn a_proof_in_a_later_slice_is_presumed_once() {
    let neutral = "A;1;2024-01-01\n";
    for (first, later, question) in [
        (neutral, "B;1,5;13/04/2024\n", ""),
        (neutral, "B;1,5;2024-01-01\nC;1;04/13/2024\n", ""),
        ("A;1,5;2024-01-01\n", "B;1;13/04/2024\n", ""),
        ("A;1,5;2024-01-01\n", "B;1.5;2024-01-01\n", "format.decimal"),
        ("A;1;13/04/2024\n", "B;1;04/13/2024\n", "format.date_order"),
    ] {
        // The first megabyte is read at once, together with the header.
        let blank = "\n".repeat(1 << 20);
        let file = format!("transaction_id;amount;date\n{first}{blank}{later}");
        for slice in [5, 1 << 16, file.len()] {
            match checked_as_it_is(file.as_bytes(), &Format::default(), &[slice]) {
                Ok(read) => assert_eq!((question, read.counts.invalid), ("", 0)),
                Err(error) => assert_eq!(codes(&error).join(" "), question),
            }
        }
    }
}

#[test]
fn a_line_names_the_delimiter() {
    for file in [
        "sep=;\ntransaction_id;amount;date\nA;1;2024-01-01",
        "\r\nsep=!\r\ntransaction_id!amount!date\nA!1!2024-01-01",
        "sep=,\n;;\nx\ntransaction_id,amount,date\nA,1,2024-01-01",
    ] {
        check(file, "{}", &["A 1 2024-01-01 -"]);
    }
    assert_eq!(asks("sep=;", "{}"), "file.no_header");
    assert_eq!(asks("sep=;;\na;b", "{}"), "format.columns");
}

#[test]
fn the_header_is_found_after_other_lines() {
    let header = "transaction_id,amount,date\nA,1,2024-01-01\n";
    check(
        "Statement;;\n\"of\"\n\n".to_owned() + header,
        "{}",
        &["A 1 2024-01-01 -"],
    );
    check("x\n".repeat(99) + header, "{}", &["A 1 2024-01-01 -"]);
    assert_eq!(asks("x\n".repeat(100) + header, "{}"), "format.columns");
    check(
        "a\nb\n".to_owned() + header + header,
        r#"{"skip_records": 4}"#,
        &["A 1 2024-01-01 -"],
    );
    assert_eq!(asks(header, r#"{"skip_records": 2}"#), "file.no_header");
}

#[test]
fn columns_are_given() {
    let file = "Ref;Part;Sum;Sign;Day;Text;More\n1;a;5;D;2024-01-01;x;y\n1;;-6;C;2024-01-02;;z\n;;7;;2024-01-03;;\n";
    let columns =
        |columns: &str| format!(r#"{{"columns": {{"date": "day", "amount": "Sum", {columns}}}}}"#);
    check(
        file,
        &columns(r#""transaction_id": ["Ref", {"column": 2}], "description": ["Text", "More"]"#),
        &[
            "1/a 5 2024-01-01 x y",
            "1/ -6 2024-01-02 z",
            "transaction_id.missing",
        ],
    );
    check(
        file,
        &columns(r#""transaction_id": null, "description": {"column": 6}"#),
        &["- 5 2024-01-01 x", "- -6 2024-01-02 ", "- 7 2024-01-03 "],
    );
    check(
        file,
        &columns(r#""transaction_id": {"from": "ref", "unique": false}"#),
        &[
            "1 5 2024-01-01 -",
            "1 -6 2024-01-02 -",
            "transaction_id.missing",
        ],
    );
    check(
        file,
        r#"{"columns": {"transaction_id": null, "date": "Day", "amount": {"value": "Sum", "sign": "Sign", "negative": ["D"]}}}"#,
        &["- -5 2024-01-01 -", "- -6 2024-01-02 -", "- 7 2024-01-03 -"],
    );
    for missing in [
        r#""transaction_id": "x""#,
        r#""transaction_id": {"column": 8}"#,
        r#""description": "x""#,
    ] {
        assert_eq!(asks(file, &columns(missing)), "format.columns", "{missing}");
    }
}

#[test]
fn debit_and_credit() {
    check(
        "out;in;date\n5;;2024-01-01\n-5;0.00;2024-01-01\n;5;2024-01-01\n0;-5;2024-01-01\n0;;2024-01-01\n\
         ;;2024-01-01\n1;1;2024-01-01\nx;;2024-01-01\nx;1;2024-01-01\n",
        r#"{"columns": {"transaction_id": null, "amount": {"debit": "out", "credit": "in"}}}"#,
        &[
            "- -5 2024-01-01 -",
            "- -5 2024-01-01 -",
            "- 5 2024-01-01 -",
            "- -5 2024-01-01 -",
            "- 0 2024-01-01 -",
            "amount.missing",
            "amount.not_a_number",
            "amount.not_a_number",
            "amount.not_a_number",
        ],
    );
}

#[test]
fn a_file_without_a_header() {
    let columns = r#""columns": {"transaction_id": {"column": 1}, "amount": {"column": 2}, "date": {"column": 3}}"#;
    let headless = format!(r#"{{"header": false, {columns}}}"#);
    check(
        "A,1,2024-01-01\nB,2,2024-01-02\n",
        &headless,
        &["A 1 2024-01-01 -", "B 2 2024-01-02 -"],
    );
    check(
        "x\n\nA;1;2024-01-01\n",
        &format!(r#"{{"header": false, "skip_records": 1, {columns}}}"#),
        &["A 1 2024-01-01 -"],
    );
    assert_eq!(
        asks("A,1,2024-01-01\n", r#"{"header": false}"#),
        "format.columns"
    );
    // The first row is treated like any other.
    check(
        b"A,1\0,2024-01-01\nB,\"2\nx,y,z\",2024-01-02\nC,3,2024-01-03",
        &headless,
        &["row.encoding", "row.quoted_lines", "C 3 2024-01-03 -"],
    );
    check("A,1,\"2024-01-01", &headless, &["row.unclosed_quote"]);
    let with_text = headless.replace("}}", r#"}, "description": {"column": 4}}"#);
    check(
        "A,1,2024-01-01,\nB,2,2024-01-02,x\n",
        &with_text,
        &["A 1 2024-01-01 ", "B 2 2024-01-02 x"],
    );
}

#[test]
fn rows_with_a_different_number_of_fields() {
    let pad = r#"{"fields": "pad"}"#;
    let header = "transaction_id;amount;date;description;x;;\n";
    check(
        header.to_owned()
            + "A;1;2024-01-01;a\nB;1;2024-01-01\nC;1;2024-01-01;c;x; ;;\nD;1;2024-01-01;d;x;y\n",
        pad,
        &[
            "A 1 2024-01-01 a",
            "row.column_count",
            "C 1 2024-01-01 c",
            "row.column_count",
        ],
    );
    let short = header.to_owned() + "A;1;2024-01-01;a\nB;1;2024-01-01;b\n";
    assert_eq!(asks(&short, "{}"), "format.fields");
    check(&short, pad, &["A 1 2024-01-01 a", "B 1 2024-01-01 b"]);
    check(&short, r#"{"fields": "exact"}"#, &["row.column_count"; 2]);
    check(short + "C\n", "{}", &["row.column_count"; 3]);
}

#[test]
fn ignored_records() {
    let file = "transaction_id,amount,date,state\nA,1,2024-01-01,\nA,-1,2024-01-02, pending \nA,x,,done\nB\n";
    let read = check(
        file,
        r#"{"ignore": [{"column": "state", "is": ["pending"]}, {"column": {"column": 3}, "is": "empty"}]}"#,
        &["A 1 2024-01-01 -", "ignored", "ignored", "ignored"],
    );
    assert_eq!(
        (
            read.counts.processed,
            read.counts.ignored,
            read.counts.suspicious
        ),
        (1, 3, 0)
    );
}

#[test]
fn limits_for_suspicious_amounts() {
    let suspicious = |limits: &str| {
        let read = read(
            amounts(&["-1", "0", "1.50", "50001"]),
            &format!(r#"{{"suspicious": {limits}}}"#),
        );
        read.rows
            .iter()
            .map(|row| u8::from(row.is_suspicious))
            .collect::<Vec<_>>()
    };
    assert_eq!(suspicious("{}"), [1, 0, 0, 1]);
    assert_eq!(suspicious(r#"{"below": null}"#), [0, 0, 0, 1]);
    assert_eq!(suspicious(r#"{"above": 1.5}"#), [1, 0, 0, 1]);
    assert_eq!(
        suspicious(r#"{"below": 0.5, "above": 1.4999}"#),
        [1, 1, 1, 1]
    );
    assert_eq!(suspicious(r#"{"below": null, "above": null}"#), [0; 4]);
}

#[test]
fn quotes_that_swallow_rows() {
    let header = "transaction_id,amount,date,description\n";
    check(
        header.to_owned()
            + "A,1,2024-01-01,\"12 inch\nB,1,2024-01-01,x\nC,1,2024-01-01,\"\nD,1,2024-01-01,\"a\nb,c\"\n\
               E,1,2024-01-01,\"a,b,c,d\ne\"\nF,1,2024-01-01,\"x\nG,1",
        "{}",
        &[
            "row.quoted_lines",
            "D 1 2024-01-01 a\nb,c",
            "E 1 2024-01-01 a,b,c,d\ne",
            "row.unclosed_quote",
        ],
    );
    check(
        header.to_owned()
            + "A,1,2024-01-01,\"x\r1,2,3,4\"\nB,1,2024-01-01,\"x\n1,2,3,4,,\"\nC,1,2024-01-01,\"x\n1,2,3\"\n",
        "{}",
        &[
            "row.quoted_lines",
            "row.quoted_lines",
            "C 1 2024-01-01 x\n1,2,3",
        ],
    );
}

#[test]
fn a_download_is_read_again() {
    // The current columns, and those of a version without `line`.
    for (name, line) in [("line,", "7,"), ("", "")] {
        let file = format!(
            "transaction_id,amount,date,row_number,{name}is_valid,is_suspicious,errors,error_message,amount_read,\
             date_read\n\
             '=A,\"'-1,50\",2024-01-01,1,{line}true,true,,,-1.50,2024-01-01\n\
             'B,\"1,5\",2024-01-01,2,{line}true,false,,,,\n"
        );
        let expect = ["=A -1.50 2024-01-01 -", "'B 1.5 2024-01-01 -"];
        let read = check(file, "{}", &expect);
        assert_eq!(
            read.layout.own_names(),
            ["transaction_id", "amount", "date"]
        );
    }
}

#[test]
fn encodings_are_asked_or_given() {
    let file = b"transaction_id;amount;date;description\nA;1;2024-01-01;Gr\xFC\xDFe\n";
    assert_eq!(asks(file, "{}"), "format.encoding");
    check(
        file,
        r#"{"encoding": "windows-1252"}"#,
        &["A 1 2024-01-01 Grüße"],
    );
    check(file, r#"{"encoding": "utf-8"}"#, &["row.encoding"]);
    let both = [&file[..], "B;1;2024-01-01;ü\n".as_bytes()].concat();
    check(both, "{}", &["row.encoding", "B 1 2024-01-01 ü"]);
    let marked = [b"\xEF\xBB\xBF", &file[..]].concat();
    check(marked, "{}", &["row.encoding"]);
    assert_eq!(
        asks(b"a;b\n\xFC;1\n", "{}"),
        "format.columns format.encoding"
    );
    // A byte that the encoding doesn't define.
    check(
        b"transaction_id;amount;date\n\x81;1;2024-01-01\n\xD2;1;2024-01-01\n",
        r#"{"encoding": "iso-8859-7"}"#,
        &["\u{81} 1 2024-01-01 -", "row.encoding"],
    );
}

#[test]
fn the_encoding_question_is_the_same_for_all_slices() {
    let file = b"transaction_id,amount,date\nA,1,\xE9\xE8\n";
    let format = Format::default();
    let whole = checked_as_it_is(file, &format, &[usize::MAX]);
    assert_eq!(checked_as_it_is(file, &format, &[1]), whole);
}

#[test]
fn encodings_whose_characters_have_several_bytes() {
    for (label, name) in [
        ("gb18030", "微信支付账单明细，工商银行"),
        ("big5", "臺灣銀行轉帳"),
        ("shift_jis", "振込ソ能表ﾌﾘｺﾐ"),
        ("euc-jp", "振込東京都"),
        ("euc-kr", "입금 서울특별시"),
    ] {
        let rows: String = (1..=2_000)
            .map(|row| format!("A{row},{row}.50,2024-01-31,\"{name}\n{row}\"\r\n"))
            .collect();
        let text = format!("transaction_id,amount,date,description\r\n{rows}");
        let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap();
        let (file, _, is_lossy) = encoding.encode(&text);
        assert!(!is_lossy);
        let read = read(&file, &format!(r#"{{"encoding": "{label}"}}"#));
        assert_eq!(read.rows.len(), 2_000, "{label}");
        let last = &read.rows[1_999];
        assert_eq!(last.description.as_deref(), Some(&*format!("{name}\n2000")));
        assert_eq!(last.line, Some(4_000));
    }
}

#[test]
fn the_euro_sign_of_one_byte_is_not_read() {
    let file = b"transaction_id,amount,date\n\x80,1,2024-01-31\n\xA2\xE3,2,2024-01-31\n";
    for label in ["gbk", "gb18030"] {
        let read = read(file, &format!(r#"{{"encoding": "{label}"}}"#));
        let codes = |row: usize| {
            let errors = read.rows[row].errors.iter();
            errors.map(|it| it.code.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(codes(0), ["row.encoding"], "{label}");
        assert_eq!(codes(1), [""; 0], "{label}");
    }
    // The only row doesn't show how many fields were intended.
    let file = b"transaction_id,amount,date\n\xED\xA0\x80";
    let read = read(file, r#"{"encoding": "gb18030"}"#);
    assert_eq!(read.rows[0].errors[0].code.as_str(), "row.encoding");
}

#[test]
fn a_detector_knows_encodings_whose_characters_have_several_bytes() {
    for (label, name) in [("gb18030", "工商银行"), ("shift_jis", "カード振込ソ能表")] {
        let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap();
        let text = format!("transaction_id,amount,date,description\n1,1,2024-01-31,{name}\n");
        let (file, ..) = encoding.encode(&text);
        let error = checked_as_it_is(&file, &Format::default(), &[1000]).unwrap_err();
        let FileError::Questions(questions) = error else {
            panic!("{error}");
        };
        assert_eq!(questions[0].suggestion, Some(serde_json::json!(label)));
        let read_as = questions[0].choices[0].samples[0].read_as.as_deref();
        assert!(read_as.unwrap().contains(name), "{read_as:?}");
    }
}

#[test]
fn several_columns_count_once_and_only_if_none_is_missing() {
    // Split at commas, there are two columns of either name. That doesn't make them more than those split at semicolons.
    check(
        "x;y;;;;;;,x,x,y,y\nA;1;2024-01-01;;;;;\n",
        r#"{"columns": {"transaction_id": {"column": 1}, "amount": {"column": 2}, "date": {"column": 3},
                        "description": ["x", "y"]}}"#,
        &["A 1 2024-01-01 A 1"],
    );
    // A record that lacks one of the columns isn't the header, even if another one is repeated.
    check(
        "transaction_id,debit,debit,date\ntransaction_id,debit,credit,date\nA,1,,2024-01-01\n",
        r#"{"columns": {"amount": {"debit": "debit", "credit": "credit"}}}"#,
        &["A -1 2024-01-01 -"],
    );
    check(
        "a,a,amount,date\na,b,amount,date\nA,B,1,2024-01-01\n",
        r#"{"columns": {"transaction_id": ["a", "b"]}}"#,
        &["A/B 1 2024-01-01 -"],
    );
}

#[test]
fn without_a_header_no_column_has_a_name() {
    for name in ["", " ", "column 1", "\u{FFFD}"] {
        let format = format!(
            r#"{{"header": false, "columns": {{"transaction_id": null, "amount": {{"column": 1}}, "date": "{name}"}}}}"#
        );
        assert_eq!(asks("20240101\n", &format), "format.columns", "{name:?}");
    }
}

#[test]
fn rows_may_contradict_a_saved_format() {
    let asked = |saved: &str, file: &[u8]| -> Vec<String> {
        let saved = Format::from_json(saved).unwrap();
        let format = CompletedFormat::new(Format::default(), &saved);
        let mut presumed = Presumed::default();
        loop {
            let mut checker = Checker::new([0; 16], format.clone(), presumed);
            checker.push(file, &mut |_| {}).unwrap();
            match checker.finish(&mut |_| {}) {
                Ok(Checked::Again(proved)) => presumed = proved,
                Ok(Checked::Done(_)) => return Vec::new(),
                Err(error) => {
                    let questions = error.questions().iter();
                    return questions.map(|it| it.key.clone()).collect();
                }
            }
        }
    };
    for (saved, rows, expect) in [
        (
            r#"{"decimal": ","}"#,
            "A;1,234;2024-01-01\nB;5;2024-01-01\n",
            &[][..],
        ),
        (
            r#"{"decimal": ","}"#,
            "A;1,234;2024-01-01\nB;5.5;2024-01-01\n",
            &["decimal"],
        ),
        (
            r#"{"decimal": "."}"#,
            "A;5,5;2024-01-01\nB;5.5;2024-01-01\n",
            &["decimal"],
        ),
        (
            r#"{"date_order": "mdy"}"#,
            "A;1;13/01/2024\n",
            &["date_order"],
        ),
        (r#"{"date_order": "mdy"}"#, "A;1;01/13/2024\n", &[]),
        // It says that these aren't dates.
        (r#"{"date_order": "ymd"}"#, "A;1;13/01/2024\n", &[]),
    ] {
        let file = format!("transaction_id;amount;date\n{rows}");
        assert_eq!(asked(saved, file.as_bytes()), expect, "{saved} {rows}");
    }
}
