//! Covers every line of the rules for files.

use validator::{Column, Encoding, FileError, Format, Layout};

use crate::agreement::{agreed, agreed_as, codes};

const LIMIT: usize = 1_048_576;

#[track_caller]
fn layout(file: impl AsRef<[u8]>) -> Layout {
    agreed(file.as_ref()).expect("a file that can be read").0
}

#[track_caller]
fn fails(file: impl AsRef<[u8]>, expect: &str) -> String {
    let error = agreed(file.as_ref()).expect_err("a file that can't be read");
    assert_eq!(codes(&error).join(" "), expect);
    let message = error.to_string();
    assert!(!message.contains(char::is_control), "{message}");
    assert!(message.chars().count() <= 4_000, "{message}");
    message
}

/// Returns the number of rows, whatever their number of fields.
#[track_caller]
fn row_count(file: impl AsRef<[u8]>) -> usize {
    let exact = Format::from_json(r#"{"fields": "exact"}"#).unwrap();
    let read = agreed_as(file.as_ref(), &exact);
    read.expect("a file that can be read").rows.len()
}

#[test]
fn the_sample() {
    let (layout, counts, rows) = agreed(
        b"transaction_id,amount,date,description\n\
          TXN001,150.00,2024-01-15,Monthly subscription\n\
          TXN002,75.50,2024-01-16,Service fee\n\
          TXN003,-50.00,2024-01-17,Refund\n\
          TXN004,1000.00,2024-01-18,Product purchase\n",
    )
    .unwrap();
    assert_eq!(
        layout.names(),
        ["transaction_id", "amount", "date", "description"]
    );
    assert_eq!(
        (
            counts.processed,
            counts.valid,
            counts.invalid,
            counts.suspicious
        ),
        (4, 4, 0, 1)
    );
    let amounts: Vec<String> = rows
        .iter()
        .map(|row| row.amount.unwrap().to_string())
        .collect();
    assert_eq!(amounts, ["150.00", "75.50", "-50.00", "1000.00"]);
}

#[test]
fn errors_in_their_order() {
    // 1. empty
    for empty in [&b""[..], b"\xEF\xBB\xBF", b"\xFE\xFF", b"\xFF\xFE"] {
        fails(empty, "file.empty");
    }
    // 2. no header
    for blank in [
        &b"\n"[..],
        b"\r\n\r\n",
        b"\"\"\n",
        b"\"",
        b"\xEF\xBB\xBF\n",
        b"\xFF\xFE\n\0",
    ] {
        fails(blank, "file.no_header");
    }
    // Empty when split at commas, but not when split at other delimiters, so the one with more fields wins.
    fails(",,\n", "format.columns");
    fails("\n".repeat(3 * LIMIT), "file.no_header");
    fails(
        "\"transaction_id,amount,date\n".to_owned() + &"x".repeat(LIMIT),
        "file.no_header",
    );
    fails(vec![0; LIMIT + 1], "file.no_header");
    // 3. NUL in the header, before missing columns
    fails(b"a\0bcdefghijk\n", "file.nul_in_header");
    fails(b"transaction_id,amount,date,\0\n", "file.nul_in_header");
    fails(b"t\0ransaction", "file.nul_in_header");
    fails(vec![0; LIMIT], "file.nul_in_header");
    assert_eq!(row_count(b"transaction_id,amount,date\n\0\n"), 1);
    // 4. too many columns, before missing
    fails("x,".repeat(1000) + "x", "file.too_many_columns");
    fails("x,".repeat(999) + "x", "format.columns");
    fails("x,".repeat(1000), "format.columns");
    fails("x".to_owned() + &",".repeat(2000), "format.columns");
    // 5. an unclosed quote, or a line of three fields, before missing
    for quoted in [
        "transaction_id,amount,date,\"description\nA,1,2024-01-01,x\n",
        "a;\"b\nc;d",
        "transaction_id,amount,date,\"description\nA,1,2024-01-01\"\n",
        "a;\"b\r1;2;3\rc\"\n",
    ] {
        fails(quoted, "file.quote_in_header");
    }
    layout("transaction_id,amount,date,\"a,b,c\nd,e\"\n");
    // 6. missing, before repeated
    fails(b"amount,amount,transaction_id\n", "format.columns");
    fails(b"\x89PNG\r\n\x1A\n", "format.columns format.encoding");
    fails(b"\xFF", "format.columns format.encoding");
    fails("\u{FFFF}\n".as_bytes(), "format.columns");
    fails(b"\xFF\xFE\0", "format.columns");
    fails(b" \n", "format.columns");
    fails(b"TXN001,150.00,2024-01-15\n", "format.columns");
    // 7. repeated
    for repeated in [
        "transaction_id,amount,date,Transaction-ID",
        "transaction_id,amount,date,AMOUNT",
        "transaction_id,amount,date,date",
        "transaction_id,amount,timestamp,timestamp",
        "transaction_id,amount,date,description,\" Description \"",
        "date,timestamp,date,transaction_id,amount",
    ] {
        fails(repeated, "format.columns");
    }
}

#[test]
fn errors_say_what_was_found_and_expected() {
    assert!(
        fails("\n\"\"\n", "file.no_header").starts_with("The file contains only empty lines. ")
    );
    assert_eq!(
        fails("sep=;\r\n\n", "file.no_header"),
        "The file contains nothing but \"sep=;\", which names the delimiter. Add a header line: \
         transaction_id;amount;date."
    );
    let message = fails(
        "transaction\u{A0}id,amount,date\u{2060}\n",
        "format.columns",
    );
    assert!(
        message.starts_with("Missing column: transaction_id. ")
            && message.contains("\"transaction⍽id\", \"amount\" and \"date\u{FFFD}\""),
        "{message}"
    );
    let open_quote = "\"transaction_id,amount,date\n".to_owned() + &"x".repeat(LIMIT);
    assert!(
        fails(open_quote, "file.no_header")
            .contains("no line with text ends in its first 1,048,576 bytes")
    );
    assert_eq!(
        fails("", "file.empty"),
        "The file is empty. Start it with a header line: transaction_id,amount,date."
    );
    let message = fails("Sum,Datum,date\n1,2,3\n", "format.columns");
    assert!(
        message.starts_with("Missing columns: transaction_id, amount. ")
            && message.contains("\"Sum\", \"Datum\" and \"date\""),
        "{message}"
    );
    let message = fails("transaction_id,Amount,date,\"amount \"\n", "format.columns");
    assert!(
        message.contains("Two columns are named amount: \"Amount\" and \"amount \". Keep one."),
        "{message}"
    );
    // The message lists all names, split by the delimiter that yields the most.
    let message = fails("Datum;Betrag;Währung\n", "format.columns");
    assert!(
        message.contains("\"Datum\", \"Betrag\" and \"Währung\""),
        "{message}"
    );
    let names: Vec<String> = (0..100).map(|_| "\u{202E}x".repeat(100)).collect();
    let message = fails(names.join(","), "format.columns");
    assert!(
        message.contains("more.") && message.contains('…') && message.chars().count() > 1_800,
        "{message}"
    );
    assert!(
        fails("a\0b,cdefghijk\n", "file.nul_in_header")
            .contains("starts with \"a␀b\" and \"cdefghijk\"")
    );
}

#[test]
fn a_header_without_rows_has_no_rows() {
    for file in [
        "transaction_id,amount,date",
        "transaction_id,amount,date\n",
        "\n\ntransaction_id,amount,date\r\n\n,,\n",
    ] {
        assert_eq!(row_count(file), 0);
    }
}

#[test]
fn encodings_and_boms() {
    let text = "transaction_id,amount,date\nA,1,2024-01-01\n";
    let utf16 = |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    };
    assert_eq!(layout(text).encoding(), Encoding::Utf8);
    assert_eq!(
        layout(format!("\u{FEFF}{text}")).names()[0],
        "transaction_id"
    );
    assert_eq!(
        layout(utf16(&format!("\u{FEFF}{text}"), u16::to_le_bytes)).encoding(),
        Encoding::Utf16Le
    );
    assert_eq!(
        layout(utf16(&format!("\u{FEFF}{text}"), u16::to_be_bytes)).encoding(),
        Encoding::Utf16Be
    );
    // Only one BOM is skipped. A second one belongs to the name.
    for twice in [
        format!("\u{FEFF}\u{FEFF}{text}").into_bytes(),
        utf16(&format!("\u{FEFF}\u{FEFF}{text}"), u16::to_le_bytes),
    ] {
        assert_eq!(layout(twice).names()[0], "\u{FEFF}transaction_id");
    }
    assert_eq!(
        layout(utf16(text, u16::to_le_bytes)).encoding(),
        Encoding::Utf16Le
    );
    assert_eq!(
        layout(utf16(text, u16::to_be_bytes)).encoding(),
        Encoding::Utf16Be
    );
    // NULs must be in at least a quarter of the places.
    fails(b"\0aaaaaaaa", "file.nul_in_header");
    fails(b"\0aaaaaaa", "format.columns");
    // A quote after the BOM opens a field.
    assert_eq!(
        layout("\u{FEFF}\"transaction_id\",amount,date\n").names()[0],
        "transaction_id"
    );
    // A BOM at the start of a row, and so of a chunk, is a character.
    let (_, _, rows) =
        agreed("transaction_id,amount,date\n\u{FEFF}A,1,2024-01-01\nA,1,2024-01-01\n".as_bytes())
            .unwrap();
    assert_eq!(rows[0].transaction_id.as_deref(), Some("\u{FEFF}A"));
    assert!(rows[1].is_valid);
    assert_eq!(row_count("transaction_id,amount,date\n\u{FEFF}\n"), 1);
}

