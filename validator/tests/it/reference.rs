//! A second implementation of the rules, written from their text alone: slow, simple, on the whole
//! file at once, with csv-core splitting the records. It shares no code with the crate.

use std::collections::{BTreeSet, HashSet};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

const LIMIT: usize = 1_048_576;

/// What of a row is exact: everything but the messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub row_number: u64,
    pub transaction_id: Option<String>,
    pub amount: Option<String>,
    pub date: Option<String>,
    pub description: Option<String>,
    pub is_suspicious: bool,
    pub codes: Vec<&'static str>,
}

/// What is wrong with a file: `empty`, `no header`, `nul`, `too many columns`, `missing` or `repeated`.
pub type Failure = &'static str;

pub fn verdicts(file: &[u8]) -> Result<Vec<Verdict>, Failure> {
    let text = decode(file);
    if text.is_empty() {
        return Err("empty");
    }
    let mut best = (b',', None, 0);
    for delimiter in *b",;\t|" {
        let header = records(&text, delimiter)
            .find(|record| !record.is_skipped())
            .filter(|record| record.end <= LIMIT);
        let known = header
            .as_ref()
            .map_or(0, |header| known_columns(header).len());
        if delimiter == b',' || known > best.2 {
            best = (delimiter, header, known);
        }
    }
    let (delimiter, header, _) = best;
    let header = header.ok_or("no header")?;
    if header.fields.iter().any(|name| name.contains(&0)) {
        return Err("nul");
    }
    if header.fields.len() > 1000 {
        return Err("too many columns");
    }
    let known = known_columns(&header);
    if ["transaction_id", "amount", "date"]
        .iter()
        .any(|name| !known.contains(*name))
    {
        return Err("missing");
    }
    let names = names(&header);
    let date_name = if names.iter().any(|name| name == "date") {
        "date"
    } else {
        "timestamp"
    };
    let places = |wanted: &str| -> Vec<usize> {
        (0..names.len()).filter(|&at| names[at] == wanted).collect()
    };
    if ["transaction_id", "amount", date_name, "description"]
        .iter()
        .any(|name| places(name).len() > 1)
    {
        return Err("repeated");
    }
    let columns = Columns {
        count: names.len(),
        id: places("transaction_id")[0],
        amount: places("amount")[0],
        date: places(date_name)[0],
        description: places("description").first().copied(),
    };

    let mut seen = HashSet::new();
    let rows = records(&text, delimiter)
        .filter(|record| !record.is_skipped())
        .skip(1);
    Ok((1..)
        .zip(rows)
        .map(|(number, row)| verdict(number, &row, &columns, &mut seen))
        .collect())
}

struct Columns {
    count: usize,
    id: usize,
    amount: usize,
    date: usize,
    description: Option<usize>,
}

fn verdict(
    row_number: u64,
    record: &Record,
    columns: &Columns,
    seen: &mut HashSet<String>,
) -> Verdict {
    let mut verdict = Verdict {
        row_number,
        transaction_id: None,
        amount: None,
        date: None,
        description: None,
        is_suspicious: false,
        codes: Vec::new(),
    };
    if record.length > LIMIT {
        verdict.codes.push("row.too_large");
        return verdict;
    }
    let cell = |at: usize| {
        let value = record.fields.get(at)?;
        Some(String::from_utf8_lossy(value).replace('\0', "\u{FFFD}"))
    };
    let id = cell(columns.id).map(|id| trim(&id).to_owned());
    verdict.description = columns.description.and_then(cell);
    let unreadable = |value: &Vec<u8>| value.contains(&0) || std::str::from_utf8(value).is_err();
    if record.fields.iter().any(unreadable) {
        verdict.codes.push("row.encoding");
    } else if record.fields.len() != columns.count {
        verdict.codes.push("row.column_count");
    }
    if !verdict.codes.is_empty() {
        verdict.transaction_id = id;
        return verdict;
    }

    let id = id.unwrap();
    if id.is_empty() {
        verdict.codes.push("transaction_id.missing");
    } else if id.chars().count() > 255 {
        verdict.codes.push("transaction_id.too_long");
        verdict.transaction_id = Some(id.chars().take(255).collect());
    } else {
        verdict.transaction_id = Some(id.clone());
        if !seen.insert(id) {
            verdict.codes.push("transaction_id.duplicate");
        }
    }
    match amount(trim(&cell(columns.amount).unwrap())) {
        Ok((amount, is_suspicious)) => {
            verdict.amount = Some(amount);
            verdict.is_suspicious = is_suspicious;
        }
        Err(code) => verdict.codes.push(code),
    }
    match date(trim(&cell(columns.date).unwrap())) {
        Ok(date) => verdict.date = Some(date),
        Err(code) => verdict.codes.push(code),
    }
    verdict
}

