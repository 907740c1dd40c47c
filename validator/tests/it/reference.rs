//! A second implementation of version 2 of the rules, written from their text alone (`docs/RULES.md`). It is slow and
//! simple, works on the whole file at once, and splits records with csv-core. The only types of the crate that it uses
//! are those of a format.

use std::collections::HashSet;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use encoding_rs::DecoderResult;
use validator::{
    AmountColumns, ColumnRef, DateOrder, Decimal, Encoding, Fields, Format, IgnoredValue, Limits,
};

const LIMIT: usize = 1_048_576;
const MAX_COLUMNS: usize = 1_000;
const MAX_PREAMBLE: usize = 100;

/// The exact parts of a row: everything except messages. An ignored row has only its number and line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    pub row_number: u64,
    pub line: Option<u64>,
    pub transaction_id: Option<String>,
    pub amount: Option<String>,
    pub date: Option<String>,
    pub description: Option<String>,
    pub is_suspicious: bool,
    pub is_ignored: bool,
    pub codes: Vec<&'static str>,
}

/// A file that was read, and how.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    pub delimiter: u8,
    pub date_order: Option<DateOrder>,
    pub decimal: Decimal,
    pub rows: Vec<Verdict>,
}

/// The code of the file's error, or the codes of all questions in alphabetical order.
pub type Failure = Vec<&'static str>;

pub fn read(file: &[u8], format: &Format) -> Result<Read, Failure> {
    let (text, is_legacy) = decode(file, format);
    if text.is_empty() {
        return Err(vec!["file.empty"]);
    }
    let mut questions = Vec::new();
    if is_legacy {
        questions.push("format.encoding");
    }
    let (named, start) = sep_line(&text);
    let candidates = match (format.delimiter, named) {
        (Some(given), _) => vec![given],
        (None, Some(named)) => vec![named],
        (None, None) => b",;\t|".to_vec(),
    };
    let mut best: Option<Candidate> = None;
    for delimiter in candidates {
        let Some(candidate) = Candidate::read(&text, start, delimiter, format) else {
            continue;
        };
        if best.as_ref().is_none_or(|best| candidate.beats(best)) {
            best = Some(candidate);
        }
    }
    let candidate = best.ok_or(vec!["file.no_header"])?;
    let header = &candidate.header;
    let has_header = format.header != Some(false);
    if has_header && header.fields.iter().any(|name| name.contains(&0)) {
        return Err(vec!["file.nul_in_header"]);
    }
    let names = candidate.names(has_header);
    if names.len() > MAX_COLUMNS {
        return Err(vec!["file.too_many_columns"]);
    }
    if has_header
        && (header.is_unclosed(candidate.delimiter, &text[start..])
            || header.has_lines(candidate.delimiter))
    {
        return Err(vec!["file.quote_in_header"]);
    }
    let columns = match Columns::find(&names, format) {
        Some(columns) => columns,
        None => {
            questions.push("format.columns");
            questions.sort_unstable();
            return Err(questions);
        }
    };
    let rules = Rules {
        delimiter: candidate.delimiter,
        count: names.len(),
        columns,
        pads: format.fields == Some(Fields::Pad),
        is_download: has_header && is_download(&names),
        limits: format.suspicious.unwrap_or(Limits::DEFAULT),
    };
    let rows: Vec<Row> = records(&text[start..], candidate.delimiter)
        .filter(|record| !record.is_skipped())
        .skip(candidate.place + usize::from(has_header))
        .scan((0, 0), |(line_ends, at), record| {
            let starts = start + record.start;
            *line_ends += (*at..starts).filter(|at| is_line_end(&text, *at)).count() as u64;
            *at = starts;
            let row = rules.row(record, &text[start..]);
            Some(Row {
                line: 1 + *line_ends,
                ..row
            })
        })
        .collect();

    // Rows with any other row error don't show how many fields were intended.
    let countable = |row: &&Row| matches!(row.error, None | Some("row.column_count"));
    let transactions = || rows.iter().filter(|row| !row.is_ignored).filter(countable);
    let fits = |row: &Row| rules.fits(row);
    if format.fields.is_none()
        && transactions().count() > 0
        && !transactions().any(fits)
        && transactions().all(|row| row.fields.len() == transactions().next().unwrap().fields.len())
    {
        questions.push("format.fields");
    }
    let whole = || transactions().filter(|row| row.error.is_none());
    let mut date_order = format.date_order;
    if date_order.is_none() {
        let dates: Vec<_> = whole()
            .filter_map(|row| order_evidence(&rules.value(row, rules.columns.date)))
            .collect();
        let (day, month) = (dates.contains(&Proof::Day), dates.contains(&Proof::Month));
        match (day, month) {
            (true, false) => date_order = Some(DateOrder::Dmy),
            (false, true) => date_order = Some(DateOrder::Mdy),
            (false, false) if dates.is_empty() => {}
            _ => questions.push("format.date_order"),
        }
    }
    let mut decimal = format.decimal.unwrap_or(Decimal::Point);
    if format.decimal.is_none() {
        let amounts: Vec<_> = whole()
            .flat_map(|row| {
                let places = rules.columns.amount_places();
                places
                    .into_iter()
                    .filter_map(|at| decimal_evidence(&rules.value(row, at)))
            })
            .collect();
        let proves = |sign| amounts.contains(&Some(sign));
        match (proves(Decimal::Point), proves(Decimal::Comma)) {
            (true, false) => decimal = Decimal::Point,
            (false, true) => decimal = Decimal::Comma,
            (false, false) if amounts.is_empty() => {}
            _ => questions.push("format.decimal"),
        }
    }
    if !questions.is_empty() {
        questions.sort_unstable();
        return Err(questions);
    }

    let mut seen = HashSet::new();
    let verdicts = (1..)
        .zip(&rows)
        .map(|(number, row)| rules.verdict(number, row, decimal, date_order, &mut seen))
        .collect();
    Ok(Read {
        delimiter: candidate.delimiter,
        date_order,
        decimal,
        rows: verdicts,
    })
}

