//! Covers every line of the rules for rows as a whole.

use validator::{ErrorCode, Format, Problems, Transaction};

use crate::agreement::agreed_as;

pub const HEADER: &str = "transaction_id,amount,date,description\n";
const LIMIT: usize = 1_048_576;

/// Returns the rows of a file after checking that all implementations agree. Avoids questions about bytes that aren't
/// UTF-8 and about rows with a different number of fields.
pub fn rows(file: impl AsRef<[u8]>) -> Vec<Transaction> {
    let file = file.as_ref();
    let format = match file {
        [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] => r#"{"fields": "exact"}"#,
        _ => r#"{"encoding": "utf-8", "fields": "exact"}"#,
    };
    let read = agreed_as(file, &Format::from_json(format).unwrap());
    read.expect("a file that can be read").rows
}

pub fn codes(row: &Transaction) -> String {
    let codes: Vec<&str> = row.errors.iter().map(|error| error.code.as_str()).collect();
    codes.join(" ")
}

/// Checks the codes of each row.
#[track_caller]
pub fn check(lines: impl AsRef<[u8]>, expect: &[&str]) -> Vec<Transaction> {
    let rows = rows([HEADER.as_bytes(), lines.as_ref()].concat());
    assert_eq!(rows.iter().map(codes).collect::<Vec<_>>(), expect);
    for row in &rows {
        for error in &row.errors {
            assert!(
                !error.message.contains(char::is_control),
                "{}",
                error.message
            );
            assert!(error.message.chars().count() < 250, "{}", error.message);
        }
    }
    rows
}

#[test]
fn too_large_is_longer_than_the_limit() {
    let row = |bytes: usize| {
        let start = "id,1,2024-01-01,";
        format!("{start}{}\n", "x".repeat(bytes - start.len()))
    };
    for line_end in ["\n", "\r\n", "\r", ""] {
        let end = |row: String| row.trim_end().to_owned() + line_end;
        check(end(row(LIMIT)), &[""]);
        let rows = check(end(row(LIMIT + 1)), &["row.too_large"]);
        assert_eq!(
            (&rows[0].transaction_id, &rows[0].description),
            (&None, &None)
        );
        assert!(!rows[0].is_suspicious);
    }
    // Delimiters and quotes count, and text counts as UTF-8.
    check(
        format!("\"{}\",,,\n", "x".repeat(LIMIT - 5)),
        &["transaction_id.too_long amount.missing date.missing"],
    );
    check(
        format!("\"{}\",,,\n", "x".repeat(LIMIT - 4)),
        &["row.too_large"],
    );
    check(",".repeat(LIMIT) + "x\n", &["row.too_large"]);
    check(",".repeat(LIMIT - 1) + "x\n", &["row.column_count"]);
    check(
        format!("id,1,2024-01-01,{}\n", "é".repeat(LIMIT / 2 - 8)),
        &[""],
    );
    check(
        format!("id,1,2024-01-01,{}\n", "é".repeat(LIMIT / 2 - 7)),
        &["row.too_large"],
    );
    // Nothing else is checked, and its id doesn't count.
    let rest = "x".repeat(LIMIT);
    check(
        format!(
            "A,1,2024-01-01,\0{rest}\nA,1,2024-01-01,\nA,1,2024-01-01,{rest}\nA,1,2024-01-01,\n"
        ),
        &[
            "row.too_large",
            "",
            "row.too_large",
            "transaction_id.duplicate",
        ],
    );
    // Line ends and delimiters within its quotes are content, even far beyond the limit.
    check(
        format!("A,1,2024-01-01,\"{rest}\n,\"\"\n{rest}{rest}\"\nB,1,2024-01-01,\n"),
        &["row.too_large", ""],
    );
    check(
        format!("A,1,2024-01-01,\"{rest}{rest}{rest}"),
        &["row.too_large"],
    );
}

#[test]
fn too_large_records_without_characters_are_skipped() {
    let blank = "\"\",".repeat(LIMIT / 2);
    check(
        format!("A,1,2024-01-01,\n{blank}\nB,1,2024-01-01,\n{blank}"),
        &["", ""],
    );
    check(
        format!("A,1,2024-01-01,\n{blank}x\nB,1,2024-01-01,\n{blank}\"y"),
        &["", "row.too_large", "", "row.too_large"],
    );
    check("\n".repeat(2 * LIMIT) + "A,1,2024-01-01,\n", &[""]);
}

