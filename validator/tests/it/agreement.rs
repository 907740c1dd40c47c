//! Checks that all ways of reading a file lead to the same verdicts.

use std::collections::BTreeMap;

use validator::{
    AmountSizes, Candidate, Checked, Checker, ChunkRange, Counts, Encoding, EncodingProbe,
    ErrorCode, FileError, Format, Head, HeadEnd, IdHasher, Layout, MAX_MONTHS, Plan, PlanSink,
    Planner, Presumed, Reading, RowFilter, RowId, RowSet, SeenHashes, Summary, Transaction,
    Verdicts, read_rows, scan_slice, validate_chunk,
};

use crate::reference::{self, Verdict};

pub const KEY: [u8; 16] = *b"0123456789abcdef";

/// A file that was read successfully.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    pub layout: Layout,
    pub reading: Reading,
    pub counts: Counts,
    pub rows: Vec<Transaction>,
}

pub type Outcome = Result<Read, FileError>;

/// Removes what depends on slices: how bytes that aren't UTF-8 are shown, and the suggested encoding.
pub fn without_encodings(outcome: Outcome) -> Outcome {
    outcome.map_err(|error| match error {
        FileError::Questions(questions) => {
            let mut questions = Vec::from(questions);
            for question in questions.iter_mut().filter(|it| it.key == "encoding") {
                question.choices.clear();
                question.suggestion = None;
            }
            FileError::Questions(questions.into())
        }
        error => error,
    })
}

/// Checks that the checker, the planner with its chunks, and the reference agree on `file` for every slicing, when no
/// format is given.
pub fn agreed(file: &[u8]) -> Result<(Layout, Counts, Vec<Transaction>), FileError> {
    let read = agreed_as(file, &Format::default())?;
    Ok((read.layout, read.counts, read.rows))
}

pub fn agreed_as(file: &[u8], format: &Format) -> Outcome {
    let whole = [file.len().max(1)];
    let outcome = checked(file, format, &whole);
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
            checked(file, format, slicing),
            outcome,
            "checked in slices of {slicing:?}"
        );
        assert_eq!(
            planned(file, format, slicing),
            outcome,
            "planned in slices of {slicing:?}"
        );
    }
    assert_reference(file, format, &outcome);
    outcome
}

pub fn assert_reference(file: &[u8], format: &Format, outcome: &Outcome) {
    let outcome = match outcome {
        Ok(read) => Ok(reference::Read {
            delimiter: read.layout.delimiter(),
            date_order: read.reading.format.date_order,
            decimal: read.reading.format.decimal.unwrap(),
            rows: read.rows.iter().map(exact).collect(),
        }),
        Err(error) => Err(codes(error)),
    };
    let outcome = outcome
        .as_ref()
        .map_err(|codes| codes.iter().map(String::as_str).collect());
    let expect = reference::read(file, format);
    assert_eq!(outcome, expect.as_ref().map_err(Clone::clone), "reference");
}

/// Returns the code of an error, or the codes of its questions in alphabetical order.
pub fn codes(error: &FileError) -> Vec<String> {
    let mut codes: Vec<String> = error.questions().iter().map(|it| it.code.clone()).collect();
    codes.sort_unstable();
    match codes.is_empty() {
        true => vec![error.code().to_owned()],
        false => codes,
    }
}

pub fn is_ignored(row: &Transaction) -> bool {
    !row.is_valid && row.errors.is_empty()
}

fn exact(row: &Transaction) -> Verdict {
    if is_ignored(row) {
        return Verdict {
            row_number: row.row_number,
            line: row.line,
            is_suspicious: row.is_suspicious,
            is_ignored: true,
            ..Verdict::default()
        };
    }
    Verdict {
        row_number: row.row_number,
        line: row.line,
        transaction_id: row.transaction_id.clone(),
        amount: row.amount.map(|amount| amount.to_string()),
        date: row.date.map(|date| date.to_string()),
        description: row.description.clone(),
        is_suspicious: row.is_suspicious,
        is_ignored: false,
        codes: row.errors.iter().map(|error| error.code.as_str()).collect(),
    }
}

/// Splits a file into slices, repeating these lengths.
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