/// Returns whether the byte at this index ends a line, alone or as the CR of a CRLF.
fn is_line_end(text: &[u8], at: usize) -> bool {
    match text[at] {
        b'\r' => true,
        b'\n' => at == 0 || text[at - 1] != b'\r',
        _ => false,
    }
}

/// Returns the text, with a byte FF for everything that can't be UTF-8, and whether to ask for the encoding.
fn decode(file: &[u8], format: &Format) -> (Vec<u8>, bool) {
    let (bom, bytes) = match file {
        [0xFE, 0xFF, rest @ ..] => (Some(Encoding::Utf16Be), rest),
        [0xFF, 0xFE, rest @ ..] => (Some(Encoding::Utf16Le), rest),
        [0xEF, 0xBB, 0xBF, rest @ ..] => (Some(Encoding::Utf8), rest),
        all => (None, all),
    };
    match (format.encoding, bom) {
        (Some(given), Some(bom)) if given == bom => (decode_as(bytes, given), false),
        (Some(given), _) => (decode_as(file, given), false),
        (None, Some(bom)) => (decode_as(bytes, bom), false),
        (None, None) => {
            let start = &file[..file.len().min(1024)];
            let nuls = |odd: usize| {
                (odd..start.len())
                    .step_by(2)
                    .filter(|at| start[*at] == 0)
                    .count()
            };
            let places = |odd: usize| (odd..start.len()).step_by(2).count();
            let only =
                |odd: usize| nuls(odd) > 0 && nuls(1 - odd) == 0 && 4 * nuls(odd) >= places(odd);
            if only(1) {
                return (decode_as(file, Encoding::Utf16Le), false);
            }
            if only(0) {
                return (decode_as(file, Encoding::Utf16Be), false);
            }
            let has_invalid = std::str::from_utf8(file).is_err();
            let has_sequence = file.utf8_chunks().any(|chunk| !chunk.valid().is_ascii());
            (file.to_vec(), has_invalid && !has_sequence)
        }
    }
}

/// GBK and GB18030 encode the euro sign in two forms. The one-byte form isn't read.
fn without_short_euro(bytes: &[u8], encoding: &'static encoding_rs::Encoding) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if ![encoding_rs::GBK, encoding_rs::GB18030].contains(&encoding) {
        return bytes;
    }
    let is_character = |bytes: Option<&[u8]>| {
        let text = bytes.map(|it| encoding.decode_without_bom_handling_and_without_replacement(it));
        text.flatten().is_some()
    };
    let mut at = 0;
    while at < bytes.len() {
        at += match (bytes[at], bytes.get(at + 1)) {
            (0x80, _) => {
                bytes[at] = 0xFF;
                1
            }
            (0x81..=0xFE, Some(0x30..=0x39)) if is_character(bytes.get(at..at + 4)) => 4,
            (0x81..=0xFE, Some(0x40..=0x7E | 0x80..=0xFE)) => 2,
            _ => 1,
        };
    }
    bytes
}

fn decode_as(bytes: &[u8], encoding: Encoding) -> Vec<u8> {
    let unit: fn([u8; 2]) -> u16 = match encoding {
        Encoding::Utf8 => return bytes.to_vec(),
        Encoding::Utf16Be => u16::from_be_bytes,
        Encoding::Utf16Le => u16::from_le_bytes,
        Encoding::Legacy(legacy) if !legacy.is_single_byte() => {
            let mut decoder = legacy.new_decoder_without_bom_handling();
            let mut text = Vec::new();
            let bytes = without_short_euro(bytes, legacy);
            let mut rest = &bytes[..];
            loop {
                let mut out = [0; 4096];
                let (result, read, written) =
                    decoder.decode_to_utf8_without_replacement(rest, &mut out, true);
                text.extend_from_slice(&out[..written]);
                rest = &rest[read..];
                match result {
                    DecoderResult::InputEmpty => return text,
                    DecoderResult::OutputFull => {}
                    DecoderResult::Malformed(bad, _) => text.extend(vec![0xFF; bad.into()]),
                }
            }
        }
        Encoding::Legacy(legacy) => {
            let character = |byte: &u8| match legacy
                .decode_without_bom_handling_and_without_replacement(&[*byte])
            {
                Some(character) => character.into_owned().into_bytes(),
                None => vec![0xFF],
            };
            return bytes.iter().flat_map(character).collect();
        }
    };
    let pairs = bytes.chunks_exact(2);
    let odd = pairs.remainder().len();
    let mut text = Vec::new();
    for character in char::decode_utf16(pairs.map(|pair| unit([pair[0], pair[1]]))) {
        match character {
            Ok(character) => text.extend(character.to_string().bytes()),
            Err(_) => text.push(0xFF),
        }
    }
    text.extend(vec![0xFF; odd]);
    text
}

/// Returns the delimiter that a line `sep=X` names if it is the first non-empty line, and where the records start.
fn sep_line(text: &[u8]) -> (Option<u8>, usize) {
    let first = text
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count();
    let line = text[first..]
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .next();
    match line {
        Some(&[b's', b'e', b'p', b'=', x])
            if x.is_ascii() && !x.is_ascii_alphanumeric() && x != b'"' && x != 0 =>
        {
            (Some(x), first + 5)
        }
        _ => (None, 0),
    }
}