#[test]
fn line_ends() {
    for (file, expect) in [
        (
            "transaction_id,amount,date\nA,1,2024-01-01\nB,1,2024-01-01",
            2,
        ),
        (
            "transaction_id,amount,date\r\nA,1,2024-01-01\r\nB,1,2024-01-01\r\n",
            2,
        ),
        (
            "transaction_id,amount,date\rA,1,2024-01-01\rB,1,2024-01-01\r",
            2,
        ),
        (
            "transaction_id,amount,date\n\rA,1,2024-01-01\n\r\n\rB,1,2024-01-01",
            2,
        ),
        (
            "transaction_id,amount,date\nA,1,2024-01-01\u{B}\u{C}\u{85}\u{2028}\u{2029}B",
            1,
        ),
        (
            "transaction_id,amount,date\n\"A\nB\r\nC\rD\",1,2024-01-01\n",
            1,
        ),
        ("transaction_id,amount,date\nA\"\n\"B,1,2024-01-01\n", 2),
        ("transaction_id,amount,date\n\"A\n\n\nB,1,2024-01-01\n", 1),
    ] {
        assert_eq!(row_count(file), expect, "{file:?}");
    }
}

#[test]
fn delimiters() {
    for (file, delimiter) in [
        ("transaction_id,amount,date\n", b','),
        ("transaction_id;amount;date\n", b';'),
        ("transaction_id\tamount\tdate\n", b'\t'),
        ("transaction_id|amount|date\n", b'|'),
        // The most known columns win, not the most columns.
        ("a,b,c,d,e;transaction_id;amount;date\n", b';'),
        (
            "transaction_id,x;amount,x;date,description\tamount\tdate\ttransaction_id\n",
            b'\t',
        ),
        ("description,\u{A0};transaction_id;amount;date\n", b';'),
        // `timestamp` counts as the date only if there is no `date`. A repeated column counts once.
        ("transaction_id;amount;timestamp\n", b';'),
        ("amount,date,amount,date|transaction_id|amount|date\n", b'|'),
        ("date,timestamp,\"|transaction_id|amount|date\n", b'|'),
        // Each candidate has its own first record.
        (";;;\ntransaction_id;amount;date\n", b';'),
        ("\"\"\n;;\n\ntransaction_id;amount;date\n", b';'),
        ("x;\"\ntransaction_id\";\"\";amount;date;z;\"\n\"\n", b';'),
    ] {
        assert_eq!(layout(file).delimiter(), delimiter, "{file:?}");
    }
    // When split at semicolons, the first record consists of the commas and isn't a header.
    assert_eq!(
        layout(",,,\ntransaction_id;amount;date\n").delimiter(),
        b';'
    );
    // On a tie the delimiter with the most fields wins, then the first one.
    assert!(fails("a;b\n", "format.columns").contains("\"a\" and \"b\""));
    assert!(fails("a,b;c\n", "format.columns").contains("\"a\" and \"b;c\""));
    assert!(
        fails("Statement;;;\nDatum;Betrag\n", "format.columns").contains("has: \"Statement\".")
    );
    assert!(fails("amount,x;amount\n", "format.columns").contains("\"amount\" and \"x;amount\""));
    assert!(
        fails("x|y;amount|amount\n", "format.columns")
            .contains("\"x\", \"y;amount\" and \"amount\"")
    );
}