/// The text; what can't be UTF-8 as a byte FF.
fn decode(file: &[u8]) -> Vec<u8> {
    let unit: fn([u8; 2]) -> u16 = match file {
        [0xFE, 0xFF, ..] => u16::from_be_bytes,
        [0xFF, 0xFE, ..] => u16::from_le_bytes,
        [0xEF, 0xBB, 0xBF, text @ ..] => return text.to_vec(),
        text => return text.to_vec(),
    };
    let pairs = file[2..].chunks_exact(2);
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

pub struct Record {
    pub fields: Vec<Vec<u8>>,
    /// From its first byte to the last before its line end.
    pub length: usize,
    /// Where that last byte ends in the text.
    pub end: usize,
}

impl Record {
    fn is_skipped(&self) -> bool {
        self.fields.iter().all(Vec::is_empty)
    }
}

/// Splits a text with csv-core.
pub fn records(text: &[u8], delimiter: u8) -> impl Iterator<Item = Record> {
    let mut reader = ReaderBuilder::new().delimiter(delimiter).build();
    // It drops a byte order mark at the start of what it reads, and passes over empty lines: an
    // empty line first, and no mark is at the start.
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
        // csv-core would pass over these; they are not the record's.
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
                        length: end - start,
                        end,
                    });
                }
                ReadRecordResult::End => return None,
                full => panic!("{full:?}"),
            }
        }
    }
}

fn names(header: &Record) -> Vec<String> {
    let name = |name: &Vec<u8>| {
        // An unknown name stays one: U+FFFD is in no known name.
        trim(&String::from_utf8_lossy(name))
            .to_lowercase()
            .replace([' ', '-'], "_")
    };
    header.fields.iter().map(name).collect()
}

fn known_columns(header: &Record) -> BTreeSet<&'static str> {
    let mut known = BTreeSet::new();
    for name in names(header) {
        match &*name {
            "transaction_id" => known.insert("transaction_id"),
            "amount" => known.insert("amount"),
            "date" | "timestamp" => known.insert("date"),
            "description" => known.insert("description"),
            _ => false,
        };
    }
    known
}

fn trim(value: &str) -> &str {
    value.trim_matches(|c| c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\u{A0}')
}

/// The amount as decimal text and whether it is suspicious.
pub fn amount(value: &str) -> Result<(String, bool), &'static str> {
    if value.is_empty() {
        return Err("amount.missing");
    }
    let (negative, unsigned) = match value.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, value.strip_prefix('+').unwrap_or(value)),
    };
    let is_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let (number, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if !is_digits(whole) || !is_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return Err("amount.not_a_number");
    }
    let mut shift = 0;
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if digits.is_empty() || !is_digits(digits) {
            return Err("amount.not_a_number");
        }
        let digits = digits.trim_start_matches('0');
        if digits.len() > 2 {
            return Err("amount.out_of_range");
        }
        shift = digits.parse::<i32>().unwrap_or(0) * if exponent.starts_with('-') { -1 } else { 1 };
    }
    // Move the point digit by digit.
    let (mut whole, mut fraction) = (whole.to_owned(), fraction.to_owned());
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
        return Err("amount.out_of_range");
    }
    fraction.truncate(10);
    let zero = whole.is_empty() && fraction.trim_end_matches('0').is_empty();
    let whole_value: u64 = whole.parse().unwrap_or(0);
    let above =
        whole_value > 50_000 || (whole_value == 50_000 && fraction.contains(|c: char| c != '0'));
    let sign = if negative && !zero { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    let whole = if whole.is_empty() { "0" } else { whole };
    Ok((
        format!("{sign}{whole}{point}{fraction}"),
        (negative && !zero) || above,
    ))
}

/// The date as `YYYY-MM-DD`.
pub fn date(value: &str) -> Result<String, &'static str> {
    if value.is_empty() {
        return Err("date.missing");
    }
    let shape: String = value
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    if !shapes().contains(&shape) {
        return Err("date.not_a_date");
    }
    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
    let number = |at: usize, length: usize| -> u32 {
        digits
            .get(at..at + length)
            .map_or(0, |digits| digits.parse().unwrap())
    };
    let (year, month, day) = (number(0, 4), number(4, 2), number(6, 2));
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    let time: Vec<&str> = value.splitn(2, ['T', 't', ' ']).collect();
    let (hour, minute) = (number(8, 2), number(10, 2));
    let has_seconds = time
        .get(1)
        .is_some_and(|time| time.as_bytes().get(5) == Some(&b':'));
    let second = if has_seconds { number(12, 2) } else { 0 };
    let offset = time
        .get(1)
        .and_then(|time| time.split_once(['+', '-']))
        .map_or((0, 0), |(_, o)| {
            let (hours, minutes) = o.split_once(':').unwrap();
            (
                hours.parse::<u32>().unwrap(),
                minutes.parse::<u32>().unwrap(),
            )
        });
    if year == 0
        || day == 0
        || day > days
        || hour > 23
        || minute > 59
        || second > 59
        || offset.1 > 59
        || offset.0 * 60 + offset.1 > 14 * 60
    {
        return Err("date.out_of_range");
    }
    Ok(format!("{year:04}-{month:02}-{day:02}"))
}

/// Every form of a date, digits as 0.
fn shapes() -> &'static HashSet<String> {
    static SHAPES: std::sync::OnceLock<HashSet<String>> = std::sync::OnceLock::new();
    SHAPES.get_or_init(|| {
        let mut times = vec!["00:00".to_owned(), "00:00:00".to_owned()];
        times.extend((1..=9).map(|digits| format!("00:00:00.{}", "0".repeat(digits))));
        let mut shapes = HashSet::new();
        for day in ["0000-00-00", "0000/00/00", "00000000"] {
            shapes.insert(day.to_owned());
            for separator in ["T", "t", " "] {
                for time in &times {
                    for offset in ["", "Z", "z", "+00:00", "-00:00"] {
                        shapes.insert(format!("{day}{separator}{time}{offset}"));
                    }
                }
            }
        }
        shapes
    })
}