/// The header as split at one delimiter.
struct Candidate {
    delimiter: u8,
    header: Record,
    place: usize,
    is_found: bool,
    known: usize,
}

impl Candidate {
    fn read(text: &[u8], start: usize, delimiter: u8, format: &Format) -> Option<Self> {
        let has_header = format.header != Some(false);
        let first: Vec<Record> = records(&text[start..], delimiter)
            .filter(|record| !record.is_skipped())
            .take_while(|record| start + record.end <= LIMIT)
            .take(MAX_PREAMBLE.max(format.skip_records.unwrap_or(0) as usize + 1))
            .collect();
        let contains_required = |record: &&Record| {
            Columns::find_each(&record.names(has_header), format)[..3]
                .iter()
                .all(|found| *found != Found::Missing)
        };
        let found = match has_header && format.skip_records.is_none() && has_required_names(format)
        {
            true => first
                .iter()
                .take(MAX_PREAMBLE)
                .position(|record| contains_required(&record)),
            false => None,
        };
        let place = found.unwrap_or(format.skip_records.unwrap_or(0) as usize);
        let header = first.into_iter().nth(place)?;
        let known = Columns::find_each(&header.names(has_header), format)
            .iter()
            .filter(|found| **found != Found::Missing)
            .count();
        Some(Self {
            delimiter,
            header,
            place,
            is_found: found.is_some(),
            known,
        })
    }

    /// Returns whether it beats a candidate that precedes it in the order of the rules.
    fn beats(&self, before: &Self) -> bool {
        match (self.is_found, before.is_found) {
            (true, false) => true,
            (false, true) => false,
            (true, true) if self.header.start != before.header.start => {
                self.header.start < before.header.start
            }
            (true, true) => self.known > before.known,
            (false, false) if self.known != before.known => self.known > before.known,
            (false, false) => self.header.fields.len() > before.header.fields.len(),
        }
    }

    fn names(&self, has_header: bool) -> Vec<String> {
        self.header.names(has_header)
    }
}

/// Returns whether any required column has to be found by its name.
fn has_required_names(format: &Format) -> bool {
    let is_name = |column: &ColumnRef| matches!(column, ColumnRef::Name(_));
    let columns = &format.columns;
    let id = columns.transaction_id.as_ref();
    let amount = columns.amount.as_ref();
    id.is_none_or(|id| id.from.iter().any(is_name))
        || amount.is_none_or(|amount| all_of(amount).into_iter().any(is_name))
        || columns.date.as_ref().is_none_or(is_name)
}

fn all_of<C>(amount: &AmountColumns<C>) -> Vec<&C> {
    match amount {
        AmountColumns::One(one) => vec![one],
        AmountColumns::DebitCredit { debit, credit } => vec![debit, credit],
        AmountColumns::Signed { value, sign, .. } => vec![value, sign],
    }
}

/// The positions of the columns of a file.
struct Columns {
    /// If empty, rows have no id.
    ids: Vec<usize>,
    ids_are_unique: bool,
    amount: AmountColumns<usize>,
    date: usize,
    descriptions: Vec<usize>,
    ignore: Vec<(usize, IgnoredValue)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    At(usize),
    /// Several columns that are used together. Empty if none has to be found.
    All(Vec<usize>),
    Missing,
    Repeated,
}

impl Columns {
    /// Finds the id, the amount, the date and the description.
    fn find_each(names: &[String], format: &Format) -> [Found; 4] {
        let columns = &format.columns;
        let several = |given: &[ColumnRef]| {
            let (mut places, mut is_repeated) = (Vec::new(), false);
            for column in given {
                match find_given(names, column) {
                    Found::At(at) => places.push(at),
                    Found::Missing => return Found::Missing,
                    _ => is_repeated = true,
                }
            }
            match is_repeated {
                true => Found::Repeated,
                false => Found::All(places),
            }
        };
        let date = match find_name(names, "date") {
            Found::Missing => find_name(names, "timestamp"),
            found => found,
        };
        [
            match &columns.transaction_id {
                None => find_name(names, "transaction_id"),
                Some(id) => several(&id.from),
            },
            match &columns.amount {
                None => find_name(names, "amount"),
                Some(amount) => {
                    let all: Vec<ColumnRef> = all_of(amount).into_iter().cloned().collect();
                    several(&all)
                }
            },
            match &columns.date {
                None => date,
                Some(given) => find_given(names, given),
            },
            match &columns.description {
                None => find_name(names, "description"),
                Some(given) => several(given),
            },
        ]
    }

    /// Returns `None` unless every required or given column exists exactly once.
    fn find(names: &[String], format: &Format) -> Option<Self> {
        let [id, amount, date, description] = Self::find_each(names, format);
        let given = &format.columns;
        let places = |found: Found| match found {
            Found::At(at) => Some(vec![at]),
            Found::All(all) => Some(all),
            Found::Missing | Found::Repeated => None,
        };
        let descriptions = match description {
            Found::Missing if given.description.is_none() => Vec::new(),
            found => places(found)?,
        };
        let mut ignore = Vec::new();
        for condition in format.ignore.iter().flatten() {
            ignore.push((
                places(find_given(names, &condition.column))?[0],
                condition.is.clone(),
            ));
        }
        let amounts = places(amount)?;
        let amount = match &given.amount {
            None | Some(AmountColumns::One(_)) => AmountColumns::One(amounts[0]),
            Some(AmountColumns::DebitCredit { .. }) => AmountColumns::DebitCredit {
                debit: amounts[0],
                credit: amounts[1],
            },
            Some(AmountColumns::Signed { negative, .. }) => AmountColumns::Signed {
                value: amounts[0],
                sign: amounts[1],
                negative: negative.clone(),
            },
        };
        Some(Self {
            ids: places(id)?,
            ids_are_unique: given.transaction_id.as_ref().is_none_or(|id| id.unique),
            amount,
            date: places(date)?[0],
            descriptions,
            ignore,
        })
    }

