//! Version 1 of the rules, under which results of that version are finished and shown.

use validator::{Layout, RowSet, Transaction, Verdicts, read_rows, validate_chunk};

use crate::rows::codes;

/// A layout as the first version stored it.
const LAYOUT: &str = r#"{"encoding": "utf8", "delimiter": 59,
    "names": ["transaction_id", "amount", "date", "description"],
    "transaction_id": 0, "amount": 1, "date": 2, "description": 3}"#;

/// Records, each with what it shows under version 1, and under version 2 with a decimal comma.
const RECORDS: [(&str, &str, &str); 9] = [
    ("A;-1;2024-01-31;\n", "-1 2024-01-31", "-1 2024-01-31"),
    (
        "B;1.50;2024-01-31;\n",
        "1.50 2024-01-31",
        "amount.not_a_number",
    ),
    (
        "C;1.234,56;2024-01-31;\n",
        "amount.not_a_number",
        "1234.56 2024-01-31",
    ),
    (
        "D;(5) €;2024-01-31;\n",
        "amount.not_a_number",
        "-5 2024-01-31",
    ),
    (
        "E;x;31.01.2024;\n",
        "amount.not_a_number date.not_a_date",
        "amount.not_a_number",
    ),
    ("F;1;2024-01-31;;;\n", "row.column_count", "1 2024-01-31"),
    (
        "A;1;2024-01-31;\n",
        "transaction_id.duplicate",
        "transaction_id.duplicate",
    ),
    (
        "G;1;2024-01-31;\"x\nH;1;2024-01-31;y\"\n",
        "1 2024-01-31",
        "row.quoted_lines",
    ),
    // At the end of the file.
    ("I;1;2024-01-31;\"x\n", "1 2024-01-31", "row.unclosed_quote"),
];

/// Validates the records as a chunk and reads them under the stored verdicts, as a worker and a server do.
#[track_caller]
fn check(layout: &str, expected: [&str; RECORDS.len()], [valid, suspicious]: [u64; 2]) {
    let layout: Layout = serde_json::from_str(layout).unwrap();
    let chunk: String = RECORDS.iter().map(|(record, ..)| *record).collect();
    let duplicates: RowSet = [6].into_iter().collect();
    let (summary, verdicts) = validate_chunk(&layout, chunk.as_bytes(), &duplicates);
    let verdicts = Verdicts::decode(&verdicts.encode()).unwrap();
    let mut rows: Vec<Transaction> = Vec::new();
    let known = verdicts.from_row(0);
    read_rows(&layout, chunk.as_bytes(), 1, Some(2), known, |row| {
        rows.push(row.row().to_transaction());
    });
    let shown = rows.iter().map(|row| match (row.amount, row.date) {
        (Some(amount), Some(date)) if row.errors.is_empty() => format!("{amount} {date}"),
        _ => codes(row),
    });
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    let counts = summary.counts;
    assert_eq!(
        [counts.processed, counts.valid, counts.suspicious],
        [RECORDS.len() as u64, valid, suspicious]
    );
}

#[test]
fn a_layout_without_a_version_keeps_the_rules_of_the_first_one() {
    check(LAYOUT, RECORDS.map(|(_, first, _)| first), [4, 1]);
    let second = LAYOUT.replacen('{', r#"{"rules": 2, "decimal": ",","#, 1);
    check(&second, RECORDS.map(|(.., second)| second), [4, 2]);
}
