//! One file, every way to its verdicts.

use validator::{
    Checker, ChunkRange, Counts, ErrorCode, FileError, IdHasher, Layout, Plan, PlanSink, Planner,
    Row, SeenIds, Summary, Transaction, validate_chunk, validate_some,
};

use crate::reference::{self, Verdict};

const KEY: [u8; 16] = *b"0123456789abcdef";

pub type Outcome = Result<(Layout, Counts, Vec<Transaction>), FileError>;

/// Checks that the checker, the planner with its chunks, and the reference agree on `file`, however
/// it is sliced and cut.
pub fn agreed(file: &[u8]) -> Outcome {
    let whole = [file.len().max(1)];
    let outcome = checked(file, &whole);
    let slicings: [&[usize]; 4] = match file.len() {
        ..100_000 => [&whole, &[1], &[2, 3, 5, 0], &[4096, 1]],
        _ => [&whole, &[65_536, 1], &[1021, 0], &[1_048_577, 1]],
    };
    for (slicing, target) in slicings.into_iter().zip([u64::MAX, 1, 64, 1_000_000]) {
        assert_eq!(
            checked(file, slicing),
            outcome,
            "checked in slices of {slicing:?}"
        );
        assert_eq!(
            planned(file, slicing, target),
            outcome,
            "planned with a target of {target}"
        );
    }
    assert_reference(file, &outcome);
    outcome
}

pub fn assert_reference(file: &[u8], outcome: &Outcome) {
    let outcome = match outcome {
        Ok((_, _, rows)) => Ok(rows.iter().map(exact).collect::<Vec<_>>()),
        Err(error) => Err(kind(error)),
    };
    assert_eq!(outcome, reference::verdicts(file), "reference");
}

pub fn kind(error: &FileError) -> reference::Failure {
    match error {
        FileError::Empty => "empty",
        FileError::NoHeader { .. } => "no header",
        FileError::NulInHeader { .. } => "nul",
        FileError::MissingColumns { .. } => "missing",
        FileError::RepeatedColumn { .. } => "repeated",
    }
}

fn exact(row: &Transaction) -> Verdict {
    Verdict {
        row_number: row.row_number,
        transaction_id: row.transaction_id.clone(),
        amount: row.amount.map(|amount| amount.to_string()),
        date: row.date.map(|date| date.to_string()),
        description: row.description.clone(),
        is_suspicious: row.is_suspicious,
        codes: row.errors.iter().map(|error| error.code.as_str()).collect(),
    }
}

/// Slices of these lengths, over and over.
fn slices<'a>(file: &'a [u8], lengths: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = file;
    let mut lengths = lengths.iter().cycle();
    std::iter::from_fn(move || {
        let length = *lengths.next()?;
        let (slice, after) = rest.split_at(length.min(rest.len()));
        let more = !rest.is_empty();
        rest = after;
        more.then_some(slice)
    })
}

pub fn checked(file: &[u8], slicing: &[usize]) -> Outcome {
    let mut rows = Vec::new();
    let mut on_row = |_: &Layout, row: &validator::Row<'_>| rows.push(row.to_transaction());
    let mut checker = Checker::new(KEY);
    for slice in slices(file, slicing) {
        checker.push(slice, &mut on_row)?;
    }
    let (layout, findings) = checker.finish(&mut on_row)?;
    assert_findings(&findings, &rows);
    Ok((layout, findings.counts, rows))
}

/// Checks the findings against the rows that they are about.
fn assert_findings(findings: &Summary, rows: &[Transaction]) {
    let count = |counts: fn(&&Transaction) -> bool| rows.iter().filter(counts).count() as u64;
    let expect = Counts {
        processed: rows.len() as u64,
        valid: count(|row| row.is_valid),
        invalid: count(|row| !row.is_valid),
        suspicious: count(|row| row.is_suspicious),
    };
    assert_eq!(findings.counts, expect);
    for code in ErrorCode::ALL {
        let has_it = |row: &&Transaction| row.errors.iter().any(|error| error.code == code);
        let rows = rows.iter().filter(has_it).count() as u64;
        assert_eq!(findings.problems.rows(code), rows, "{code}");
    }
    let valid = || rows.iter().filter(|row| row.is_valid);
    let scale = valid().filter_map(|row| Some(row.amount?.scale())).max();
    let scale = scale.unwrap_or(0);
    let sum: i128 = valid()
        .filter_map(|row| row.amount)
        .map(|amount| amount.mantissa() * 10_i128.pow(u32::from(scale - amount.scale())))
        .sum();
    let digits = findings.valid_amount.to_string().replace('.', "");
    assert_eq!(digits.parse(), Ok(sum));
    let dates = || valid().filter_map(|row| row.date);
    assert_eq!(
        findings.valid_dates.map(|span| (span.first, span.last)),
        dates().min().zip(dates().max())
    );
}

