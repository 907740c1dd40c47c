//! Turns the beginning of a file's text into its [`Layout`].

use serde_json::json;

use super::{
    FileError, Layout,
    decode::Decoder,
    encoding::Encoding,
    error::MAX_COLUMNS,
    layout::{Asks, Column, RULES},
    record::Record,
    scan::{MAX_RECORD_BYTES, Scanner, Step},
};
use crate::{
    Decimal,
    csv::{own_columns, text_without_apostrophes},
    format::{
        ColumnNames, ColumnRef, Decision, FirstRecords, Format, FoundColumns, Limits, Source,
        columns_question,
    },
    trim::trim,
};

/// The length of text that always decides on the header: the longest possible header has ended within it, with one byte
/// to spare.
pub(super) const ENOUGH_TEXT: usize = MAX_HEADER_END + 1;

/// The length of text within which the header must end, in bytes.
const MAX_HEADER_END: usize = MAX_RECORD_BYTES;

/// Possible delimiters. On a tie the earlier one wins.
const DELIMITERS: [u8; 4] = *b",;\t|";

/// The number of records among which the header is searched for.
const MAX_PREAMBLE: usize = 100;

/// How the beginning of a file is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub layout: Layout,
    /// The offset of the first row's record in the text.
    pub rows_start: usize,
    pub decisions: Vec<Decision>,
}

/// The number of bytes of a file that are enough to find its header.
pub const HEADER_BYTES: usize = 2 * ENOUGH_TEXT;

/// A record that may be a file's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PossibleHeader {
    pub delimiter: u8,
    /// The number of records before it.
    pub skip_records: u32,
    /// The names as [`header_key`] returns them.
    pub names: Vec<String>,
    /// Whether the record is the header of a download, and the names are those of the original file.
    pub is_original: bool,
}

impl PossibleHeader {
    /// Adapts the format saved for this header to the file. If the format names a delimiter or a number of records
    /// before the header, they are replaced by those of this file.
    pub fn complete(&self, saved: &Format) -> Format {
        Format {
            delimiter: saved.delimiter.map(|_| self.delimiter),
            skip_records: saved.skip_records.map(|_| self.skip_records),
            ..saved.clone()
        }
    }

    /// Returns whether these are the names that a download invents for a file without a header.
    pub fn is_of_headless(&self) -> bool {
        self.is_original && are_generated(&self.names)
    }
}

/// The number of encodings from saved formats that are tried on a file.
const MAX_ENCODINGS: usize = 8;

/// Returns the [`possible_headers`] as the file is read without an encoding, and under each encoding in the user's saved
/// formats. An empty label means no encoding.
pub fn possible_saved_headers(
    head: &[u8],
    given: &Format,
    labels: &[String],
) -> Vec<PossibleHeader> {
    if given.encoding.is_some() {
        return possible_headers(head, given);
    }
    let labels = labels.iter().filter(|label| !label.is_empty());
    let encodings = labels
        .take(MAX_ENCODINGS)
        .map(|label| Encoding::from_label(label));
    std::iter::once(None)
        .chain(encodings)
        .map(|encoding| Format {
            encoding,
            ..given.clone()
        })
        .flat_map(|format| possible_headers(head, &format))
        .collect()
}

/// Returns the names of a header as the key of a saved format: trimmed, in lower case, in their order, without trailing
/// empty names. Returns `None` unless 2 to 1,000 names remain.
pub fn header_key(names: &[String]) -> Option<Vec<String>> {
    if names.len() > MAX_COLUMNS {
        return None;
    }
    let mut names: Vec<String> = names.iter().map(|it| trim(it).to_lowercase()).collect();
    while names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    (names.len() >= 2).then_some(names)
}

/// Lists the records that may be the header of a file. `head` is the whole file or its first [`HEADER_BYTES`]. For each
/// possible delimiter these are the first 100 records, or the single record that `format` specifies. Without an
/// encoding in `format` the file is read as UTF-8 or UTF-16, and invalid bytes become U+FFFD. The list is empty if the
/// format says that there is no header.
fn possible_headers(head: &[u8], format: &Format) -> Vec<PossibleHeader> {
    if format.is_headless() {
        return Vec::new();
    }
    let text = text_of(head, format.encoding);
    let (delimiters, start) = delimiters(&text, format);
    let mut found = Vec::new();
    for delimiter in delimiters {
        let (skipped, limit) = match format.skip_records {
            Some(skipped) => (skipped as usize, skipped as usize + 1),
            None => (0, MAX_PREAMBLE),
        };
        let records = first_records(delimiter, &text, start, limit);
        for (at, record) in records.iter().enumerate().skip(skipped) {
            let original =
                own_columns(&record.names).and_then(|own| original_key(&record.names[..own]));
            let keys = [(header_key(&record.names), false), (original, true)];
            found.extend(keys.into_iter().filter_map(|(names, is_original)| {
                Some(PossibleHeader {
                    delimiter,
                    skip_records: at as u32,
                    names: names?,
                    is_original,
                })
            }));
        }
    }
    found
}

