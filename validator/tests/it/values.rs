//! Covers every line of the rules for the values of a row.

use crate::{
    agreement::agreed,
    rows::{HEADER, check, codes, rows},
};

#[track_caller]
fn check_amount(value: &str, expect: Result<&str, &str>) {
    let row = rows(format!("{HEADER}id,\"{value}\",2024-01-01,\n")).remove(0);
    match expect {
        Ok(amount) => assert_eq!(
            (row.amount.unwrap().to_string(), codes(&row)),
            (amount.to_owned(), String::new()),
            "{value}"
        ),
        Err(code) => assert_eq!(
            (row.amount, codes(&row)),
            (None, code.to_owned()),
            "{value}"
        ),
    }
}

#[track_caller]
fn check_date(value: &str, expect: Result<&str, &str>) {
    let row = rows(format!("{HEADER}id,1,\"{value}\",\n")).remove(0);
    match expect {
        Ok(date) => assert_eq!(
            (row.date.unwrap().to_string(), codes(&row)),
            (date.to_owned(), String::new()),
            "{value}"
        ),
        Err(code) => assert_eq!((row.date, codes(&row)), (None, code.to_owned()), "{value}"),
    }
}

#[test]
fn transaction_id() {
    let missing = "transaction_id.missing";
    for id in ["", " ", "\u{A0}", "\" \t\r\n\""] {
        assert_eq!(
            check(format!("{id},1,2024-01-01,\n"), &[missing])[0].transaction_id,
            None
        );
    }
    let rows = check(
        format!("{},1,2024-01-01,\n", "é".repeat(256)),
        &["transaction_id.too_long"],
    );
    assert_eq!(rows[0].transaction_id, Some("é".repeat(255)));
    let rows = check(format!(" {} ,1,2024-01-01,\n", "𝄞".repeat(255)), &[""]);
    assert_eq!(rows[0].transaction_id, Some("𝄞".repeat(255)));
    let rows = check(
        "\u{A0} \"A\"\tB\u{A0},1,2024-01-01,\n\"A\"\"B\",1,2024-01-01,\n\"a\"b\"c\",1,2024-01-01,\n",
        &["", "", ""],
    );
    assert_eq!(rows[0].transaction_id.as_deref(), Some("\"A\"\tB"));
    assert_eq!(rows[1].transaction_id.as_deref(), Some("A\"B"));
    assert_eq!(rows[2].transaction_id.as_deref(), Some("ab\"c\""));
    // A BOM that isn't at the start of the file is a character and stays.
    let rows = check(
        "\u{FEFF},1,2024-01-01,\n\u{FEFF}A,1,2024-01-01,\nA,1,2024-01-01,\n",
        &["", "", ""],
    );
    assert_eq!(rows[1].transaction_id.as_deref(), Some("\u{FEFF}A"));
}

#[test]
fn duplicates() {
    let duplicate = "transaction_id.duplicate";
    check(
        "A,1,2024-01-01,\n\" A\u{A0}\",1,2024-01-01,\nA,1,2024-01-01,\na,1,2024-01-01,\n",
        &["", duplicate, duplicate, ""],
    );
    // Composed and decomposed forms differ.
    check("é,1,2024-01-01,\ne\u{301},1,2024-01-01,\n", &["", ""]);
    // An earlier row counts, whatever its other errors ...
    check(
        "A,x,y,\nA,1,2024-01-01,\n",
        &["amount.not_a_number date.not_a_date", duplicate],
    );
    check(
        "A,x,y,\nA,x,y,\n",
        &[
            "amount.not_a_number date.not_a_date",
            "transaction_id.duplicate amount.not_a_number date.not_a_date",
        ],
    );
    // ... unless it has a row error, or its own id is missing or too long.
    check(
        b"A,1\nA,1,2024-01-01,\xFF\nA,1,2024-01-01,\n".as_slice(),
        &["row.column_count", "row.encoding", ""],
    );
    let long = "x".repeat(256);
    check(
        format!(
            "{long},1,2024-01-01,\n{long},1,2024-01-01,\n{},1,2024-01-01,\n",
            &long[1..]
        ),
        &["transaction_id.too_long", "transaction_id.too_long", ""],
    );
    check(
        ",1,2024-01-01,\n,1,2024-01-01,\n",
        &["transaction_id.missing", "transaction_id.missing"],
    );
    let rows = check("A,1,2024-01-01,\nA,-1,2024-01-01,\n", &["", duplicate]);
    assert_eq!(rows[1].transaction_id.as_deref(), Some("A"));
    assert!(rows[1].is_suspicious && !rows[1].is_valid);
}

