//! Verdicts on generated files, which are known by construction.

use testkit::{Error, Expected, Transactions};
use validator::{Counts, Transaction};

use crate::agreement::agreed;

fn assert_counts(counts: &Counts, rows: &[Transaction], expected: &Expected) {
    assert_eq!(
        (
            counts.processed,
            counts.valid,
            counts.invalid,
            counts.suspicious
        ),
        (
            expected.rows,
            expected.valid,
            expected.invalid,
            expected.suspicious
        )
    );
    for (code, count) in &expected.errors {
        let has_it =
            |row: &&Transaction| row.errors.iter().any(|error| error.code.as_str() == *code);
        assert_eq!(rows.iter().filter(has_it).count() as u64, *count, "{code}");
    }
}

#[test]
fn each_row_has_the_verdict_with_which_it_was_generated() {
    for file in [
        Transactions::new(4_200).with_errors(),
        Transactions::new(2_500)
            .invalid_every(3, &[Error::IdDuplicate, Error::DateMissing])
            .suspicious_every(7)
            .with_seed(5),
    ] {
        let (_, counts, rows) = agreed(file.text().as_bytes()).unwrap();
        assert_counts(&counts, &rows, &file.expected());
        for (number, found) in (1..).zip(&rows) {
            let row = file.row(number);
            let codes: Vec<&str> = found
                .errors
                .iter()
                .map(|error| error.code.as_str())
                .collect();
            let expected: Vec<&str> = row.error.iter().map(|error| error.code()).collect();
            assert_eq!(codes, expected, "{number}");
            assert_eq!(found.is_suspicious, row.is_suspicious, "{number}");
            if row.error.is_none() {
                assert_eq!(found.transaction_id, Some(row.transaction_id));
                assert_eq!(
                    found.amount.map(|amount| amount.to_string()),
                    Some(row.amount)
                );
                assert_eq!(found.date.map(|date| date.to_string()), Some(row.date));
                assert_eq!(found.description, Some(row.description));
            }
        }
    }
}

#[test]
fn unusual_ids_are_counted_as_they_were_generated() {
    for write in [testkit::write_equal_ids, testkit::write_short_ids] {
        let mut file = Vec::new();
        let expected = write(&mut file, 70_000).unwrap();
        let (_, counts, rows) = agreed(&file).unwrap();
        assert_counts(&counts, &rows, &expected);
    }
}