/// Returns whether the beginning of a file, up to [`HEADER_BYTES`], contains the header of a download.
pub fn is_download(head: &[u8]) -> bool {
    let text = text_of(head, None);
    let (delimiters, start) = delimiters(&text, &Format::default());
    delimiters.into_iter().any(|delimiter| {
        let records = first_records(delimiter, &text, start, MAX_PREAMBLE);
        records.iter().any(|it| own_columns(&it.names).is_some())
    })
}

/// Returns the key of the header that a file had before it was downloaded. `own` are the names that the download didn't
/// add.
pub(super) fn original_key(own: &[String]) -> Option<Vec<String>> {
    let names = own
        .iter()
        .map(|name| text_without_apostrophes(name).into_owned());
    header_key(&names.collect::<Vec<_>>())
}

/// Returns the name of a column of a file without a header. `number` is counted from 1.
fn generated_name(number: usize) -> String {
    format!("column {number}")
}

/// Returns whether the names are those of a file without a header.
pub(super) fn are_generated(names: &[String]) -> bool {
    (1..)
        .zip(names)
        .all(|(number, name)| *name == generated_name(number))
}

/// Decodes as much of the beginning of a file as a header can take.
pub(super) fn text_of(head: &[u8], encoding: Option<Encoding>) -> Vec<u8> {
    let mut text = Vec::new();
    let mut keep = |_, piece: &[u8]| {
        let lacking = ENOUGH_TEXT - text.len();
        text.extend_from_slice(&piece[..lacking.min(piece.len())]);
        if text.len() < ENOUGH_TEXT {
            Ok(())
        } else {
            Err(())
        }
    };
    let mut decoder = Decoder::new(encoding);
    // An error means that there is enough text.
    if decoder.push(head, &mut keep).is_ok() {
        let _ = decoder.finish(&mut keep);
    }
    text
}

/// Returns the possible delimiters and the offset of the first record.
fn delimiters(text: &[u8], format: &Format) -> (Vec<u8>, usize) {
    let named = sep_line(text);
    let delimiters = match (format.delimiter, named) {
        (Some(given), _) => vec![given],
        (None, Some((named, _))) => vec![named],
        (None, None) => DELIMITERS.to_vec(),
    };
    (delimiters, named.map_or(0, |(_, end)| end))
}

/// Finds the header in the beginning of the text, which is all of the text or at least its first [`ENOUGH_TEXT`] bytes.
/// `format` is the format given for the file.
pub(super) fn find(encoding: Encoding, head: &[u8], format: &Format) -> Result<Found, FileError> {
    if head.is_empty() {
        return Err(FileError::Empty);
    }
    let (delimiters, start) = delimiters(head, format);
    let named = sep_line(head).map(|(delimiter, _)| delimiter);
    let is_named = named.is_some();
    let candidates: Vec<Candidate> = delimiters
        .into_iter()
        .map(|delimiter| Candidate::read(delimiter, head, start, format))
        .collect();
    let best = (candidates.iter().filter(|it| it.place.is_some()))
        .min_by_key(|it| it.order())
        .and_then(|it| Some((it, it.place?)));
    let Some((candidate, at)) = best else {
        // In a text this short, a header would have ended in time.
        let is_blank = head.len() <= MAX_HEADER_END;
        return Err(FileError::NoHeader { is_blank, named });
    };
    let delimiter = candidate.delimiter;
    let header = &candidate.records[at];
    if !format.is_headless() && header.contains_nul {
        return Err(FileError::NulInHeader {
            names: header.names.clone(),
        });
    }
    let columns = match format.is_headless() {
        true => header.raw,
        false => header.fields,
    };
    if columns > MAX_COLUMNS {
        return Err(FileError::TooManyColumns { columns });
    }
    if !format.is_headless() && (header.is_unclosed || header.line_fields >= 3) {
        return Err(FileError::QuoteInHeader {
            is_unclosed: header.is_unclosed,
        });
    }
    let found = candidate.columns(header, format);
    let names = match format.is_headless() {
        true => (1..=header.raw).map(generated_name).collect(),
        false => header.names.clone(),
    };
    if !found.is_complete() {
        let error = FileError::columns(&found, &names);
        let first: Vec<FirstRecords> = candidates.iter().map(Candidate::first_records).collect();
        let question = columns_question(error, &first, format);
        return Err(FileError::Questions(vec![question].into()));
    }
    let (Some(amount), Some(date)) = (found.amount, found.date) else {
        unreachable!("a required column that is missing is asked for above");
    };
    let decisions = decisions(encoding, delimiter, is_named, at, header, format);
    let own_columns = match format.is_headless() {
        true => None,
        false => own_columns(&names),
    };
    let layout = Layout {
        encoding,
        delimiter,
        ids: found.ids,
        amount,
        date,
        descriptions: found.descriptions,
        rules: RULES,
        ids_may_repeat: !found.ids_are_unique,
        header: !format.is_headless(),
        skip_records: at as u32,
        own_columns,
        ignore: found.ignore,
        fields: format.fields.unwrap_or_default(),
        limits: format
            .suspicious
            .filter(|limits| *limits != Limits::DEFAULT),
        date_order: format.date_order,
        decimal: format.decimal.unwrap_or(Decimal::Point),
        asks: Asks {
            date_order: format.date_order.is_none(),
            decimal: format.decimal.is_none(),
        },
        names,
    };
    Ok(Found {
        layout,
        rows_start: match format.is_headless() {
            true => header.start,
            false => header.end,
        },
        decisions,
    })
}