/// Reads a file with checkers. Each one presumes what the rows proved to the previous one.
pub fn checked(file: &[u8], format: &Format, slicing: &[usize]) -> Outcome {
    without_encodings(checked_as_it_is(file, format, slicing))
}

pub fn checked_as_it_is(file: &[u8], format: &Format, slicing: &[usize]) -> Outcome {
    let mut presumed = Presumed::default();
    // The decimal sign and the order of dates may each be proved once.
    for _ in 0..3 {
        match checked_once(file, format, slicing, presumed)? {
            Ok(read) => return Ok(read),
            Err(again) => presumed = again,
        }
    }
    panic!("the rows prove something else once more: {presumed:?}");
}

fn checked_once(
    file: &[u8],
    format: &Format,
    slicing: &[usize],
    presumed: Presumed,
) -> Result<Result<Read, Presumed>, FileError> {
    let mut rows = Vec::new();
    let mut on_row = |candidate: &mut Candidate<'_>| rows.push(candidate.row().to_transaction());
    let mut checker = Checker::new(KEY, format.clone(), presumed);
    let mut outcome = Ok(());
    for slice in slices(file, slicing) {
        outcome = checker.push(slice, &mut on_row);
        if outcome.is_err() {
            break;
        }
        // The browser restarts here, too.
        if let Some(proved) = checker.contradiction() {
            return Ok(Err(proved));
        }
    }
    let checked = outcome.and_then(|()| checker.finish(&mut on_row));
    let checked = checked.map_err(|error| match head(file, format, slicing) {
        Ok(_) => error,
        Err(_) => with_encoding(file, format, error),
    })?;
    Ok(match checked {
        Checked::Again(presumed) => Err(presumed),
        Checked::Done(done) => {
            let (layout, reading, summary) = *done;
            assert_summary(&summary, &rows);
            Ok(Read {
                layout,
                reading,
                counts: summary.counts,
                rows,
            })
        }
    })
}

/// Returns the error of the header after examining the rest of the file.
fn with_encoding(file: &[u8], format: &Format, error: FileError) -> FileError {
    let mut probe = EncodingProbe::new(format);
    for slice in file.chunks(1024) {
        probe.push(slice);
    }
    probe.finish(error)
}