#[test]
fn a_candidate_whose_first_record_ends_too_late_has_no_columns() {
    // When split at commas, the quote opens a field that ends beyond the limit.
    let file = format!("x;transaction_id;amount;date,\"\n{}\"\n", "y".repeat(LIMIT));
    fails(&file, "format.columns");
    let file = format!("transaction_id;amount;date;x,\"\n{}\"\n", "y".repeat(LIMIT));
    assert_eq!(layout(file).delimiter(), b';');
    // No delimiter leads to known columns, and with commas there is no header.
    fails(
        format!("x;,\"\n{}\"\n", "y".repeat(LIMIT)),
        "format.columns",
    );
}

#[test]
fn the_header_ends_within_the_limit() {
    let start = "transaction_id,amount,date,";
    let header = |bytes: usize| format!("{start}{}", "x".repeat(bytes - start.len()));
    for line_end in ["", "\n", "\r\nA,1,2024-01-01,\n"] {
        layout(header(LIMIT) + line_end);
        fails(header(LIMIT + 1) + line_end, "file.no_header");
    }
    // Skipped records before the header count towards the limit. A BOM doesn't.
    layout("\n\n".to_owned() + &header(LIMIT - 2) + "\n");
    fails(
        "\n\n".to_owned() + &header(LIMIT - 1) + "\n",
        "file.no_header",
    );
    layout("\u{FEFF}".to_owned() + &header(LIMIT) + "\n");
    fails(
        "\u{FEFF}".to_owned() + &header(LIMIT + 1) + "\n",
        "file.no_header",
    );
    // The limits apply to text as UTF-8.
    for (pad, bytes) in [(0, "nothing over"), (1, "one over")] {
        let text = format!(
            "\u{FEFF}{start}{}{}\n",
            "é".repeat((LIMIT - start.len()) / 2),
            "x".repeat((LIMIT - start.len()) % 2 + pad)
        );
        let file: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(agreed(&file).is_err(), pad == 1, "{bytes}");
    }
}

