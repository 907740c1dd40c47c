//! The worst case of what the ledger stores for a chunk ([ADR 1](../../../docs/adr/0001-no-table-of-rows.md)).

use proptest::{collection::vec, prelude::*};
use validator::{Layout, RowSet, Verdicts, validate_chunk};

const LAYOUT: &str = r#"{"encoding": "utf8", "delimiter": 44, "names": ["transaction_id", "amount", "date"],
    "transaction_id": 0, "amount": 1, "date": 2, "rules": 2}"#;

/// Values of the columns, with which 64 kinds of verdicts and the errors of whole rows occur.
const IDS: [&str; 3] = ["", "A", "\0"];
const AMOUNTS: [&str; 5] = ["", "1", "-1", "x", "1e100"];
const DATES: [&str; 4] = ["", "2024-01-31", "x", "2024-02-31"];

proptest! {
    #[test]
    fn verdicts_take_at_most_a_byte_per_row(
        rows in vec((0..IDS.len(), 0..AMOUNTS.len(), 0..DATES.len(), any::<bool>(), 1..4_usize), 0..1000),
        short_rows in 0..1000_usize,
    ) {
        let mut chunk = "x\n".repeat(short_rows);
        let mut duplicates = RowSet::default();
        let mut count = short_rows;
        for (id, amount, date, is_duplicate, times) in rows {
            if [id, amount, date] == [0; 3] {
                // Not a row.
                continue;
            }
            for _ in 0..times {
                chunk += &format!("{},{},{}\n", IDS[id], AMOUNTS[amount], DATES[date]);
                if is_duplicate {
                    duplicates.push(count as u32);
                }
                count += 1;
            }
        }
        let layout: Layout = serde_json::from_str(LAYOUT).unwrap();
        let (_, verdicts) = validate_chunk(&layout, chunk.as_bytes(), &duplicates);
        prop_assert_eq!(verdicts.rows() as usize, count);
        // The kinds of verdicts, and the marks.
        let constant = 300 + 10 * (chunk.len() / Verdicts::MARK_BYTES as usize + 1);
        prop_assert!(verdicts.encode().len() <= count + constant);
        prop_assert!(duplicates.encode().len() <= count + 2);
    }

    #[test]
    fn sets_of_rows_take_at_most_a_byte_per_row(
        runs in vec((prop_oneof![4 => 1..3_u32, 1 => 1..300_u32], any::<bool>()), 0..1000),
    ) {
        let (mut set, mut rows) = (RowSet::default(), 0);
        for (run, is_in) in runs {
            for row in rows..rows + run {
                if is_in {
                    set.push(row);
                }
            }
            rows += run;
        }
        prop_assert!(set.encode().len() <= rows as usize + 2);
    }
}