/// Checks the summary against its rows.
fn assert_summary(summary: &Summary, rows: &[Transaction]) {
    let count = |counts: fn(&&Transaction) -> bool| rows.iter().filter(counts).count() as u64;
    let expect = Counts {
        processed: count(|row| !is_ignored(row)),
        valid: count(|row| row.is_valid),
        invalid: count(|row| !row.is_valid && !is_ignored(row)),
        suspicious: count(|row| row.is_suspicious),
        ignored: count(|row| is_ignored(row)),
    };
    assert_eq!(summary.counts, expect);
    for &code in ErrorCode::ALL {
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
    let mut sizes = [0; AmountSizes::COUNT];
    for amount in valid().filter_map(|row| row.amount) {
        let unit = 10_u128.pow(amount.scale().into());
        let is_from = |size: &usize| {
            amount.mantissa().unsigned_abs() >= u128::from(AmountSizes::from(*size)) * unit
        };
        sizes[(0..AmountSizes::COUNT).rev().find(is_from).unwrap()] += 1;
    }
    assert_eq!(summary.amount_sizes.rows(), sizes);
    let mut months = BTreeMap::new();
    for date in dates() {
        *months.entry(date.format("%Y-%m").to_string()).or_insert(0) += 1;
    }
    let found = summary.months.as_ref().map(|months| {
        let months = months
            .iter()
            .map(|(month, rows)| (month.to_string(), *rows));
        months.collect::<BTreeMap<_, _>>()
    });
    assert_eq!(found, (months.len() <= MAX_MONTHS).then_some(months));
}

/// A sink of the planner that finds duplicates by hash, like the worker.
struct Sink {
    seen: SeenHashes,
    /// The chunks with their duplicates.
    chunks: Vec<(ChunkRange, RowSet)>,
}

impl PlanSink for Sink {
    fn chunk(&mut self, chunk: ChunkRange, ids: Vec<RowId>) {
        assert!(ids.is_sorted_by(|a, b| a.row() < b.row()), "{ids:?}");
        assert!(ids.iter().all(|id| id.row() < chunk.rows));
        let mut duplicates = RowSet::default();
        for id in ids.iter().filter(|id| id.counts()) {
            if !self.seen.insert(id.hash()) {
                duplicates.push(id.row());
            }
        }
        self.chunks.push((chunk, duplicates));
    }
}

/// Reads the header of a file in slices.
pub fn head(file: &[u8], format: &Format, slicing: &[usize]) -> Result<HeadEnd, FileError> {
    let mut head = Head::new(format.clone());
    for slice in slices(file, slicing) {
        if let Some(end) = head.push(slice)? {
            return Ok(end);
        }
    }
    head.finish()
}

/// Plans a file in slices of these lengths, which are scanned out of order. In UTF-16 the lengths are made even.
pub fn plan(
    file: &[u8],
    format: &Format,
    slicing: &[usize],
    sink: &mut impl PlanSink,
) -> Result<Plan, FileError> {
    let head = head(file, format, slicing);
    let head = head.map_err(|error| with_encoding(file, format, error))?;
    let (layout, rows_start) = (head.layout.clone(), head.rows_start);
    let hasher = IdHasher::new(KEY);
    let unit = match layout.encoding() {
        Encoding::Utf16Le | Encoding::Utf16Be => 2,
        Encoding::Utf8 | Encoding::Legacy(_) => 1,
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
    let mut planner = Planner::new(head, hasher);
    for (_, bytes) in &slices {
        planner.push(scanned.pop().unwrap(), bytes, sink);
    }
    planner.finish(sink)
}

/// Reads the committed verdicts back: all rows, the rows under each filter, and single rows by range.
fn assert_read(
    layout: &Layout,
    bytes: &[u8],
    (first_row, first_line): (u64, u64),
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
        RowFilter::Ignored,
    ]
    .into_iter()
    .chain(ErrorCode::ALL.iter().copied().map(RowFilter::Problem));
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
            let line = segment.lines.map(|lines| first_line + u64::from(lines));
            let verdicts = decoded.from_row(segment.first_row);
            read_rows(layout, part, first, line, verdicts, |candidate| {
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
        RowFilter::All => !is_ignored(row),
        RowFilter::Valid => row.is_valid,
        RowFilter::Invalid => !row.is_valid && !is_ignored(row),
        RowFilter::Ignored => is_ignored(row),
        RowFilter::Suspicious => row.is_suspicious,
        RowFilter::Problem(code) => row.errors.iter().any(|error| error.code == code),
    }
}

/// Reads a file with the planner and validates each of its chunks.
pub fn planned(file: &[u8], format: &Format, slicing: &[usize]) -> Outcome {
    without_encodings(planned_as_it_is(file, format, slicing))
}

fn planned_as_it_is(file: &[u8], format: &Format, slicing: &[usize]) -> Outcome {
    let mut sink = Sink {
        seen: SeenHashes::with_capacity(0),
        chunks: Vec::new(),
    };
    let Plan {
        rows,
        ignored,
        layout,
        reading,
    } = plan(file, format, slicing, &mut sink)?;

    let mut counts = Counts::default();
    let mut transactions = Vec::new();
    let mut end = 0;
    for (number, (chunk, duplicates)) in sink.chunks.iter().enumerate() {
        assert_eq!(chunk.number as usize, number);
        assert_eq!(chunk.first_row, 1 + counts.processed + counts.ignored);
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
            chunk.first_line,
            verdicts.from_row(0),
            |row| {
                transactions.push(row.row().to_transaction());
            },
        );
        let own = &transactions[already..];
        assert_summary(&summary, own);
        let first = (chunk.first_row, chunk.first_line.unwrap());
        assert_read(&layout, bytes, first, &verdicts, own);
        assert_eq!(u64::from(chunk.ignored), summary.counts.ignored);
        counts += summary.counts;
    }
    assert_eq!(
        (rows, ignored),
        (counts.processed + counts.ignored, counts.ignored)
    );
    Ok(Read {
        layout,
        reading,
        counts,
        rows: transactions,
    })
}