    /// Returns the columns with numbers.
    fn amount_places(&self) -> Vec<usize> {
        match &self.amount {
            AmountColumns::One(at) | AmountColumns::Signed { value: at, .. } => vec![*at],
            AmountColumns::DebitCredit { debit, credit } => vec![*debit, *credit],
        }
    }

    fn in_use(&self) -> Vec<usize> {
        let mut used = self.ids.clone();
        used.extend(all_of(&self.amount));
        used.push(self.date);
        used.extend(&self.descriptions);
        used.extend(self.ignore.iter().map(|(at, _)| at));
        used
    }
}

/// Normalizes a name for comparison.
fn comparable(name: &str) -> String {
    let invisible = |c: char| {
        ('\u{200B}'..='\u{200F}').contains(&c) || ['\u{2060}', '\u{FEFF}', '\u{AD}'].contains(&c)
    };
    trim(&name.replace(invisible, ""))
        .to_lowercase()
        .replace([' ', '-'], "_")
        .replace('_', "")
}

fn find_name(names: &[String], wanted: &str) -> Found {
    let wanted = comparable(wanted);
    let places: Vec<usize> = (0..names.len())
        .filter(|at| comparable(&names[*at]) == wanted)
        .collect();
    match places[..] {
        [] => Found::Missing,
        [one] => Found::At(one),
        _ => Found::Repeated,
    }
}

/// A name that matches a single column exactly selects that column, even if others are similar.
fn find_given(names: &[String], column: &ColumnRef) -> Found {
    match column {
        ColumnRef::Number(number) => match (*number as usize) <= names.len() {
            true => Found::At(*number as usize - 1),
            false => Found::Missing,
        },
        ColumnRef::Name(name) => {
            let same = |at: &usize| trim(&names[*at]) == trim(name);
            let places: Vec<usize> = (0..names.len()).filter(same).collect();
            match places[..] {
                [one] => Found::At(one),
                _ => find_name(names, name),
            }
        }
    }
}

/// Returns whether the last columns are those of `results.csv`.
fn is_download(names: &[String]) -> bool {
    let names: Vec<&str> = names.iter().map(|name| trim(name)).collect();
    let verdict = ["is_valid", "is_suspicious", "errors", "error_message"];
    let own = names
        .strip_suffix(&["amount_read", "date_read"])
        .unwrap_or(&names);
    own.strip_suffix(&verdict)
        .map(|own| own.strip_suffix(&["line"]).unwrap_or(own))
        .and_then(|own| own.strip_suffix(&["row_number"]))
        .is_some_and(|own| !own.is_empty())
}

/// Removes the apostrophes that a download added to a field.
fn without_apostrophes(cell: &str) -> String {
    let mut original = String::new();
    let mut may_begin_cell = true;
    for (at, character) in cell.char_indices() {
        let rest = &cell[at + character.len_utf8()..];
        let end = rest
            .find([',', ';', '\t', '\r', '\n'])
            .unwrap_or(rest.len());
        let runs = match at {
            0 => rest.starts_with(['\t', '\r']) || is_formula(rest),
            _ => is_formula(&rest[..end]),
        };
        if !(character == '\'' && may_begin_cell && runs) {
            original.push(character);
        }
        may_begin_cell = matches!(character, ',' | ';' | '\t' | '\r' | '\n');
    }
    original
}

fn is_formula(text: &str) -> bool {
    let invisible =
        "\n\u{B}\u{C}\u{A0}\u{AD}\u{200B}\u{200C}\u{200D}\u{200E}\u{200F}\u{2060}\u{FEFF}";
    let text = text.trim_start_matches(|character| invisible.contains(character));
    let is_number = || {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        unsigned_number(unsigned, Decimal::Point, false)
            .is_some_and(|code| code != Err("amount.not_a_number"))
    };
    text.starts_with(['=', '@', '＝', '＠', '＋', '－'])
        || (text.starts_with(['+', '-']) && !is_number())
}

/// How the rows of a file are read.
struct Rules {
    delimiter: u8,
    /// The number of columns.
    count: usize,
    columns: Columns,
    pads: bool,
    is_download: bool,
    limits: Limits,
}

/// A record after the header.
struct Row {
    fields: Vec<Vec<u8>>,
    error: Option<&'static str>,
    is_ignored: bool,
    /// The line on which the record starts.
    line: u64,
}

impl Rules {
    fn row(&self, record: Record, text: &[u8]) -> Row {
        let unreadable =
            |value: &Vec<u8>| value.contains(&0) || std::str::from_utf8(value).is_err();
        let is_row = |line: &[u8]| {
            let mut fields = line.split(|byte| *byte == self.delimiter);
            fields.by_ref().take(self.count).count() == self.count && fields.all(is_empty)
        };
        let has_row = |value: &Vec<u8>| lines_after_the_first(value).any(is_row);
        let too_large = record.bytes.len() > LIMIT;
        let is_unclosed = record.is_unclosed(self.delimiter, text);
        let mut row = Row {
            fields: record.fields,
            error: None,
            is_ignored: false,
            line: 0,
        };
        row.is_ignored = !too_large
            && self.columns.ignore.iter().any(|(at, is)| {
                let value = self.value(&row, *at);
                match is {
                    IgnoredValue::Empty => value.is_empty(),
                    IgnoredValue::OneOf(values) => values.iter().any(|it| trim(it) == value),
                }
            });
        row.error = if too_large {
            Some("row.too_large")
        } else if row.fields.iter().any(unreadable) {
            Some("row.encoding")
        } else if is_unclosed {
            Some("row.unclosed_quote")
        } else if self.count >= 3 && row.fields.iter().any(has_row) {
            Some("row.quoted_lines")
        } else if !self.fits(&row) {
            Some("row.column_count")
        } else {
            None
        };
        row
    }

