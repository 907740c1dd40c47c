//! Fuzzes the stored encodings of verdicts and of duplicates. Any bytes are refused or decoded, and what was decoded is
//! encoded to something equal.

#![no_main]

use libfuzzer_sys::fuzz_target;
use validator::{RowFilter, RowSet, Verdicts};

/// A decoded chunk may claim billions of rows.
const ROWS: usize = 10_000;

fuzz_target!(|data: &[u8]| {
    if let Ok(set) = RowSet::decode(data) {
        assert_eq!(RowSet::decode(&set.encode()), Ok(set.clone()));
        let rows: Vec<u32> = set.rows().take(ROWS).collect();
        assert!(rows.is_sorted_by(|a, b| a < b), "{rows:?}");
    }
    let Ok(verdicts) = Verdicts::decode(data) else {
        return;
    };
    assert_eq!(Verdicts::decode(&verdicts.encode()).as_ref(), Ok(&verdicts));
    let mut selected = 0;
    for filter in [RowFilter::Valid, RowFilter::Invalid] {
        let count = verdicts.count(filter);
        let ranges = verdicts.select(filter, 0..u64::MAX);
        let rows = ranges.iter().map(|rows| u64::from(rows.end - rows.start));
        assert_eq!(rows.sum::<u64>(), count, "{ranges:?}");
        assert!(ranges.is_sorted_by(|a, b| a.end < b.start), "{ranges:?}");
        for range in ranges.iter().take(ROWS) {
            let first = verdicts.from_row(range.start).next();
            assert!(
                first.is_some_and(|first| filter.matches(first)),
                "{range:?}"
            );
        }
        verdicts.segments(&ranges);
        selected += count;
    }
    assert!(selected <= u64::from(verdicts.rows()));
});