#[test]
fn amount() {
    for value in ["", " ", "\u{A0}\t"] {
        check_amount(value, Err("amount.missing"));
    }
    for (value, expect) in [
        ("150.00", "150.00"),
        ("-50.00", "-50.00"),
        ("+1", "1"),
        ("007", "7"),
        ("0", "0"),
        ("00.0", "0.0"),
        ("1.", "1"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("-0", "0"),
        ("-0.00", "0.00"),
        ("+0", "0"),
        ("1e3", "1000"),
        ("1E+3", "1000"),
        ("1.50e1", "15.0"),
        ("1e-5", "0.00001"),
        ("1.e2", "100"),
        (".5e1", "5"),
        ("1e007", "10000000"),
        ("1e-007", "0.0000001"),
        ("0e99", "0"),
        ("0e-99", "0.0000000000"),
        ("0e+00099", "0"),
        ("1e17", "100000000000000000"),
        ("999999999999999999", "999999999999999999"),
        (
            "0000999999999999999999.99999999990000",
            "999999999999999999.9999999999",
        ),
        (
            "-999999999999999999.9999999999",
            "-999999999999999999.9999999999",
        ),
        ("1.00000000000", "1.0000000000"),
        ("0.0000000001", "0.0000000001"),
        ("1e-10", "0.0000000001"),
        ("10e-11", "0.0000000001"),
        ("100000e-15", "0.0000000001"),
        ("1000000000000000000e-1", "100000000000000000.0"),
        ("0.00000000001e1", "0.0000000001"),
        ("0.000000000000000001e18", "1"),
        ("0.1234567890e5", "12345.67890"),
        (" \u{A0}12\t", "12"),
        ("1e0", "1"),
        ("12,50", "12.50"),
        ("1,000.00", "1000.00"),
        ("1.000,00", "1000.00"),
        ("1.234.567", "1234567"),
        ("1'850.00", "1850.00"),
        ("1\u{2019}234\u{2019}567,8", "1234567.8"),
        ("27500.000", "27500.000"),
        ("0,125", "0.125"),
        ("$5", "5"),
        ("5 €", "5"),
        ("€-5", "-5"),
        ("-€5", "-5"),
        ("- $220.00", "-220.00"),
        ("CHF 1'850.00", "1850.00"),
        ("-12.50 kr", "-12.50"),
        ("Fr. 5.50", "5.50"),
        ("R$ 5", "5"),
        ("5zł", "5"),
        ("- 5", "-5"),
        ("\u{2212}100.00", "-100.00"),
        ("1 000", "1000"),
        ("5-", "-5"),
        ("5+", "5"),
        ("(5)", "-5"),
        ("(€ 5)", "-5"),
        ("( 1,234.50 )", "-1234.50"),
        ("(0)", "0"),
        ("12.340e-0", "12.340"),
    ] {
        check_amount(value, Ok(expect));
    }
    for value in [
        "nan",
        "NaN",
        "inf",
        "-inf",
        "Infinity",
        "abc",
        ".",
        "+",
        "-",
        "+.",
        "e5",
        ".e5",
        "1e",
        "1e+",
        "1e5.0",
        "1e 5",
        "--5",
        "+-5",
        "0x10",
        "1_000",
        "1..2",
        "1.2.3",
        "١٢",
        "５",
        "1e5e5",
        "1\u{A0}0",
        "1f",
        "(-5)",
        "-(5)",
        "((5))",
        "(5",
        "-5-",
        "€5€",
        "€",
        "EUR",
        "12.00 CR",
        "12 000.00 eur",
        "1,00,000.5",
        "1000,000.5",
        "1,234.567,8",
        "1'234 567",
        "1,234.5e1",
        "\u{202F}5",
        "5\u{2009}",
        "\u{FEFF}5",
        "\u{B}5",
    ] {
        check_amount(value, Err("amount.not_a_number"));
    }
    for value in [
        "1e100",
        "1e-100",
        "0e100",
        "0e-100",
        "1e0100",
        "1e99999999999999999999",
        "1e-99999999999999999999",
        "1e-99",
        "1e99",
        "1e18",
        "1000000000000000000",
        "9999999999999999999",
        "0.00000000001",
        "1e-11",
        "1.00000000001",
        "10e-12",
        "0.1e19",
        "100000000000000000e1",
    ] {
        check_amount(value, Err("amount.out_of_range"));
    }
}

#[test]
fn very_long_numbers() {
    let zeros = "0".repeat(100_000);
    check_amount(&format!("{zeros}12.5{zeros}"), Ok("12.5000000000"));
    check_amount(&format!("1{zeros}"), Err("amount.out_of_range"));
    check_amount(&format!("{zeros}.{zeros}1"), Err("amount.out_of_range"));
    check_amount(&zeros, Ok("0"));
    check_amount(&format!("1e{zeros}2"), Ok("100"));
    check_amount(&format!("1e-{zeros}2"), Ok("0.01"));
    check_amount(&format!("1e2{zeros}"), Err("amount.out_of_range"));
    check_amount(&format!("{zeros}x"), Err("amount.not_a_number"));
    let row = &check(
        format!("A,{zeros}x,2024-01-01,\n"),
        &["amount.not_a_number"],
    )[0];
    assert_eq!(
        row.errors[0].message,
        format!("\"{}…\" isn't a number", "0".repeat(80))
    );
}

#[test]
fn suspicious() {
    for (amount, expect) in [
        ("50000", false),
        ("50000.0000000000", false),
        ("5e4", false),
        ("50000.0000000001", true),
        ("50001", true),
        ("60000", true),
        ("-0.0000000001", true),
        ("-100", true),
        ("0", false),
        ("-0", false),
        ("-0e5", false),
        ("1e17", true),
        ("x", false),
        ("1e100", false),
        ("-1e99", false),
        ("", false),
    ] {
        // Holds whatever other errors there are.
        let all = rows(format!("{HEADER}A,{amount},2024-01-01,\n,{amount},x,\n"));
        assert_eq!(
            (all[0].is_suspicious, all[1].is_suspicious),
            (expect, expect),
            "{amount}"
        );
        assert!(!all[1].is_valid);
    }
    let (_, counts, _) =
        agreed(format!("{HEADER}A,-1,2024-01-01,\nA,60000,x,\nB,-1\nC,1,2024-01-01,\n").as_bytes())
            .unwrap();
    assert_eq!(
        (
            counts.processed,
            counts.valid,
            counts.invalid,
            counts.suspicious
        ),
        (4, 2, 2, 2)
    );
}

#[test]
fn date() {
    for value in ["", " ", "\u{A0}"] {
        check_date(value, Err("date.missing"));
    }
    for value in [
        "2024-01-15",
        "2024/01/15",
        "20240115",
        " 2024-01-15\u{A0}",
        "2024-01-15T10:00",
        "2024-01-15t10:00:00",
        "2024-01-15 23:59:59",
        "2024-01-15T10:00:00.1",
        "2024-01-15T10:00:00.123456789",
        "2024-01-15T10:00Z",
        "2024-01-15T10:00:00z",
        "2024-01-15T00:00:00+14:00",
        "2024-01-15T10:00-14:00",
        "2024-01-15T10:00-00:00",
        "20240115T10:00:00.5+05:30",
        "2024/01/15 00:00Z",
        "2024-01-15T23:00:00-13:59",
        "2024.01.15",
        "15.01.2024",
        "15.1.24",
        "01/15/2024",
        "1-15-24",
        "15/1/2024",
        "15-01-24",
        "15 Jan 2024",
        "15-jan-2024",
        "15 JANUARY 2024",
        "Jan 15, 2024",
        "January 15 2024",
        "2024-01-15  10:00",
        "2024-01-15, 10:00",
        "2024-01-15T10:00+0100",
        "2024-01-15T9:00",
        "2024-01-15 9:00 AM",
        "2024-01-15 12:59:59pm",
        "2024-01-15 10:00 UTC",
        "2024-01-15T10:00:00 GMT",
        "01/15/2024, 9:05:00.5 PM",
    ] {
        check_date(value, Ok("2024-01-15"));
    }
    check_date("2024-02-29", Ok("2024-02-29"));
    check_date("2000-02-29", Ok("2000-02-29"));
    check_date("0001-01-01", Ok("0001-01-01"));
    check_date("9999-12-31T23:59:59.999999999-14:00", Ok("9999-12-31"));
    for value in [
        "2024-01/15",
        "2024/01-15",
        "2024-0115",
        "202401-15",
        "2024-1-5",
        "15/01-2024",
        "15/1/024",
        "015/1/2024",
        "15 Janu 2024",
        "15 Sept 2024",
        "15. Jan 2024",
        "Jan 15,2024",
        "15/01/2024 10:00 utc",
        "15/01/2024 10:00 +0100",
        "2024-01-15   10:00",
        "2024-01-15,10:00",
        "12024-01-15",
        "+2024-01-15",
        "-2024-01-15",
        "2024-01-15T",
        "2024-01-15 ,",
        "2024-01-15T10",
        "2024-01-15T1000",
        "2024-01-15T10:00:",
        "2024-01-15T10:00:00.",
        "2024-01-15T10:00:00.1234567890",
        "2024-01-15T10:00:00,5",
        "2024-01-15_10:00",
        "2024-01-15Z",
        "2024-01-15+01:00",
        "2024-01-15T10:00+1:00",
        "2024-01-15T10:00+01",
        "2024-01-15T10:00 Z",
        "2024-01-15T10:00ZZ",
        "2024-01-15T10:00+01:00Z",
        "2024-01-15T10:00+01:00:00",
        "2024-01-15T10:0",
        "2024-01-15T10:00.5",
        "20240115T100000",
        "2024011",
        "202401150",
        "yesterday",
        "2024-W03-1",
        "２０２４-01-15",
        "2024-01-15\u{A0}10:00",
        "2024-01-15T10:00:00.5.5",
        "2024-01-15T10:00:00:00",
        "0000-00-00x",
    ] {
        check_date(value, Err("date.not_a_date"));
    }
    for value in [
        "2024-02-30",
        "2023-02-29",
        "1900-02-29",
        "2024-13-01",
        "2024-00-10",
        "2024-01-00",
        "2024-01-32",
        "2024/04/31",
        "20240431",
        "0000-01-01",
        "00000101",
        "0000-02-29",
        "9999-99-99",
        "2024-01-15T24:00",
        "2024-01-15T23:60",
        "2024-01-15T23:59:60",
        "2024-01-15T10:00+14:01",
        "2024-01-15T10:00-15:00",
        "2024-01-15T10:00+13:60",
        "2024-01-15T10:00+00:60",
        "2024-01-15T99:99:99.9+99:99",
        "2024-02-30T10:00Z",
        "31.02.2024",
        "1.13.2024",
        "30 Feb 2024",
        "31/02/2024",
        "2024-01-15 13:00 PM",
        "2024-01-15 0:30 AM",
        "2024-01-15T10:00+1401",
    ] {
        check_date(value, Err("date.out_of_range"));
    }
}

#[test]
fn description() {
    let rows = check(
        "A,1,2024-01-01,\" a\r\nb \"\"c\"\" \"\nB,1,2024-01-01,\u{A0}\nC,1,2024-01-01,\n",
        &["", "", ""],
    );
    let shown: Vec<_> = rows.iter().map(|row| row.description.as_deref()).collect();
    assert_eq!(shown, [Some(" a\r\nb \"c\" "), Some("\u{A0}"), Some("")]);
    let all = self::rows("transaction_id,amount,date\nA,1,2024-01-01\n");
    assert_eq!(all[0].description, None);
}