    /// Returns whether a row has the right number of fields.
    fn fits(&self, row: &Row) -> bool {
        let fields = row.fields.len();
        fields == self.count
            || (fields > self.count && row.fields[self.count..].iter().all(|field| is_empty(field)))
            || (fields < self.count
                && self.pads
                && self.columns.in_use().iter().all(|at| *at < fields))
    }

    /// Returns a field unchanged except for the apostrophes of a download.
    fn cell(&self, row: &Row, at: usize) -> Option<String> {
        let text = String::from_utf8_lossy(row.fields.get(at)?).replace('\0', "\u{FFFD}");
        Some(match self.is_download {
            true => without_apostrophes(&text),
            false => text,
        })
    }

    /// Returns a trimmed value. Empty if there is no field.
    fn value(&self, row: &Row, at: usize) -> String {
        trim(&self.cell(row, at).unwrap_or_default()).to_owned()
    }

    fn verdict(
        &self,
        row_number: u64,
        row: &Row,
        decimal: Decimal,
        date_order: Option<DateOrder>,
        seen: &mut HashSet<String>,
    ) -> Verdict {
        let mut verdict = Verdict {
            row_number,
            line: Some(row.line),
            ..Verdict::default()
        };
        if row.is_ignored {
            verdict.is_ignored = true;
            return verdict;
        }
        verdict.codes.extend(row.error);
        if row.error == Some("row.too_large") {
            return verdict;
        }
        let columns = &self.columns;
        verdict.description = match &columns.descriptions[..] {
            [] => None,
            [one] => self.cell(row, *one),
            several => {
                let values = several.iter().filter_map(|at| self.cell(row, *at));
                let values: Vec<String> = values.filter(|value| !trim(value).is_empty()).collect();
                (!values.is_empty()).then(|| values.join(" "))
            }
        };
        let values: Vec<String> = columns.ids.iter().map(|at| self.value(row, *at)).collect();
        let id = match values.iter().all(String::is_empty) {
            true => String::new(),
            false => values.join("/"),
        };
        if row.error.is_some() {
            verdict.transaction_id = match columns.ids[..] {
                [] => None,
                [one] => (one < row.fields.len()).then_some(id),
                _ => (!id.is_empty()).then_some(id),
            };
            return verdict;
        }

        if columns.ids.is_empty() {
        } else if id.is_empty() {
            verdict.codes.push("transaction_id.missing");
        } else if id.chars().count() > 255 {
            verdict.codes.push("transaction_id.too_long");
            verdict.transaction_id = Some(id.chars().take(255).collect());
        } else {
            verdict.transaction_id = Some(id.clone());
            if columns.ids_are_unique && !seen.insert(id) {
                verdict.codes.push("transaction_id.duplicate");
            }
        }
        match self.amount(row, decimal) {
            Ok(amount) => {
                let units = units(&amount);
                let limit = |limit: validator::Amount| self::units(&limit.to_string());
                verdict.is_suspicious = self.limits.below.is_some_and(|below| units < limit(below))
                    || self.limits.above.is_some_and(|above| units > limit(above));
                verdict.amount = Some(amount);
            }
            Err(code) => verdict.codes.push(code),
        }
        match date(&self.value(row, columns.date), date_order) {
            Ok(date) => verdict.date = Some(date),
            Err(code) => verdict.codes.push(code),
        }
        verdict
    }

    fn amount(&self, row: &Row, decimal: Decimal) -> Result<String, &'static str> {
        let read = |at: &usize| amount(&self.value(row, *at), decimal);
        let debit_of = |amount: String| match units(&amount) {
            0 => amount,
            _ => format!("-{}", amount.trim_start_matches('-')),
        };
        match &self.columns.amount {
            AmountColumns::One(at) => read(at),
            AmountColumns::Signed {
                value,
                sign,
                negative,
            } => {
                let amount = read(value)?;
                let sign = self.value(row, *sign);
                Ok(match negative.iter().any(|it| trim(it) == sign) {
                    true => debit_of(amount),
                    false => amount,
                })
            }
            AmountColumns::DebitCredit { debit, credit } => {
                let (has_debit, has_credit) = (
                    !self.value(row, *debit).is_empty(),
                    !self.value(row, *credit).is_empty(),
                );
                if !has_debit {
                    return read(credit);
                }
                if !has_credit {
                    return read(debit).map(debit_of);
                }
                let not_a_number = Err("amount.not_a_number");
                match (read(debit), read(credit)) {
                    (Ok(debit), Ok(credit)) => match (units(&debit), units(&credit)) {
                        (0, 0) => not_a_number,
                        (0, _) => Ok(credit),
                        (_, 0) => Ok(debit_of(debit)),
                        _ => not_a_number,
                    },
                    (debit, credit) if debit == not_a_number || credit == not_a_number => {
                        not_a_number
                    }
                    (Err(code), _) | (_, Err(code)) => Err(code),
                }
            }
        }
    }
}

fn is_empty(field: &[u8]) -> bool {
    trim(&String::from_utf8_lossy(field)).is_empty()
}

/// Yields the lines of a value except the first.
fn lines_after_the_first(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| matches!(byte, b'\r' | b'\n')).skip(1)
}

pub struct Record {
    pub fields: Vec<Vec<u8>>,
    /// The record without its line end.
    pub bytes: Vec<u8>,
    /// The range of the record in the text.
    start: usize,
    end: usize,
    /// Where the next record may start.
    next: usize,
}

