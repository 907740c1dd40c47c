//! Where files are split into chunks.

use validator::{ChunkRange, Format, IdHasher, PlanSink, RowId};

use crate::agreement::{KEY, plan};

#[derive(Default)]
struct Sink {
    chunks: Vec<ChunkRange>,
    ids: Vec<(u64, RowId)>,
}

impl PlanSink for Sink {
    fn chunk(&mut self, chunk: ChunkRange, ids: Vec<RowId>) {
        let number = |id: RowId| (chunk.first_row + u64::from(id.row()), id);
        self.ids.extend(ids.into_iter().map(number));
        self.chunks.push(chunk);
    }
}

/// A format that avoids the question about rows with a different number of fields.
fn exact() -> Format {
    Format::from_json(r#"{"fields": "exact"}"#).unwrap()
}

/// Plans a file in slices of `slice` bytes. Each expected chunk is its start, end, first row and number of rows.
#[track_caller]
fn check(file: &[u8], slice: usize, expect: &[[u64; 4]]) {
    let mut sink = Sink::default();
    plan(file, &exact(), &[slice], &mut sink).unwrap();
    let found: Vec<[u64; 4]> = sink
        .chunks
        .iter()
        .map(|c| [c.start, c.end, c.first_row, c.rows.into()])
        .collect();
    assert_eq!(found, expect);
}

/// 27 bytes
const HEADER: &str = "transaction_id,amount,date\n";

#[test]
fn a_chunk_has_the_rows_that_start_in_its_slice() {
    let file = format!("{HEADER}A,1,\nB,1,\nC,1,\nD,1,");
    // The first row of a slice may be the last row of the previous chunk.
    check(
        file.as_bytes(),
        6,
        &[[27, 37, 1, 2], [37, 42, 3, 1], [42, 46, 4, 1]],
    );
    check(file.as_bytes(), 12, &[[27, 42, 1, 3], [42, 46, 4, 1]]);
    check(file.as_bytes(), 19, &[[27, 46, 1, 4]]);
    check(HEADER.as_bytes(), 10, &[]);
}

#[test]
fn chunks_never_end_inside_quotes() {
    let file = format!("{HEADER}A,1,\nB,\"\nx,1,\n\",\nC,1,\n");
    for slice in 1..30 {
        let mut sink = Sink::default();
        assert_eq!(
            plan(file.as_bytes(), &exact(), &[slice], &mut sink)
                .unwrap()
                .rows,
            3,
            "{slice}"
        );
        let ends: Vec<u64> = sink.chunks.iter().map(|chunk| chunk.end).collect();
        assert!(
            ends.iter().all(|end| [32, 44, 49].contains(end)),
            "{ends:?}"
        );
    }
}

#[test]
fn skipped_records_between_chunks_are_in_none() {
    let file = format!("\u{FEFF}{HEADER}\n,,\nA,1,\r\n\n\nB,1,\r\n,,\n");
    check(file.as_bytes(), 8, &[[34, 39, 1, 1], [42, 47, 2, 1]]);
    check(file.as_bytes(), 100, &[[34, 47, 1, 2]]);
}

#[test]
fn offsets_are_those_of_the_stored_file() {
    let text = format!("\u{FEFF}{HEADER}é,1,\n𝄞,\n€,1\n");
    let mut file: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    check(&file, 3, &[[56, 66, 1, 1], [66, 74, 2, 1], [74, 82, 3, 1]]);
    file.push(b'x');
    check(&file, 100, &[[56, 83, 1, 4]]);
    // The odd byte may belong to the header.
    let header = HEADER.replace('\n', ",x");
    let text = format!("\u{FEFF}{header}");
    let mut file: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    file.push(b'x');
    check(&file, 100, &[]);
}

#[test]
fn rows_that_are_too_large_are_not_read() {
    let limit = 1_048_576;
    let long = "x".repeat(3 * limit as usize);
    let file = format!("{HEADER}A,1,\nB,{long}\nC,1,\nD,\"{long}");
    let third = 32 + 2 + 3 * limit + 1;
    let end = third + 5 + limit + 1;
    // In a single slice, the first byte is in the middle of its chunk.
    check(file.as_bytes(), usize::MAX, &[[27, end, 1, 4]]);
    check(
        file.as_bytes(),
        1_000_000,
        &[[27, 32 + limit + 1, 1, 2], [third, end, 3, 2]],
    );
}

#[test]
fn ids_that_are_shown_and_those_that_count_for_duplicates() {
    let long = "x".repeat(256);
    let file = format!(
        "{HEADER}\u{A0}A ,,\n,1,\n{long},1,\nB,1\nA,1,\nC,\0,\n{},,\n",
        &long[1..]
    );
    let mut sink = Sink::default();
    plan(file.as_bytes(), &exact(), &[1], &mut sink).unwrap();
    let hasher = IdHasher::new(KEY);
    let ids: Vec<_> = sink
        .ids
        .iter()
        .map(|(row, id)| (*row, id.hash(), id.counts()))
        .collect();
    let expected = [
        (1, "A", true),
        (3, &long[1..], false),
        (4, "B", false),
        (5, "A", true),
        (6, "C", false),
        (7, &long[1..], true),
    ];
    assert_eq!(
        ids,
        // 96 bits of it.
        expected.map(|(row, id, counts)| (row, hasher.hash(id.as_bytes()) >> 32 << 32, counts))
    );
}
