//! One file, every way to its verdicts.

use validator::{
    Candidate, Checker, ChunkRange, Counts, Encoding, ErrorCode, FileError, Head, HeadEnd,
    IdHasher, Layout, PlanSink, Planner, RowFilter, RowId, RowSet, SeenHashes, Summary,
    Transaction, Verdicts, read_rows, scan_slice, validate_chunk,
};

use crate::reference::{self, Verdict};

pub const KEY: [u8; 16] = *b"0123456789abcdef";

pub type Outcome = Result<(Layout, Counts, Vec<Transaction>), FileError>;

/// Checks that the checker, the planner with its chunks, and the reference agree on `file`, however
/// it is sliced.
pub fn agreed(file: &[u8]) -> Outcome {
    let whole = [file.len().max(1)];
    let outcome = checked(file, &whole);
    let slicings: [&[usize]; 5] = match file.len() {
        ..100_000 => [&whole, &[1], &[2, 3, 5, 0], &[64], &[4096, 1]],
        _ => [
            &whole,
            &[65_536, 1],
            &[1021, 0],
            &[1_048_577, 1],
            &[300_000],
        ],
    };
    for slicing in slicings {
        assert_eq!(
            checked(file, slicing),
            outcome,
            "checked in slices of {slicing:?}"
        );
        assert_eq!(
            planned(file, slicing),
            outcome,
            "planned in slices of {slicing:?}"
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
        FileError::TooManyColumns { .. } => "too many columns",
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
    let mut on_row = |candidate: &mut Candidate<'_>| rows.push(candidate.row().to_transaction());
    let mut checker = Checker::new(KEY);
    for slice in slices(file, slicing) {
        checker.push(slice, &mut on_row)?;
    }
    let (layout, summary) = checker.finish(&mut on_row)?;
    assert_summary(&summary, &rows);
    Ok((layout, summary.counts, rows))
}

/// Checks the summary against the rows that it is about.
fn assert_summary(summary: &Summary, rows: &[Transaction]) {
    let count = |counts: fn(&&Transaction) -> bool| rows.iter().filter(counts).count() as u64;
    let expect = Counts {
        processed: rows.len() as u64,
        valid: count(|row| row.is_valid),
        invalid: count(|row| !row.is_valid),
        suspicious: count(|row| row.is_suspicious),
    };
    assert_eq!(summary.counts, expect);
    for code in ErrorCode::ALL {
        let has_it = |row: &&Transaction| row.errors.iter().any(|error| error.code == code);
        let rows = rows.iter().filter(has_it).count() as u64;
        assert_eq!(summary.problems.rows(code), rows, "{code}");
    }
    let valid = || rows.iter().filter(|row| row.is_valid);
    let scale = valid().filter_map(|row| Some(row.amount?.scale())).max();
    let scale = scale.unwrap_or(0);
    let sum: i128 = valid()
        .filter_map(|row| row.amount)
        .map(|amount| amount.mantissa() * 10_i128.pow(u32::from(scale - amount.scale())))
        .sum();
    let digits = summary.valid_amount.to_string().replace('.', "");
    assert_eq!(digits.parse(), Ok(sum));
    let dates = || valid().filter_map(|row| row.date);
    assert_eq!(
        summary.valid_dates.map(|span| (span.first, span.last)),
        dates().min().zip(dates().max())
    );
}

/// The planner's sink: finds duplicates as the worker does, by hash.
struct Sink {
    seen: SeenHashes,
    /// With the duplicates in each.
    chunks: Vec<(ChunkRange, RowSet)>,
}

impl PlanSink for Sink {
    fn chunk(&mut self, chunk: ChunkRange, ids: Vec<RowId>) {
        assert!(ids.is_sorted_by(|a, b| a.row < b.row), "{ids:?}");
        assert!(ids.iter().all(|id| id.row < chunk.rows));
        let mut duplicates = RowSet::default();
        for id in ids.iter().filter(|id| id.counts) {
            if !self.seen.insert(id.hash) {
                duplicates.push(id.row);
            }
        }
        self.chunks.push((chunk, duplicates));
    }
}

/// The header of a file that comes in slices.
pub fn head(file: &[u8], slicing: &[usize]) -> Result<HeadEnd, FileError> {
    let mut head = Head::new();
    for slice in slices(file, slicing) {
        if let Some(end) = head.push(slice)? {
            return Ok(end);
        }
    }
    head.finish()
}

/// Plans a file in slices of these lengths, which are scanned in no particular order. In UTF-16 they are made even.
pub fn plan(
    file: &[u8],
    slicing: &[usize],
    sink: &mut impl PlanSink,
) -> Result<(Layout, u64), FileError> {
    let HeadEnd { layout, rows_start } = head(file, slicing)?;
    let hasher = IdHasher::new(KEY);
    let unit = if layout.encoding() == Encoding::Utf8 {
        1
    } else {
        2
    };
    let lengths: Vec<usize> = slicing
        .iter()
        .map(|length| length.saturating_mul(unit).min(usize::MAX / 2 * 2))
        .collect();
    let mut start = rows_start;
    let slices: Vec<(u64, &[u8])> = slices(&file[rows_start as usize..], &lengths)
        .map(|slice| {
            start += slice.len() as u64;
            (start - slice.len() as u64, slice)
        })
        .collect();
    let mut scanned: Vec<_> = slices
        .iter()
        .enumerate()
        .rev()
        .map(|(at, &(start, slice))| scan_slice(&layout, &hasher, start, at == 0, slice))
        .collect();
    let mut planner = Planner::new(layout.clone(), hasher);
    for (_, bytes) in &slices {
        planner.push(scanned.pop().unwrap(), bytes, sink);
    }
    let rows = planner.finish(sink);
    Ok((layout, rows))
}

/// The committed verdicts read back: all rows, those under each filter, and single ones by ranged reads.
fn assert_read(
    layout: &Layout,
    bytes: &[u8],
    first_row: u64,
    verdicts: &Verdicts,
    all: &[Transaction],
) {
    let decoded = Verdicts::decode(&verdicts.encode()).unwrap();
    assert_eq!(&decoded, verdicts);
    let filters = [
        RowFilter::All,
        RowFilter::Valid,
        RowFilter::Invalid,
        RowFilter::Suspicious,
    ]
    .into_iter()
    .chain(ErrorCode::ALL.map(RowFilter::Problem));
    for filter in filters {
        let wanted: Vec<&Transaction> = all.iter().filter(|row| is_under(filter, row)).collect();
        assert_eq!(decoded.count(filter), wanted.len() as u64, "{filter}");
        let skip = wanted.len() / 3;
        let selected = decoded.select(filter, skip as u64..skip as u64 + 3);
        let mut found = Vec::new();
        for segment in decoded.segments(&selected) {
            let end = segment.end.map_or(bytes.len(), |end| end as usize);
            let part = &bytes[segment.start as usize..end];
            let first = first_row + u64::from(segment.first_row);
            let verdicts = decoded.from_row(segment.first_row);
            read_rows(layout, part, first, verdicts, |candidate| {
                let row = (candidate.row_number() - first_row) as u32;
                if selected.iter().any(|range| range.contains(&row)) {
                    let texts = candidate.texts();
                    let texts = (texts.0.map(str::to_owned), texts.1.map(str::to_owned));
                    let row = candidate.row().to_transaction();
                    assert_eq!(texts, (row.transaction_id.clone(), row.description.clone()));
                    found.push(row);
                }
            });
        }
        let wanted: Vec<Transaction> = wanted.into_iter().skip(skip).take(3).cloned().collect();
        assert_eq!(found, wanted, "{filter}");
    }
}

fn is_under(filter: RowFilter, row: &Transaction) -> bool {
    match filter {
        RowFilter::All => true,
        RowFilter::Valid => row.is_valid,
        RowFilter::Invalid => !row.is_valid,
        RowFilter::Suspicious => row.is_suspicious,
        RowFilter::Problem(code) => row.errors.iter().any(|error| error.code == code),
    }
}

pub fn planned(file: &[u8], slicing: &[usize]) -> Outcome {
    let mut sink = Sink {
        seen: SeenHashes::with_capacity(0),
        chunks: Vec::new(),
    };
    let (layout, rows) = plan(file, slicing, &mut sink)?;

    let mut counts = Counts::default();
    let mut transactions = Vec::new();
    let mut end = 0;
    for (number, (chunk, duplicates)) in sink.chunks.iter().enumerate() {
        assert_eq!(chunk.number as usize, number);
        assert_eq!(chunk.first_row, 1 + counts.processed);
        assert!(end <= chunk.start && chunk.start < chunk.end, "{chunk:?}");
        end = chunk.end;
        let bytes = &file[chunk.start as usize..chunk.end as usize];
        let (summary, verdicts) = validate_chunk(&layout, bytes, duplicates);
        assert_eq!(verdicts.rows(), chunk.rows, "{chunk:?}");
        let already = transactions.len();
        read_rows(
            &layout,
            bytes,
            chunk.first_row,
            verdicts.from_row(0),
            |row| {
                transactions.push(row.row().to_transaction());
            },
        );
        let own = &transactions[already..];
        assert_summary(&summary, own);
        assert_read(&layout, bytes, chunk.first_row, &verdicts, own);
        counts.processed += summary.counts.processed;
        counts.valid += summary.counts.valid;
        counts.invalid += summary.counts.invalid;
        counts.suspicious += summary.counts.suspicious;
    }
    assert_eq!(rows, counts.processed);
    Ok((layout, counts, transactions))
}