impl Record {
    fn is_skipped(&self) -> bool {
        self.fields.iter().all(Vec::is_empty)
    }

    /// Returns the names of a header without trailing empty names. Without a header, returns a name that no format can
    /// contain for each field.
    fn names(&self, has_header: bool) -> Vec<String> {
        if !has_header {
            return vec!["\0".to_owned(); self.fields.len()];
        }
        let name = |name: &Vec<u8>| String::from_utf8_lossy(name).into_owned();
        let mut names: Vec<String> = self.fields.iter().map(name).collect();
        while names.len() > 1 && names.last().is_some_and(|name| trim(name).is_empty()) {
            names.pop();
        }
        names
    }

    /// Returns whether a quoted field is still open at the end of the text.
    fn is_unclosed(&self, delimiter: u8, text: &[u8]) -> bool {
        if self.next < text.len() {
            return false;
        }
        let (mut is_open, mut is_start) = (false, true);
        let mut bytes = self.bytes.iter().peekable();
        while let Some(&byte) = bytes.next() {
            if is_open {
                if byte == b'"' && bytes.peek() == Some(&&b'"') {
                    bytes.next();
                } else if byte == b'"' {
                    is_open = false;
                }
                is_start = false;
            } else {
                is_open = is_start && byte == b'"';
                is_start = byte == delimiter;
            }
        }
        is_open
    }

    /// Returns whether a value contains a line that would have three fields or more.
    fn has_lines(&self, delimiter: u8) -> bool {
        let fields = |line: &[u8]| line.split(|byte| *byte == delimiter).count();
        self.fields
            .iter()
            .any(|value| lines_after_the_first(value).any(|line| fields(line) >= 3))
    }
}

/// Splits a text with csv-core.
pub fn records(text: &[u8], delimiter: u8) -> impl Iterator<Item = Record> {
    let mut reader = ReaderBuilder::new().delimiter(delimiter).build();
    // csv-core drops a BOM at the start of its input and skips empty lines. With an empty line first, no BOM is at the
    // start.
    reader.read_record(b"\n", &mut [], &mut []);
    Split {
        text,
        at: 0,
        reader,
    }
}

struct Split<'a> {
    text: &'a [u8],
    at: usize,
    reader: Reader,
}

impl Iterator for Split<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        // csv-core would skip these. They don't belong to the record.
        while matches!(self.text.get(self.at), Some(b'\r' | b'\n')) {
            self.at += 1;
        }
        let start = self.at;
        let mut values = Vec::new();
        let mut ends = Vec::new();
        loop {
            let input = &self.text[self.at..self.text.len().min(self.at + 1000)];
            let (mut out, mut out_ends) = ([0; 1001], [0; 1002]);
            let (result, read, written, ended) =
                self.reader.read_record(input, &mut out, &mut out_ends);
            values.extend_from_slice(&out[..written]);
            ends.extend_from_slice(&out_ends[..ended]);
            self.at += read;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record => {
                    // At the end of the text there is no line end.
                    let end = self.at - usize::from(read > 0);
                    let mut from = 0;
                    let fields = ends.iter().map(|&to| {
                        let value = values[from..to].to_vec();
                        from = to;
                        value
                    });
                    return Some(Record {
                        fields: fields.collect(),
                        bytes: self.text[start..end].to_vec(),
                        start,
                        end,
                        next: self.at,
                    });
                }
                ReadRecordResult::End => return None,
                full => panic!("{full:?}"),
            }
        }
    }
}

fn trim(value: &str) -> &str {
    value.trim_matches(|c| c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\u{A0}')
}

/// Returns an amount in units of 10^-10.
fn units(amount: &str) -> i128 {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let units = format!("{whole}{fraction:0<10}");
    units.parse().unwrap()
}

/// Returns the amount as decimal text.
pub fn amount(value: &str, decimal: Decimal) -> Result<String, &'static str> {
    if value.is_empty() {
        return Err("amount.missing");
    }
    for (is_negative, rest) in peeled(value) {
        match unsigned_number(&rest, decimal, true) {
            None | Some(Err("amount.not_a_number")) => {}
            Some(Err(code)) => return Err(code),
            Some(Ok(amount)) => {
                let is_zero = amount.chars().all(|c| c == '0' || c == '.');
                let sign = if is_negative && !is_zero { "-" } else { "" };
                return Ok(format!("{sign}{amount}"));
            }
        }
    }
    Err("amount.not_a_number")
}

/// Returns the rest of a value for every way to remove currency, sign and parentheses, with whether it is negative.
fn peeled(value: &str) -> Vec<(bool, String)> {
    #[derive(Clone, Copy, Default)]
    struct Used {
        currency: bool,
        sign: Option<bool>,
        parentheses: bool,
    }
    fn peel(value: &str, used: Used, found: &mut Vec<(bool, String)>) {
        if used.sign.is_none() || !used.parentheses {
            let is_negative = used.parentheses || used.sign == Some(true);
            found.push((is_negative, value.to_owned()));
        }
        let space = [' ', '\u{A0}', '\u{202F}'];
        let start = |length: usize| value[length..].trim_start_matches(space);
        let end = |length: usize| value[..value.len() - length].trim_end_matches(space);
        if !used.currency {
            let used = Used {
                currency: true,
                ..used
            };
            for marker in markers(value) {
                if value.starts_with(&marker) {
                    peel(start(marker.len()), used, found);
                }
                if value.ends_with(&marker) {
                    peel(end(marker.len()), used, found);
                }
            }
        }
        if used.sign.is_none() {
            for (sign, is_negative) in [("-", true), ("\u{2212}", true), ("+", false)] {
                let used = Used {
                    sign: Some(is_negative),
                    ..used
                };
                if value.starts_with(sign) {
                    peel(start(sign.len()), used, found);
                }
                if value.ends_with(sign) {
                    peel(end(sign.len()), used, found);
                }
            }
        }
        if !used.parentheses {
            let inner = value
                .strip_prefix('(')
                .and_then(|value| value.strip_suffix(')'));
            if let Some(inner) = inner {
                let used = Used {
                    parentheses: true,
                    ..used
                };
                peel(inner.trim_matches(space), used, found);
            }
        }
    }
    let mut found = Vec::new();
    peel(value, Used::default(), &mut found);
    found
}