#[test]
fn too_large_in_utf16_counts_as_utf8() {
    for (characters, expect) in [(LIMIT / 3 - 5, ""), (LIMIT / 3 - 4, "row.too_large")] {
        // 16 bytes, and 3 for each character
        let text = format!(
            "{HEADER}id,1,2024-01-01,{}\nB,2,2024-01-01,\n",
            "€".repeat(characters)
        );
        for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            let units = "\u{FEFF}".encode_utf16().chain(text.encode_utf16());
            let file: Vec<u8> = units.flat_map(bytes).collect();
            assert_eq!(
                rows(file).iter().map(codes).collect::<Vec<_>>(),
                [expect, ""]
            );
        }
    }
}

#[test]
fn encoding() {
    let rows = check(
        b"\xA0 A\xFF ,1,2024-01-01,b\0c\n".as_slice(),
        &["row.encoding"],
    );
    assert_eq!(
        rows[0].transaction_id.as_deref(),
        Some("\u{FFFD} A\u{FFFD}")
    );
    assert_eq!(rows[0].description.as_deref(), Some("b\u{FFFD}c"));
    assert_eq!(
        (rows[0].amount, rows[0].date, rows[0].is_suspicious),
        (None, None, false)
    );
    for bad in [
        &b"A,-1\0,2024-01-01,\n"[..],
        b"A,-1,2024-01-01,\xC3\n",
        b"A,-1,2024-01-01,\xED\xA0\x80\n",
        b"A,-1,2024-01-01,\xC0\x80\n",
        b"A,-1,2024-01-01,\xF4\x90\x80\x80\n",
        b"\xFF\n",
        b"\0\n",
        b",,,,,,\0\n",
        b"A,\xC3,\xA9,\n",
        b"\"\xC3\"\"\xA9\",1,2024-01-01,\n",
    ] {
        assert!(!check(bad, &["row.encoding"])[0].is_suspicious);
    }
    // Ignored columns count. The value counts after unquoting.
    let file = b"transaction_id,amount,date,x\nA,1,2024-01-01,\xFF\nA,1,2024-01-01,\"\xC3\"\xA9\n";
    assert_eq!(rows_codes(file), ["row.encoding", ""]);
    let rows = check(
        b"\"\xC3\"\xA9,1,2024-01-01,\"\xC3\"\xA9\n\xC3\xA9,1,2024-01-01,\n".as_slice(),
        &["", "transaction_id.duplicate"],
    );
    assert_eq!(rows[0].description.as_deref(), Some("é"));
    // U+FFFD, U+FFFE and U+10FFFF are ordinary characters.
    check("\u{FFFD},1,2024-01-01,\u{FFFE}\u{10FFFF}\n", &[""]);
    // A bad row doesn't affect the next ones.
    check(
        b"A,1,2024-01-01,\xFF\n\xC3\xA9,1,2024-01-01,x\nB,1,2024-01-01,\0\nC,1,2024-01-01,\n"
            .as_slice(),
        &["row.encoding", "", "row.encoding", ""],
    );
}

fn rows_codes(file: &[u8]) -> Vec<String> {
    rows(file).iter().map(codes).collect()
}

#[test]
fn surrogates_and_odd_bytes() {
    let unit = |c: char| c as u16;
    for (units, expect) in [
        (&[0xD83D, 0xDE00][..], ""),
        (&[0xD83D], "row.encoding"),
        (&[0xDE00], "row.encoding"),
        (&[0xDE00, 0xD83D], "row.encoding"),
        (&[0xD83D, 0xD83D, 0xDE00], "row.encoding"),
        (&[0xFEFF], ""),
        (&[0], "row.encoding"),
    ] {
        for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            let start = "\u{FEFF}transaction_id,amount,date,description\nA,1,2024-01-01,";
            let all = start
                .encode_utf16()
                .chain(units.iter().copied())
                .chain([unit('\n')]);
            let file: Vec<u8> = all.flat_map(bytes).collect();
            assert_eq!(rows_codes(&file), [expect], "{units:x?}");
            let odd = [&file[..], b"\n"].concat();
            assert_eq!(rows_codes(&odd), [expect, "row.encoding"], "{units:x?}");
        }
    }
}