struct Sink {
    seen: SeenIds,
    duplicates: Vec<u64>,
    /// With the duplicates in each.
    chunks: Vec<(ChunkRange, Vec<u64>)>,
}

impl PlanSink for Sink {
    fn id(&mut self, row_number: u64, id: &[u8]) {
        if !self.seen.insert(id) {
            self.duplicates.push(row_number);
        }
    }

    fn chunk(&mut self, chunk: ChunkRange) {
        self.chunks
            .push((chunk, std::mem::take(&mut self.duplicates)));
    }
}

/// Any choice of rows has the verdicts that they have among all, and is made by what they show.
fn assert_some(
    layout: &Layout,
    bytes: &[u8],
    chunk: &ChunkRange,
    duplicates: &[u64],
    all: &[Transaction],
) {
    let mut texts = Vec::new();
    let mut chosen = Vec::new();
    let is_wanted = |id: Option<&str>, description: Option<&str>| {
        texts.push((id.map(str::to_owned), description.map(str::to_owned)));
        texts.len() % 3 != 1
    };
    let keep = |row: &Row<'_>| chosen.push(row.to_transaction());
    validate_some(layout, bytes, chunk.first_row, duplicates, is_wanted, keep);
    let shown = all
        .iter()
        .map(|row| (row.transaction_id.clone(), row.description.clone()));
    assert_eq!(texts, shown.collect::<Vec<_>>());
    let wanted = (1..).zip(all).filter(|(row, _)| row % 3 != 1);
    assert_eq!(
        chosen,
        wanted.map(|(_, row)| row.clone()).collect::<Vec<_>>()
    );
}

pub fn planned(file: &[u8], slicing: &[usize], target: u64) -> Outcome {
    let mut sink = Sink {
        seen: SeenIds::new(IdHasher::new(KEY)),
        duplicates: Vec::new(),
        chunks: Vec::new(),
    };
    let mut planner = Planner::new(target);
    for slice in slices(file, slicing) {
        planner.push(slice, &mut sink)?;
    }
    let Plan { layout, rows } = planner.finish(&mut sink)?;

    let mut counts = Counts::default();
    let mut transactions = Vec::new();
    let mut end = 0;
    for (number, (chunk, duplicates)) in sink.chunks.iter().enumerate() {
        assert_eq!(chunk.number as usize, number);
        assert_eq!(chunk.first_row, 1 + counts.processed);
        assert!(end <= chunk.start && chunk.start < chunk.end, "{chunk:?}");
        assert!(
            chunk.end - chunk.start <= target || chunk.rows == 1,
            "{chunk:?}"
        );
        // No row needs more than three bytes of text for two of UTF-16, or the other way round.
        assert!(
            chunk.rows > 1 || chunk.end - chunk.start <= 2 * 1_048_578,
            "{chunk:?}"
        );
        end = chunk.end;
        let bytes = &file[chunk.start as usize..chunk.end as usize];
        let already = transactions.len();
        let findings = validate_chunk(&layout, bytes, chunk.first_row, duplicates, |row| {
            transactions.push(row.to_transaction());
        });
        assert_findings(&findings, &transactions[already..]);
        assert_some(&layout, bytes, chunk, duplicates, &transactions[already..]);
        let chunk_counts = findings.counts;
        assert_eq!(chunk_counts.processed, chunk.rows, "{chunk:?}");
        counts.processed += chunk_counts.processed;
        counts.valid += chunk_counts.valid;
        counts.invalid += chunk_counts.invalid;
        counts.suspicious += chunk_counts.suspicious;
    }
    assert_eq!(rows, counts.processed);
    assert!(sink.duplicates.is_empty(), "ids after the last chunk");
    Ok((layout, counts, transactions))
}
