//! The line of the file on which each row starts.

use validator::Format;

use crate::agreement::{agreed, agreed_as};

#[track_caller]
fn check(file: impl AsRef<[u8]>, expect: &[u64]) {
    let lines: Vec<Option<u64>> = agreed(file.as_ref())
        .unwrap()
        .2
        .iter()
        .map(|row| row.line)
        .collect();
    let expect: Vec<Option<u64>> = expect.iter().copied().map(Some).collect();
    assert_eq!(lines, expect);
}

#[test]
fn every_line_end_counts() {
    let file = "transaction_id,amount,date,note\nA,1,2024-01-01,\"two\n\nthree\"\n\n,,,\nB,1,2024-01-01,\n\nC,1,,\"\n\"";
    let expect = [2, 7, 9];
    check(file, &expect);
    check(file.replace('\n', "\r\n"), &expect);
    check(file.replace('\n', "\r"), &expect);
    check("\u{FEFF}".to_owned() + file, &expect);
}

#[test]
fn line_ends_of_several_kinds() {
    check(
        "\r\n\n\rtransaction_id,amount,date,note\r\r\nA,1,2024-01-01,\"\r\r\n\n\"\n\rB,1,2024-01-01,\r\nC,1,2024-01-01,",
        &[6, 11, 12],
    );
}

#[test]
fn preamble_and_sep_line_count() {
    check(
        "sep=;\r\nStatement of account\r\n\r\n\"two\r\nlines\"\r\ntransaction_id;amount;date\r\nA;1;2024-01-01\r\n",
        &[7],
    );
}

#[test]
fn lines_are_those_of_the_text() {
    // The UTF-16 units U+0A0A and U+0D0D contain the bytes of line ends.
    let text = "\u{FEFF}transaction_id,amount,date,note\r\nA,1,2024-01-01,\u{A0A}\r\nB,1,2024-01-01,\"\u{D0D}\r\n\"\r\nC,1,2024-01-01,\n";
    let units = || text.encode_utf16();
    for file in [
        units().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
        units().flat_map(u16::to_be_bytes).collect(),
    ] {
        check(file, &[2, 3, 5]);
    }
    let legacy =
        b"transaction_id,amount,date,note\r\nA,1,2024-01-01,\"\xE9\r\n\"\r\nB,1,2024-01-01,\xE9\n";
    let format = Format::from_json(r#"{"encoding": "windows-1252"}"#).unwrap();
    let read = agreed_as(legacy, &format).unwrap();
    let lines: Vec<_> = read.rows.iter().map(|row| row.line).collect();
    assert_eq!(lines, [Some(2), Some(4)]);
}

#[test]
fn rows_after_the_first_mark_of_a_chunk() {
    // Longer than the distance between two marks, with rows of one, two and three lines.
    let mut file = "transaction_id,amount,date,note\r\n".to_owned();
    let mut line = 2;
    let mut expect = Vec::new();
    for row in 0..5000 {
        expect.push(line);
        let note = ["plain", "\"two\nlines\"", "\"three\r\n\nlines\""][row % 3];
        file += &format!("T{row},1,2024-01-01,{note}\r\n");
        line += 1 + row as u64 % 3;
    }
    check(&file, &expect);
}

#[test]
fn lines_after_a_row_that_is_too_large() {
    let long = "x\n".repeat(700_000);
    check(
        format!("transaction_id,amount,date\nA,1,\"{long}\"\nB,1,2024-01-01\n"),
        &[2, 700_003],
    );
}

#[test]
fn messages_name_the_line_where_the_quote_opens() {
    let file = "transaction_id,amount,date,note\n\nA,1,2024-01-01,\"x\nB,1,2024-01-01,y\n\"\n\"C\n\",1,2024-01-01,\"x\n";
    let rows = agreed(file.as_bytes()).unwrap().2;
    let messages: Vec<&str> = rows
        .iter()
        .map(|row| row.error_message.as_deref().unwrap())
        .collect();
    assert_eq!(
        messages,
        [
            "A quotation mark swallows lines that look like rows: the field \"note\" opens in line 3 of the file and \
             spans 3 lines",
            "A quotation mark is never closed: the field \"note\" opens in line 7 of the file and spans 2 lines up to \
             the end of the file",
        ]
    );
}