fn decisions(
    encoding: Encoding,
    delimiter: u8,
    is_named: bool,
    at: usize,
    header: &First,
    format: &Format,
) -> Vec<Decision> {
    let source = |is_given: bool, otherwise| if is_given { Source::Given } else { otherwise };
    let mut decisions = vec![
        Decision::new(
            "encoding",
            json!(encoding.label()),
            source(format.encoding.is_some(), Source::Content),
        ),
        Decision {
            found: is_named.then(|| format!("sep={}", char::from(delimiter))),
            ..Decision::new(
                "delimiter",
                json!(char::from(delimiter).to_string()),
                source(format.delimiter.is_some(), Source::Content),
            )
        },
    ];
    if at > 0 {
        let source = source(format.skip_records.is_some(), Source::Name);
        decisions.push(Decision::new("skip_records", json!(at), source));
    }
    let given = format.to_value();
    for key in ["header", "fields", "suspicious", "ignore"] {
        if let Some(value) = given.get(key) {
            decisions.push(Decision::new(key, value.clone(), Source::Given));
        }
    }
    for &column in Column::ALL {
        let key = format!("columns.{column}");
        let given = given.get("columns").and_then(|it| it.get(column.as_str()));
        if let Some(value) = given {
            decisions.push(Decision::new(&key, value.clone(), Source::Given));
        } else if let Some(name) = header.name_of(column) {
            decisions.push(Decision::new(&key, json!(name), Source::Name));
        }
    }
    decisions
}

/// Returns the delimiter that a first record `sep=X` names, and the end of that record.
fn sep_line(head: &[u8]) -> Option<(u8, usize)> {
    let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let start = head.iter().take_while(|byte| is_line_end(byte)).count();
    let rest = head[start..].strip_prefix(b"sep=")?;
    let (&delimiter, rest) = rest.split_first()?;
    let is_delimiter = delimiter.is_ascii()
        && !delimiter.is_ascii_alphanumeric()
        && !matches!(delimiter, b'"' | b'\r' | b'\n' | 0);
    let ends = rest.first().is_none_or(is_line_end);
    (is_delimiter && ends).then(|| {
        let line_end = rest.iter().take_while(|byte| is_line_end(byte)).count();
        (delimiter, head.len() - rest.len() + line_end)
    })
}

/// The beginning of a file as read with one of the delimiters.
struct Candidate {
    delimiter: u8,
    /// The first records that are not skipped.
    records: Vec<First>,
    /// The index of the header, or of the first row if there is no header. `None` if there is no such record.
    place: Option<usize>,
    /// Whether the header was found by its names.
    is_found: bool,
    /// The number of known columns in the header.
    known: usize,
}

/// A record at the beginning of a file.
struct First {
    /// The names, without trailing empty ones.
    names: Vec<String>,
    /// The number of `names`, plus those beyond the limit.
    fields: usize,
    /// The number of fields, including trailing empty ones.
    raw: usize,
    contains_nul: bool,
    is_unclosed: bool,
    /// The most fields that any line within a quoted value would have.
    line_fields: usize,
    /// The range in the text, up to the end of its line end.
    start: usize,
    end: usize,
}

impl First {
    fn of(record: &Record<'_>, delimiter: u8, start: usize, end: usize) -> Self {
        let mut fields = record.field_count();
        while fields > 1 && record.is_empty_at(fields - 1) {
            fields -= 1;
        }
        let names: Vec<String> = (0..fields.min(MAX_COLUMNS + 1))
            .map_while(|field| record.value_bytes(field))
            .map(|name| String::from_utf8_lossy(&name).into_owned())
            .collect();
        Self {
            raw: record.field_count(),
            contains_nul: record.contains_nul(),
            is_unclosed: record.is_unclosed(),
            line_fields: record.most_fields_of_a_line(delimiter),
            names,
            fields,
            start,
            end,
        }
    }