#[test]
fn column_count() {
    let rows = check(" A ,1\n", &["row.column_count"]);
    assert_eq!(
        (
            rows[0].transaction_id.as_deref(),
            rows[0].description.as_deref()
        ),
        (Some("A"), None)
    );
    let rows = check(
        "A,-1,2024-01-01, d ,x\nA,-1,2024-01-01,d\n",
        &["row.column_count", ""],
    );
    assert_eq!(rows[0].description.as_deref(), Some(" d "));
    assert_eq!(
        (rows[0].amount, rows[0].date, rows[0].is_suspicious),
        (None, None, false)
    );
    assert_eq!(rows[0].errors[0].message, "Row has 5 values; expected 4");
    check(
        "A\n \nA,1,2024-01-01\nA,1,2024-01-01,\n",
        &[
            "row.column_count",
            "row.column_count",
            "row.column_count",
            "",
        ],
    );
    // A row error hides other errors, except for an encoding error.
    check(
        b",,\xFF\n,x\n".as_slice(),
        &["row.encoding", "row.column_count"],
    );
    // The ids of such rows are shown unchanged.
    let long = "x".repeat(300);
    let rows = check(
        format!("{long}\n,x\n"),
        &["row.column_count", "row.column_count"],
    );
    assert_eq!(rows[0].transaction_id, Some(long));
    assert_eq!(rows[1].transaction_id.as_deref(), Some(""));
    // Unknown columns count, too.
    assert_eq!(
        rows_codes(b"transaction_id,amount,date,,a,a\nA,1,2024-01-01,,,\nB,1,2024-01-01,,\n"),
        ["", "row.column_count"]
    );
}

#[test]
fn skipped_records_have_no_number() {
    let rows = check(
        "\n\r\n\"\"\n,,,\n\"\",\"\"\nA,1,2024-01-01,\n\n,,\n\r\rB,1,2024-01-01,\n \n\"\n",
        &["", "", "row.column_count", "row.unclosed_quote"],
    );
    assert_eq!(
        rows.iter().map(|row| row.row_number).collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
    check(
        "\"\",\"\",\"\",\"\"\n\"\"\"\"\n\"\"x\n\"",
        &["row.column_count", "row.column_count"],
    );
}

#[test]
fn all_errors_in_their_order() {
    let rows = check(
        "A,1,2024-01-01,\n,,,x\nA,1e100,2024-02-30,\n",
        &[
            "",
            "transaction_id.missing amount.missing date.missing",
            "transaction_id.duplicate amount.out_of_range date.out_of_range",
        ],
    );
    assert_eq!(
        rows[1].error_message.as_deref(),
        Some("ID is missing; Amount is missing; Date is missing")
    );
    assert_eq!(rows[0].error_message, None);
}

#[test]
fn messages_name_what_was_found() {
    let rows = check(b"A,\"12,50,0\",15.1.20245,\nA,1e999,2024-02-30,\nB,\"a\r\nb\",1,\n,,,\xFF\nB,1,2024-01-01,\0\n".as_slice(),
        &["amount.not_a_number date.not_a_date", "transaction_id.duplicate amount.out_of_range date.out_of_range",
          "amount.not_a_number date.not_a_date", "row.encoding", "row.encoding"]);
    let messages: Vec<&str> = rows
        .iter()
        .flat_map(|row| &row.errors)
        .map(|error| &*error.message)
        .collect();
    assert_eq!(
        messages,
        [
            "\"12,50,0\" isn't a number",
            "Use a date like 2024-01-31 (found \"15.1.20245\")",
            "Duplicate ID \"A\", used in an earlier row",
            "\"1e999\" has an exponent beyond 99",
            "\"2024-02-30\" isn't a real date",
            "\"a␍␊b\" isn't a number",
            "Use a date like 2024-01-31 (found \"1\")",
            "Row isn't valid UTF-8 text in column \"description\"",
            "Row contains a NUL character in column \"description\"",
        ]
    );
}

#[test]
fn errors_are_counted_under_their_codes() {
    for &code in ErrorCode::ALL {
        assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        let problems: Problems = [(code, 1)].into_iter().collect();
        assert_eq!(problems.ranked(), [(code, 1)]);
    }
}