/// Returns the currencies that a value may have at one of its ends.
fn markers(value: &str) -> Vec<String> {
    let mut markers: Vec<String> = ["kr", "zł", "Fr.", "R$"].map(str::to_owned).to_vec();
    let is_symbol = |c: &char| matches!(c, '$' | '¢'..='¥' | '\u{58F}' | '\u{60B}' | '\u{E3F}' | '\u{20A0}'..='\u{20C0}');
    markers.extend(value.chars().filter(is_symbol).map(String::from));
    let characters: Vec<char> = value.chars().collect();
    for three in characters.windows(3) {
        if three.iter().all(char::is_ascii_uppercase) {
            markers.push(three.iter().collect());
        }
    }
    markers
}

/// Parses a number without a sign. Returns its digits with a point, or its error.
fn unsigned_number(
    value: &str,
    decimal: Decimal,
    has_groups: bool,
) -> Option<Result<String, &'static str>> {
    let not_a_number = Some(Err("amount.not_a_number"));
    let (point, group) = match decimal {
        Decimal::Point => ('.', ','),
        Decimal::Comma => (',', '.'),
    };
    let is_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let (number, exponent) = match value.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (value, None),
    };
    let (whole, fraction) = number.split_once(point).unwrap_or((number, ""));
    let mut whole = whole.to_owned();
    let separator = whole.chars().find(|c| !c.is_ascii_digit());
    if let Some(separator) = separator {
        let separators = [group, ' ', '\u{A0}', '\u{202F}', '\'', '\u{2019}'];
        let groups: Vec<&str> = whole.split(separator).collect();
        let first = groups[0].len();
        if !has_groups
            || exponent.is_some()
            || !separators.contains(&separator)
            || !(1..=3).contains(&first)
            || groups[1..].iter().any(|group| group.len() != 3)
            || !groups.iter().all(|group| is_digits(group))
        {
            return not_a_number;
        }
        whole = groups.concat();
    }
    if !is_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return not_a_number;
    }
    let mut shift = 0;
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if digits.is_empty() || !is_digits(digits) {
            return not_a_number;
        }
        let digits = digits.trim_start_matches('0');
        if digits.len() > 2 {
            return Some(Err("amount.out_of_range"));
        }
        shift = digits.parse::<i32>().unwrap_or(0) * if exponent.starts_with('-') { -1 } else { 1 };
    }
    // Moves the point digit by digit.
    let mut fraction = fraction.to_owned();
    for _ in 0..shift {
        whole.push(if fraction.is_empty() {
            '0'
        } else {
            fraction.remove(0)
        });
    }
    for _ in shift..0 {
        fraction.insert(0, whole.pop().unwrap_or('0'));
    }
    let whole = whole.trim_start_matches('0');
    if whole.len() > 18 || fraction.trim_end_matches('0').len() > 10 {
        return Some(Err("amount.out_of_range"));
    }
    fraction.truncate(10);
    let point = if fraction.is_empty() { "" } else { "." };
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(Ok(format!("{whole}{point}{fraction}")))
}

