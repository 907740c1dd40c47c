//! Covers every line of the rules for downloads.

use validator::{Candidate, Checker, CsvForm, Format, Layout, Presumed};

use crate::agreement::agreed;

/// Returns `results.csv` of a whole file.
fn results(file: &[u8]) -> String {
    results_as(file, |_| CsvForm::PLAIN)
}

fn results_as(file: &[u8], form: fn(&Layout) -> CsvForm) -> String {
    let layout: Layout = agreed(file).unwrap().0;
    let form = form(&layout);
    let mut out = Vec::new();
    form.write_header(&layout, &mut out);
    let presumed = Presumed {
        decimal: Some(layout.decimal()),
        date_order: layout.date_order(),
    };
    let mut checker = Checker::new([0; 16], Format::default(), presumed);
    let mut on_row = |candidate: &mut Candidate<'_>| {
        candidate.write_csv(form, &mut out);
    };
    checker.push(file, &mut on_row).unwrap();
    checker.finish(&mut on_row).unwrap();
    String::from_utf8(out).unwrap()
}

/// Expects these lines in the download of `lines` under a header without a description.
fn check(lines: &[u8], expect: &[&str]) {
    let results = results(&[b"transaction_id,amount,date\n", lines].concat());
    let mut found = results.split_terminator("\r\n");
    assert_eq!(
        found.next(),
        Some(
            "transaction_id,amount,date,row_number,line,is_valid,is_suspicious,errors,error_message"
        )
    );
    assert_eq!(found.collect::<Vec<_>>(), expect);
}

#[test]
fn original_columns_then_the_verdict() {
    let file = "\u{FEFF}Note;\"Transaction ID\";amount;date;;Note\n a ;\u{A0}T1;-1.50;2024/01/15;\"x;y\";\"\"\"z\"\"\"\n";
    assert_eq!(
        results(file.as_bytes()),
        "Note,Transaction ID,amount,date,,Note,row_number,line,is_valid,is_suspicious,errors,error_message\r\n\
         \x20a ,\u{A0}T1,-1.50,2024/01/15,x;y,\"\"\"z\"\"\",1,2,true,true,,\r\n"
    );
}

#[test]
fn errors_and_their_messages() {
    check(
        b"A,x,2024-01-01\nA,\"1,5,0\",\n",
        &[
            "A,x,2024-01-01,1,2,false,false,amount.not_a_number,\"\"\"x\"\" isn't a number\"",
            "A,\"1,5,0\",,2,3,false,false,transaction_id.duplicate;amount.not_a_number;date.missing,\
         \"Duplicate ID \"\"A\"\", used in an earlier row; \"\"1,5,0\"\" isn't a number; Date is missing\"",
        ],
    );
}

#[test]
fn short_long_and_too_large_rows() {
    check(
        b"A\nB,1,2024-01-01,\"=1\",\n",
        &[
            "A,,,1,2,false,false,row.column_count,Row has 1 value; expected 3",
            "B,1,2024-01-01,2,3,false,false,row.column_count,Row has 5 values; expected 3,'=1,",
        ],
    );
    let too_large = format!("A,1,2024-01-01{}\n", ",".repeat(1_048_576));
    check(
        too_large.as_bytes(),
        &[",,,1,2,false,false,row.too_large,\"Row is longer than 1,048,576 bytes\""],
    );
}

#[test]
fn bytes_that_are_not_utf8() {
    check(
        b"A\xFF,\0,\xC3\xA9\n",
        &[
            "A\u{FFFD},\u{FFFD},é,1,2,false,false,row.encoding,\"Row isn't valid UTF-8 text in column \"\"transaction_id\"\"\"",
        ],
    );
}

#[test]
fn formulas_get_an_apostrophe() {
    for (cell, expect) in [
        ("=1+1", "'=1+1"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("\"\rx\"", "\"'\rx\""),
        ("+x", "'+x"),
        ("-x", "'-x"),
        ("+1", "+1"),
        ("-1.5e3", "-1.5e3"),
        ("-1e999", "-1e999"),
        ("-1 ", "'-1 "),
        ("+", "'+"),
        ("-1+1", "'-1+1"),
        (" =1", " =1"),
        ("'=1", "'=1"),
        ("\"\nx\"", "\"\nx\""),
        ("\"=\"\"a\"", "\"'=\"\"a\""),
        ("1=", "1="),
        ("\"\n=x\"", "\"'\n'=x\""),
        ("\u{A0}=1", "'\u{A0}=1"),
        ("\u{FEFF}@x", "'\u{FEFF}@x"),
        ("\x0B+x", "'\x0B+x"),
        ("＝1+1", "'＝1+1"),
        // Locales in which `;` or a comma separates cells.
        ("x;=1+1", "x;'=1+1"),
        ("x;y;@z;-1;-z", "x;y;'@z;-1;'-z"),
        ("\"x,=1+1\"", "\"x,'=1+1\""),
        ("\"a\r\n=1\"", "\"a\r\n'=1\""),
        ("x; -y", "x; -y"),
    ] {
        let results = results(
            format!("transaction_id,amount,date,{cell}\nA,1,2024-01-01,{cell}\n").as_bytes(),
        );
        let columns = "row_number,line,is_valid,is_suspicious,errors,error_message";
        let (header, row) = results.split_once(columns).unwrap();
        assert_eq!(header, format!("transaction_id,amount,date,{expect},"));
        let line = if cell.contains(['\r', '\n']) { 3 } else { 2 };
        assert_eq!(
            row,
            format!("\r\nA,1,2024-01-01,{expect},1,{line},true,false,,\r\n")
        );
    }
}

#[test]
fn a_spreadsheet_in_the_locale_of_the_file_reads_it() {
    let file =
        "transaction_id;amount;date;Zweck\nA;1.234,5;31.01.2024;a,b\nB;-0,5;01.02.2024;c;d\n";
    assert_eq!(
        results_as(file.as_bytes(), CsvForm::of_spreadsheet),
        "\u{FEFF}transaction_id;amount;date;Zweck;row_number;line;is_valid;is_suspicious;errors;error_message;\
         amount_read;date_read\r\n\
         A;1.234,5;31.01.2024;a,b;1;2;true;false;;;1234,5;2024-01-31\r\n\
         B;-0,5;01.02.2024;c;2;3;false;false;row.column_count;\"Row has 5 values; expected 4\";;;d\r\n"
    );
}

#[test]
fn apostrophes_are_removed_again() {
    let file = "transaction_id,amount,date,description\n=A,1,2024-01-01,\"x;=1+1;-z\n@w\"\n";
    let once = results(file.as_bytes());
    let rows = agreed(once.as_bytes()).unwrap().2;
    assert_eq!(rows[0].transaction_id.as_deref(), Some("=A"));
    assert_eq!(rows[0].description.as_deref(), Some("x;=1+1;-z\n@w"));
    assert_eq!(results(once.as_bytes()), once);
}