#[test]
fn names() {
    for header in [
        "Transaction ID,Amount,DATE",
        "transaction-id, amount ,\tdate\t",
        "\"transaction_id\",\"amount\",\"date\"",
        "TRANSACTION_id,\u{A0}amount\u{A0},timestamp",
        "\"\ntransaction id\r\n\",amount,Timestamp",
        "\"trans\"action_id,amount,date",
        "TransactionId,amount,date",
        "transaction__id,amount,date",
        "\u{FEFF}\u{FEFF}transaction_id,amount,date",
        "\u{200B} transaction\u{AD}_id,amount\u{200F},\u{2060}date",
    ] {
        let layout = layout(header);
        let at = |column| layout.positions(column);
        assert_eq!(
            [
                at(Column::TransactionId),
                at(Column::Amount),
                at(Column::Date)
            ],
            [[0], [1], [2]],
            "{header:?}"
        );
        assert!(at(Column::Description).is_empty());
    }
    for header in [
        "transaction\u{A0}id,amount,date",
        "transaction\nid,amount,date",
        "transaction_id\u{2003},amount,date",
        "transaction_id,amount,dat\u{E9}",
        "tran\u{17F}action_id,amount,date",
        "transaction_id,amounts,date",
    ] {
        fails(header, "format.columns");
    }
    // A byte that isn't UTF-8 makes a name unknown, but isn't an error.
    let layout = layout(b"transaction_id,\xFFamount,amount,date,\xC3\xA9\xFF\n");
    assert_eq!(
        layout.names(),
        [
            "transaction_id",
            "\u{FFFD}amount",
            "amount",
            "date",
            "é\u{FFFD}"
        ]
    );
    assert_eq!(layout.positions(Column::Amount), [2]);
}

#[test]
fn date_and_timestamp() {
    let place = |header: &str| layout(header).positions(Column::Date);
    assert_eq!(place("transaction_id,amount,timestamp"), [2]);
    assert_eq!(place("timestamp,transaction_id,amount,date"), [3]);
    assert_eq!(place("timestamp,date,transaction_id,amount,timestamp"), [1]);
    let (_, counts, _) = agreed(
        b"transaction_id,user_id,amount,timestamp\n1,7,60000,2025-01-01T10:00:00\n2,7,-100,2025-01-01T10:00:00\n",
    )
    .unwrap();
    assert_eq!((counts.valid, counts.suspicious), (2, 2));
}

#[test]
fn a_layout_survives_json() {
    let layout = layout(
        "\u{FEFF}description;transaction_id;amount;date;;\"a\nb\";description \n"
            .replace(";description ", ""),
    );
    let json = serde_json::to_string(&layout).unwrap();
    assert_eq!(serde_json::from_str::<Layout>(&json).unwrap(), layout);
}

#[test]
fn file_errors_implement_error() {
    let error: Box<dyn std::error::Error> = Box::new(FileError::Empty);
    assert!(error.to_string().starts_with("The file is empty"));
}