/// Returns what a value proves about the decimal sign. `None` if it has no such sign or isn't a number with either one.
/// `Some(None)` if it could be either.
fn decimal_evidence(value: &str) -> Option<Option<Decimal>> {
    let is_number = |rest: &str| {
        let is = |decimal| {
            let number = unsigned_number(rest, decimal, true);
            number.is_some_and(|number| number != Err("amount.not_a_number"))
        };
        is(Decimal::Point) || is(Decimal::Comma)
    };
    let (_, rest) = peeled(value)
        .into_iter()
        .find(|(_, rest)| is_number(rest))?;
    let (points, commas) = (rest.matches('.').count(), rest.matches(',').count());
    let sign = |c: char| match c {
        '.' => Decimal::Point,
        _ => Decimal::Comma,
    };
    match (points, commas) {
        (0, 0) => None,
        (1.., 1..) => {
            let last = rest.rfind(['.', ',']).unwrap();
            let last = rest[last..].chars().next().unwrap();
            Some((rest.matches(last).count() == 1).then(|| sign(last)))
        }
        (2.., 0) => Some(Some(Decimal::Comma)),
        (0, 2..) => Some(Some(Decimal::Point)),
        _ => {
            let (before, after) = rest.split_once(['.', ',']).unwrap();
            let is_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
            let is_ambiguous = after.len() == 3
                && is_digits(after)
                && (1..=3).contains(&before.len())
                && is_digits(before)
                && before != "0";
            Some((!is_ambiguous).then(|| sign(if points == 1 { '.' } else { ',' })))
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    Day,
    Month,
    Neither,
}

/// Returns what a date proves about the order of day and month, if it has one.
fn order_evidence(value: &str) -> Option<Proof> {
    let (day, _) = split_date(value)?;
    let Day::Ordered(first, second, _, '/' | '-') = day else {
        return None;
    };
    Some(match (first, second) {
        (13..=31, 1..=12) => Proof::Day,
        (1..=12, 13..=31) => Proof::Month,
        _ => Proof::Neither,
    })
}

enum Day {
    /// Year, month and day.
    Certain(u32, u32, u32),
    /// Two numbers, the year, and the separator.
    Ordered(u32, u32, u32, char),
}

/// Returns the day, and whether the time exists.
fn split_date(value: &str) -> Option<(Day, bool)> {
    let ends = value.char_indices().map(|(at, _)| at).chain([value.len()]);
    ends.filter_map(|end| Some((day(&value[..end])?, time(&value[end..])?)))
        .next()
}

/// Replaces every digit with 0.
fn shape(value: &str) -> String {
    value
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect()
}

fn day(value: &str) -> Option<Day> {
    let number = |text: &str| text.parse::<u32>().unwrap();
    match shape(value).as_str() {
        "0000-00-00" | "0000/00/00" | "0000.00.00" => {
            return Some(Day::Certain(
                number(&value[..4]),
                number(&value[5..7]),
                number(&value[8..]),
            ));
        }
        "00000000" => {
            return Some(Day::Certain(
                number(&value[..4]),
                number(&value[4..6]),
                number(&value[6..]),
            ));
        }
        _ => {}
    }
    for separator in ['/', '-', '.'] {
        let parts: Vec<&str> = value.split(separator).collect();
        let [first, second, year] = parts[..] else {
            continue;
        };
        let is_short = |part: &str| matches!(shape(part).as_str(), "0" | "00");
        if is_short(first) && is_short(second) && matches!(shape(year).as_str(), "00" | "0000") {
            let year = match (year.len(), number(year)) {
                (2, short @ 0..=68) => 2000 + short,
                (2, short) => 1900 + short,
                (_, year) => year,
            };
            return Some(Day::Ordered(number(first), number(second), year, separator));
        }
    }
    let month = |name: &str| {
        let names = [
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ];
        let name = name.to_ascii_lowercase();
        let at = names
            .iter()
            .position(|month| name == *month || name == month[..3])?;
        Some(at as u32 + 1)
    };
    let parts: Vec<&str> = value.split(' ').collect();
    let dashed: Vec<&str> = value.split('-').collect();
    let (day, name, year) = match (&parts[..], &dashed[..]) {
        ([day, name, year], _) if month(name).is_some() => (*day, *name, *year),
        ([name, day, year], _) => (day.strip_suffix(',').unwrap_or(day), *name, *year),
        (_, [day, name, year]) => (*day, *name, *year),
        _ => return None,
    };
    let month = month(name)?;
    (matches!(shape(day).as_str(), "0" | "00") && shape(year) == "0000")
        .then(|| Day::Certain(number(year), month, number(day)))
}

/// Returns whether the time after a date exists, or `None` if its form is wrong. No time counts as a time.
fn time(value: &str) -> Option<bool> {
    if value.is_empty() {
        return Some(true);
    }
    let starts = [", ", "  ", " ", "T", "t"];
    let time = starts.iter().find_map(|start| value.strip_prefix(start))?;
    let zones = [" UTC", " GMT"];
    let time = zones
        .iter()
        .find_map(|zone| time.strip_suffix(zone))
        .unwrap_or(time);
    // The offset in hours and minutes.
    let mut offset = (0, 0);
    let mut clock = time;
    if let Some(rest) = time.strip_suffix(['Z', 'z']) {
        clock = rest;
    } else if let Some(at) = time.find(['+', '-']) {
        let digits = match shape(&time[at + 1..]).as_str() {
            "00:00" | "0000" => time[at + 1..].replace(':', ""),
            _ => return None,
        };
        offset = (
            digits[..2].parse::<u32>().unwrap(),
            digits[2..].parse::<u32>().unwrap(),
        );
        clock = &time[..at];
    }
    let upper = clock.to_ascii_uppercase();
    let half_day = upper.ends_with("AM") || upper.ends_with("PM");
    if half_day {
        clock = &clock[..clock.len() - 2];
        clock = clock.strip_suffix(' ').unwrap_or(clock);
    }
    let (clock, fraction) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (clock, None),
    };
    let has_fraction = matches!(shape(clock).as_str(), "0:00:00" | "00:00:00");
    if !has_fraction && (fraction.is_some() || !matches!(shape(clock).as_str(), "0:00" | "00:00")) {
        return None;
    }
    if fraction.is_some_and(|digits| shape(digits) != "000000000"[..digits.len().clamp(1, 9)]) {
        return None;
    }
    let numbers: Vec<u32> = clock
        .split(':')
        .map(|number| number.parse().unwrap())
        .collect();
    let hours = if half_day { 1..=12 } else { 0..=23 };
    Some(
        hours.contains(&numbers[0])
            && numbers[1..].iter().all(|number| *number < 60)
            && offset.1 < 60
            && offset.0 * 60 + offset.1 <= 14 * 60,
    )
}

/// Returns the date as `YYYY-MM-DD`.
pub fn date(value: &str, order: Option<DateOrder>) -> Result<String, &'static str> {
    if value.is_empty() {
        return Err("date.missing");
    }
    let (day, is_time) = split_date(value).ok_or("date.not_a_date")?;
    let (year, month, day) = match (day, order) {
        (Day::Certain(year, month, day), _) => (year, month, day),
        (Day::Ordered(day, month, year, '.'), _) => (year, month, day),
        (Day::Ordered(day, month, year, _), Some(DateOrder::Dmy)) => (year, month, day),
        (Day::Ordered(month, day, year, _), Some(DateOrder::Mdy)) => (year, month, day),
        (Day::Ordered(..), _) => return Err("date.not_a_date"),
    };
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    if year == 0 || day == 0 || day > days || !is_time {
        return Err("date.out_of_range");
    }
    Ok(format!("{year:04}-{month:02}-{day:02}"))
}
