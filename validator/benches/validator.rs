//! Compares the validator with the `csv` crate, on one core and in memory: `cargo bench -p validator`.
//!
//! Both process the same bytes in turn. The `csv` crate only iterates over the records, whereas the validator checks
//! every row and finds repeated ids.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::{hint::black_box, time::Instant};

use testkit::Transactions;
use validator::{
    Candidate, Checked, Checker, ChunkRange, Format, Head, IdHasher, Layout, Plan, PlanSink,
    Planner, Presumed, RowId, RowSet, scan_slice, validate_chunk,
};

const ROWS: u32 = 1_000_000;
const ROUNDS: usize = 7;

/// Does what the worker does: plans the file with the hashes of ids, then validates each chunk.
struct Chunks(Vec<ChunkRange>);

impl PlanSink for Chunks {
    fn chunk(&mut self, chunk: ChunkRange, ids: Vec<RowId>) {
        black_box(ids);
        self.0.push(chunk);
    }
}

const SLICE: usize = 2 << 20;

fn plan(file: &[u8]) -> (Layout, Vec<ChunkRange>) {
    let head = Head::new(Format::default()).push(file).unwrap().unwrap();
    let (layout, rows_start) = (head.layout.clone(), head.rows_start);
    let hasher = IdHasher::new([7; 16]);
    let mut chunks = Chunks(Vec::new());
    let mut planner = Planner::new(head, hasher.clone());
    let mut start = rows_start;
    for slice in file[rows_start as usize..].chunks(SLICE) {
        let scanned = scan_slice(&layout, &hasher, start, start == rows_start, slice);
        planner.push(scanned, slice, &mut chunks);
        start += slice.len() as u64;
    }
    let Plan { layout, .. } = planner.finish(&mut chunks).unwrap();
    (layout, chunks.0)
}

fn seconds(work: impl FnOnce() -> u64) -> f64 {
    let start = Instant::now();
    assert_eq!(work(), u64::from(ROWS));
    start.elapsed().as_secs_f64()
}

fn main() {
    let file = Transactions::new(ROWS.into()).text().into_bytes();
    let (layout, chunks) = plan(&file);
    let mut found: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        found[0].push(seconds(|| {
            let mut reader = csv::ReaderBuilder::new().from_reader(&file[..]);
            let mut record = csv::ByteRecord::new();
            let mut records = 0;
            while reader.read_byte_record(&mut record).unwrap() {
                records += 1;
            }
            records
        }));
        found[1].push(seconds(|| {
            let mut rows = 0;
            for chunk in &chunks {
                let bytes = &file[chunk.start as usize..chunk.end as usize];
                let (summary, verdicts) = validate_chunk(&layout, bytes, &RowSet::default());
                black_box(verdicts);
                rows += summary.counts.valid;
            }
            rows
        }));
        found[2].push(seconds(|| {
            plan(&file)
                .1
                .iter()
                .map(|chunk| u64::from(chunk.rows))
                .sum()
        }));
        found[3].push(seconds(|| {
            let mut checker = Checker::new([7; 16], Format::default(), Presumed::default());
            let mut on_row = |row: &mut Candidate<'_>| {
                black_box(row.verdict());
            };
            for (at, slice) in file.chunks(SLICE).enumerate() {
                checker.push(slice, &mut on_row).unwrap();
                if at == 0 {
                    checker.make_room(file.len() as f64 / slice.len() as f64);
                }
            }
            match checker.finish(&mut on_row).unwrap() {
                Checked::Done(done) => done.2.counts.valid,
                Checked::Again(presumed) => panic!("{presumed:?}"),
            }
        }));
    }
    let megabytes = file.len() as f64 / 1e6;
    println!("{ROWS} rows, {megabytes:.0} MB, one core; median of {ROUNDS}");
    let names = [
        "csv crate, records only",
        "validate (worker)",
        "plan (worker)",
        "check (browser)",
    ];
    let reference = found[0].clone();
    for (name, mut times) in names.into_iter().zip(found) {
        let mut throughput: Vec<f64> = reference
            .iter()
            .zip(&times)
            .map(|(csv, own)| csv / own)
            .collect();
        throughput.sort_by(f64::total_cmp);
        times.sort_by(f64::total_cmp);
        println!(
            "  {name:24} {:>6.0} MB/s  {:.2} of the csv crate's throughput",
            megabytes / times[ROUNDS / 2],
            throughput[ROUNDS / 2]
        );
    }
}
