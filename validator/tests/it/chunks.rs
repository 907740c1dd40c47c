//! Where a file is cut.

use validator::{ChunkRange, PlanSink, Planner};

struct Sink {
    chunks: Vec<ChunkRange>,
    ids: Vec<(u64, String)>,
}

impl PlanSink for Sink {
    fn id(&mut self, row_number: u64, id: &[u8]) {
        self.ids
            .push((row_number, String::from_utf8(id.to_vec()).unwrap()));
    }

    fn chunk(&mut self, chunk: ChunkRange) {
        // The ids of its rows came before it.
        assert!(
            self.ids
                .iter()
                .all(|&(row, _)| row < chunk.first_row + chunk.rows)
        );
        self.chunks.push(chunk);
    }
}

fn plan(file: &[u8], target: u64) -> Sink {
    let mut sink = Sink {
        chunks: Vec::new(),
        ids: Vec::new(),
    };
    let mut planner = Planner::new(target);
    planner.push(file, &mut sink).unwrap();
    planner.finish(&mut sink).unwrap();
    sink
}

/// Each chunk as its start, end, first row and rows.
#[track_caller]
fn check(file: &[u8], target: u64, expect: &[[u64; 4]]) {
    let chunks = plan(file, target).chunks;
    let found: Vec<[u64; 4]> = chunks
        .iter()
        .map(|c| [c.start, c.end, c.first_row, c.rows])
        .collect();
    assert_eq!(found, expect);
    assert!(
        (0..)
            .zip(&chunks)
            .all(|(number, chunk)| chunk.number == number)
    );
}

/// 27 bytes
const HEADER: &str = "transaction_id,amount,date\n";

#[test]
fn chunks_are_filled_up_to_the_target() {
    let file = format!("{HEADER}A,1,\nB,1,\nC,1,\nD,1,");
    check(
        file.as_bytes(),
        0,
        &[
            [27, 32, 1, 1],
            [32, 37, 2, 1],
            [37, 42, 3, 1],
            [42, 46, 4, 1],
        ],
    );
    check(
        file.as_bytes(),
        9,
        &[[27, 32, 1, 1], [32, 37, 2, 1], [37, 46, 3, 2]],
    );
    check(file.as_bytes(), 10, &[[27, 37, 1, 2], [37, 46, 3, 2]]);
    check(file.as_bytes(), 14, &[[27, 37, 1, 2], [37, 46, 3, 2]]);
    check(file.as_bytes(), u64::MAX, &[[27, 46, 1, 4]]);
    check(HEADER.as_bytes(), 10, &[]);
}

#[test]
fn skipped_records_at_the_ends_of_chunks_are_in_none() {
    let file = format!("\u{FEFF}{HEADER}\n,,\nA,1,\r\n\n\nB,1,\r\n,,\n");
    check(file.as_bytes(), 10, &[[34, 39, 1, 1], [42, 47, 2, 1]]);
    check(file.as_bytes(), 13, &[[34, 47, 1, 2]]);
}

#[test]
fn offsets_are_those_of_the_stored_file() {
    let text = format!("\u{FEFF}{HEADER}é,1,\n𝄞,\n€,1\n");
    let mut file: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    check(&file, 1, &[[56, 66, 1, 1], [66, 74, 2, 1], [74, 82, 3, 1]]);
    file.push(b'x');
    check(
        &file,
        1,
        &[
            [56, 66, 1, 1],
            [66, 74, 2, 1],
            [74, 82, 3, 1],
            [82, 83, 4, 1],
        ],
    );
}

#[test]
fn nobody_needs_to_read_what_is_too_large() {
    let limit = 1_048_576;
    let long = "x".repeat(3 * limit as usize);
    let file = format!("{HEADER}A,1,\nB,{long}\nC,1,\nD,\"{long}");
    let third = 32 + 2 + 3 * limit + 1;
    check(
        file.as_bytes(),
        u64::MAX,
        &[
            [27, 32 + limit + 1, 1, 2],
            [third, third + 5 + limit + 1, 3, 2],
        ],
    );
    check(
        file.as_bytes(),
        10,
        &[
            [27, 32, 1, 1],
            [32, 32 + limit + 1, 2, 1],
            [third, third + 5, 3, 1],
            [third + 5, third + 5 + limit + 1, 4, 1],
        ],
    );
}

#[test]
fn ids_that_count_for_duplicates() {
    let long = "x".repeat(256);
    let file = format!(
        "{HEADER}\u{A0}A ,,\n,1,\n{long},1,\nB,1\nA,1,\nC,\0,\n{},,\n",
        &long[1..]
    );
    let ids = plan(file.as_bytes(), 1).ids;
    assert_eq!(
        ids,
        [
            (1, "A".to_owned()),
            (5, "A".to_owned()),
            (7, long[1..].to_owned())
        ]
    );
}