    /// Returns the fields, including trailing empty ones.
    fn fields_as_split(&self) -> Vec<String> {
        let mut fields = self.names.clone();
        fields.resize(self.raw.min(MAX_COLUMNS), String::new());
        fields
    }

    fn name_of(&self, column: Column) -> Option<&str> {
        let found = FoundColumns::find(&ColumnNames::new(&self.names), &Format::default());
        let at = match column {
            Column::TransactionId => found.ids.first().copied(),
            Column::Amount => found.amount.as_ref().and_then(|it| it.values()[0].copied()),
            Column::Date => found.date,
            Column::Description => found.descriptions.first().copied(),
        };
        at.map(|at| trim(&self.names[at]))
    }
}

impl Candidate {
    fn read(delimiter: u8, head: &[u8], start: usize, format: &Format) -> Self {
        let limit = match format.skip_records {
            Some(skipped) => skipped as usize + 1,
            None => MAX_PREAMBLE,
        };
        let mut candidate = Self {
            delimiter,
            records: first_records(delimiter, head, start, limit.max(MAX_PREAMBLE)),
            place: None,
            is_found: false,
            known: 0,
        };
        if let Some(skipped) = format.skip_records {
            let skipped = skipped as usize;
            candidate.place = (skipped < candidate.records.len()).then_some(skipped);
        } else if !format.is_headless() && names_decide(format) {
            candidate.place = (0..candidate.records.len().min(MAX_PREAMBLE)).find(|at| {
                candidate
                    .columns(&candidate.records[*at], format)
                    .has_required()
            });
            candidate.is_found = candidate.place.is_some();
        }
        if candidate.place.is_none() && format.skip_records.is_none() {
            candidate.place = (!candidate.records.is_empty()).then_some(0);
        }
        if let Some(at) = candidate.place {
            candidate.known = candidate.columns(&candidate.records[at], format).known;
        }
        candidate
    }

    fn columns(&self, record: &First, format: &Format) -> FoundColumns {
        let names = match format.is_headless() {
            // A name that no format can contain.
            true => ColumnNames::new(&vec!["\0".to_owned(); record.raw.min(MAX_COLUMNS)]),
            false => ColumnNames::new(&record.names),
        };
        FoundColumns::find(&names, format)
    }

    /// Returns a key that is least for the best candidate. A header that was found by its names beats others; then the
    /// earlier record in the file wins, then more known columns, then, if it wasn't found by names, more fields.
    fn order(&self) -> impl Ord {
        let header = self.place.map(|at| &self.records[at]);
        let start = header.filter(|_| self.is_found).map_or(0, |it| it.start);
        let fields = header.filter(|_| !self.is_found).map_or(0, |it| it.raw);
        (
            !self.is_found,
            start,
            usize::MAX - self.known,
            usize::MAX - fields,
        )
    }

    fn first_records(&self) -> FirstRecords {
        FirstRecords {
            delimiter: self.delimiter,
            records: self.records.iter().map(First::fields_as_split).collect(),
        }
    }
}

/// Returns whether a header can be found by names: at least one required column isn't given by its number.
fn names_decide(format: &Format) -> bool {
    let columns = &format.columns;
    let is_name = |column: &&ColumnRef| matches!(column, ColumnRef::Name(_));
    let ids = columns.transaction_id.as_ref().map(|ids| &ids.from);
    let amount = columns.amount.as_ref().map(|amount| amount.all());
    ids.is_none_or(|ids| ids.iter().any(|id| is_name(&id)))
        || amount.is_none_or(|all| all.iter().flatten().any(is_name))
        || columns.date.as_ref().is_none_or(|date| is_name(&date))
}

/// Returns the first records that are not skipped and end in time.
fn first_records(delimiter: u8, head: &[u8], start: usize, limit: usize) -> Vec<First> {
    let mut scanner = Scanner::new(delimiter);
    let mut start = start;
    let mut records = Vec::new();
    while records.len() < limit {
        let (length, next) = match scanner.scan(&head[start..]) {
            Step::End(length) => (length - 1, start + length),
            Step::More if scanner.finish() => (head.len() - start, head.len()),
            Step::More | Step::TooLarge(_) => break,
        };
        if start + length > MAX_HEADER_END {
            break;
        }
        if scanner.has_character() {
            let is_unclosed = next == head.len() && scanner.is_in_quotes();
            let bytes = &head[start..start + length];
            let record = Record::first(bytes, scanner.starts(), is_unclosed);
            records.push(First::of(&record, delimiter, start, next));
        }
        start = next;
        scanner.next_record();
    }
    records
}
