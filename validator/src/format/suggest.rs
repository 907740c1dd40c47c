//! Suggests where the header is and which column is what, for a person to confirm.

use super::{
    AmountColumns, ColumnNames, ColumnRef, Format, GivenColumns, IdColumns,
    columns::normalized,
    question::Question,
    synonyms::{self, Synonyms},
};
use crate::{DateOrder, Decimal, date::parse_date, number::parse_amount, trim::trim};

/// Rows that a question shows.
const ROWS: usize = 10;

/// Records that tell where the header is.
const FOLLOWING: usize = 20;

/// Names that are looked at, in all headers that a file may have: records of a thousand fields would take seconds.
const MAX_NAMES_TRIED: usize = 20_000;

/// The first records of a file as one delimiter splits them, and that delimiter.
pub(crate) struct FirstRecords {
    pub delimiter: u8,
    pub records: Vec<Vec<String>>,
}

/// Asks for the columns. `given` is what the file was read under.
pub(crate) fn columns_question(
    message: String,
    candidates: &[FirstRecords],
    given: &Format,
) -> Question {
    let mut question = Question::new("columns", message);
    let Some((first, place)) = candidates
        .iter()
        .filter(|first| !first.records.is_empty())
        .map(|first| (first, Place::of(first, given)))
        // Of equals the first one.
        .rev()
        .max_by_key(|(first, place)| table_size(first, place.at))
    else {
        return question;
    };
    let Place { at, is_headless } = place;
    let header = &first.records[at];
    let rows = match is_headless {
        true => &first.records[at..],
        false => &first.records[at + 1..],
    };
    // A header without a name at its end doesn't have that column. By number it can be used.
    let has_more = |row: &Vec<String>| (named(header) + 1..=header.len()).contains(&named(row));
    let is_by_number =
        is_headless || given.header.is_none() && named(header) > 0 && rows.iter().any(has_more);
    let names = match (is_headless, is_by_number) {
        (true, _) => {
            let used = rows.iter().map(|row| named(row)).max().unwrap_or(0);
            vec![String::new(); used.min(header.len())]
        }
        (false, true) => header.clone(),
        (false, false) => header[..named(header).max(1)].to_vec(),
    };
    let mut columns = columns(&names, rows);
    if is_by_number {
        columns = columns.by_number(&ColumnNames::new(&names));
    }
    let skipped = match is_by_number && !is_headless {
        true => at + 1,
        false => at,
    };
    let skipped = u32::try_from(skipped).unwrap_or(u32::MAX);
    let suggested = Format {
        delimiter: given.delimiter.is_none().then_some(first.delimiter),
        header: (given.header.is_none() && is_by_number).then_some(false),
        skip_records: (given.skip_records.unwrap_or(0) != skipped).then_some(skipped),
        columns,
        ..Format::default()
    };
    question.suggestion = Some(suggested.to_value());
    let shown = names.iter().enumerate().map(|(at, name)| match trim(name) {
        "" if is_by_number => format!("Column {}", at + 1),
        name => shortened(name),
    });
    question.header = shown.collect();
    question.rows = rows
        .iter()
        .take(ROWS)
        .map(|row| row.iter().map(|value| shortened(value)).collect())
        .collect();
    question
}

/// What a question shows of a value, in characters.
fn shortened(value: &str) -> String {
    const MAX: usize = 200;
    match value.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

/// Where the header probably is, or the first row of a file without one.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    is_headless: bool,
}

impl Place {
    fn of(first: &FirstRecords, given: &Format) -> Self {
        let records = &first.records[..];
        let header = |at: usize| Self {
            at,
            is_headless: given.is_headless(),
        };
        if let Some(skip) = given.skip_records {
            return Self::at(records, given, (skip as usize).min(records.len() - 1));
        }
        if given.is_headless() {
            return header(0);
        }
        // A record with known names for a date and an amount is a header, whatever the lengths of the others.
        let is_named = |at: &usize| {
            let next = || records[at + 1..].iter().take(FOLLOWING);
            has_known_names(&records[*at]) && (next().any(|it| is_row(it)) || next().len() == 0)
        };
        if let Some(at) = (0..records.len()).find(is_named) {
            return header(at);
        }
        // The first whose number of fields is that of most of the next twenty.
        let has_most = |at: usize, fields: usize| {
            let next = records[at + 1..].iter().take(FOLLOWING);
            let alike = next.clone().filter(|record| record.len() == fields);
            fields > 1 && 2 * alike.count() > next.count()
        };
        // A title is followed by empty fields in many files; a header is rather not.
        let by_names = (0..records.len()).filter(|at| has_most(*at, named(&records[*at])));
        let by_fields = (0..records.len()).filter(|at| {
            let record = &records[*at];
            named(record) > 1 && has_most(*at, record.len())
        });
        let (rows, headers): (Vec<usize>, Vec<usize>) = by_names
            .chain(by_fields)
            .partition(|at| is_row(&records[*at]));
        // Some files begin with a table of two columns about the account.
        let has_columns = |at: &&usize| {
            let next = &records[**at + 1..];
            let columns = columns(&records[**at], &next[..next.len().min(FOLLOWING)]);
            columns.date.is_some() && columns.amount.is_some()
        };
        let widest = records.iter().map(Vec::len).max().unwrap_or(0);
        let mut tried = headers.iter().take(MAX_NAMES_TRIED / widest.max(1));
        if let Some(at) = tried.find(has_columns) {
            return header(*at);
        }
        match (rows.first(), headers.first()) {
            (Some(&row), _) => {
                // A header may have more or fewer fields than the rows.
                let is_above = row > 0
                    && named(&records[row - 1]) + 1 >= named(&records[row])
                    && !records[row - 1]
                        .iter()
                        .any(|it| is_date(it) || is_number(it));
                match is_above && given.header.is_none() {
                    true => header(row - 1),
                    false => Self::at(records, given, row),
                }
            }
            (None, Some(at)) => header(*at),
            (None, None) => Self::at(records, given, 0),
        }
    }

    /// The record at this place, which has no header if it looks like a row.
    fn at(records: &[Vec<String>], given: &Format, at: usize) -> Self {
        let is_headless = match given.header {
            Some(has_header) => !has_header,
            None => is_row(&records[at]),
        };
        Self { at, is_headless }
    }
}

/// How many fields a record has up to the last one that isn't empty.
fn named(record: &[String]) -> usize {
    let last = record.iter().rposition(|name| !trim(name).is_empty());
    last.map_or(0, |last| last + 1)
}

/// Whether a record has a date and, in another field, a number: a header hasn't.
fn is_row(record: &[String]) -> bool {
    let dates = record.iter().filter(|value| is_date(value)).count();
    let only_numbers = record
        .iter()
        .filter(|value| is_number(value) && !is_date(value))
        .count();
    dates > 0 && only_numbers > 0
}

fn is_date(value: &str) -> bool {
    [DateOrder::Dmy, DateOrder::Mdy]
        .iter()
        .any(|order| parse_date(trim(value).as_bytes(), Some(*order)).is_ok())
}

fn is_number(value: &str) -> bool {
    [Decimal::Point, Decimal::Comma]
        .iter()
        .any(|decimal| parse_amount(trim(value).as_bytes(), *decimal).is_ok())
}

/// Whether a record names a date, and an amount or both halves of one, by names that are known as a whole.
fn has_known_names(record: &[String]) -> bool {
    let names: Vec<String> = record.iter().map(|name| normalized(name)).collect();
    let has = |known: &Synonyms| names.iter().any(|name| known.place(name).is_some());
    let has_amount = has(&synonyms::AMOUNT) || (has(&synonyms::DEBIT) && has(&synonyms::CREDIT));
    has(&synonyms::DATE) && has_amount
}

/// How many records under the header are as long as it, and how many fields they have.
fn table_size(first: &FirstRecords, at: usize) -> usize {
    let fields = first.records[at].len();
    let alike = first.records[at..]
        .iter()
        .filter(|record| record.len() == fields);
    match fields {
        1 => 0,
        _ => alike.count() * fields.min(4),
    }
}

/// What the values of a column look like.
struct Content<'a> {
    /// Trimmed, one for each row.
    values: Vec<&'a str>,
    are_dates: bool,
    are_numbers: bool,
    are_different: bool,
    /// How many rows have a value.
    filled: usize,
}

impl<'a> Content<'a> {
    fn of(column: usize, rows: &'a [Vec<String>]) -> Self {
        let values: Vec<&str> = rows
            .iter()
            .map(|row| row.get(column).map_or("", |value| trim(value)))
            .collect();
        let filled: Vec<&str> = values.iter().copied().filter(|it| !it.is_empty()).collect();
        let all = |is: &dyn Fn(&str) -> bool| {
            let matching = filled.iter().filter(|value| is(value)).count();
            // Pending rows and totals are no reason to doubt.
            !filled.is_empty() && is_most(matching, filled.len())
        };
        let mut distinct = values.clone();
        distinct.sort_unstable();
        distinct.dedup();
        Self {
            are_dates: all(&is_date),
            are_numbers: all(&is_number),
            are_different: !values.is_empty()
                && distinct.len() == values.len()
                && filled.len() == values.len(),
            filled: filled.len(),
            values,
        }
    }

    fn is_empty(&self) -> bool {
        self.filled == 0
    }

    fn has_negative(&self) -> bool {
        let mut values = self.values.iter();
        values.any(|it| it.contains(['-', '\u{2212}', '(']))
    }

    /// How much the numbers look like amounts of money, from 0 to 3: nearly every row has one, they differ, and some have a
    /// sign or decimals. Codes and fees have fewer of these marks.
    fn money(&self) -> usize {
        let has_decimals = || self.values.iter().any(|it| it.contains(['.', ',']));
        let marks = [
            is_most(self.filled, self.values.len()),
            self.values.windows(2).any(|two| two[0] != two[1]),
            self.has_negative() || has_decimals(),
        ];
        marks.iter().filter(|mark| **mark).count()
    }
}

/// Whether at least three quarters match.
fn is_most(matching: usize, all: usize) -> bool {
    4 * matching >= 3 * all
}

/// Finds columns by their names and contents.
struct Suggester<'a> {
    normalized: Vec<String>,
    contents: Vec<Content<'a>>,
    taken: Vec<usize>,
}

/// How well a column fits: by its name, a part of it, a part that is only meant if there is no other, or its content.
type Score = usize;

const BY_NAME: Score = 10_000;
const BY_PART: Score = 5_000;
const BY_LATE_PART: Score = 4_900;

impl<'a> Suggester<'a> {
    fn free(&self) -> impl Iterator<Item = usize> {
        (0..self.contents.len()).filter(|at| !self.taken.contains(at))
    }

    fn by_name(&self, synonyms: &Synonyms, at: usize) -> Option<Score> {
        let name = &self.normalized[at];
        let contains = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        match synonyms.place(name) {
            Some(place) => Some(BY_NAME - place),
            None if !contains(synonyms.parts) => None,
            None if contains(synonyms.late) => Some(BY_LATE_PART),
            None => Some(BY_PART),
        }
    }

    /// The free column with the highest score, the first of equals.
    fn best(&self, score: impl Fn(usize, &Content) -> Option<Score>) -> Option<(usize, Score)> {
        let scored = self.free().filter_map(|at| {
            let score = score(at, &self.contents[at])?;
            Some((score, std::cmp::Reverse(at)))
        });
        scored.max().map(|(score, at)| (at.0, score))
    }

    fn take(&mut self, at: usize) -> usize {
        self.taken.push(at);
        at
    }

    fn date(&self) -> Option<usize> {
        let found = self.best(|at, content| {
            let fits = content.are_dates || content.values.is_empty();
            fits.then(|| self.by_name(&synonyms::DATE, at).unwrap_or(1))
        });
        found.map(|(at, _)| at)
    }

    /// The column that has the amount of each row.
    fn amount(&self) -> Option<(usize, Score)> {
        self.best(|at, content| {
            let by_name = self.by_name(&synonyms::AMOUNT, at);
            if content.values.is_empty() {
                return by_name;
            }
            let is_code = content.are_dates && by_name.is_none_or(|score| score <= BY_PART);
            if !content.are_numbers || is_code {
                return None;
            }
            let is_balance = self.by_name(&synonyms::BALANCE, at).is_some();
            match by_name {
                Some(score) if score > BY_PART => Some(score),
                Some(score) if !is_balance => Some(score + content.money()),
                _ if is_balance => Some(1),
                _ => Some(2 + content.money()),
            }
        })
    }

    /// Debit and credit, by their names.
    fn pair_by_name(&self) -> Option<(usize, usize)> {
        let half = |synonyms: &Synonyms, other: &Synonyms, not: Option<usize>| {
            let found = self.best(|at, content| {
                let score = self.by_name(synonyms, at)?;
                // "Debit/credit amount" is neither.
                let is_both = score <= BY_PART && self.by_name(other, at).is_some();
                // One of the two is empty in many rows.
                let fits = content.are_numbers || content.is_empty();
                (fits && !is_both && Some(at) != not).then_some(score)
            });
            found.map(|(at, _)| at)
        };
        let debit = half(&synonyms::DEBIT, &synonyms::CREDIT, None)?;
        let credit = half(&synonyms::CREDIT, &synonyms::DEBIT, Some(debit))?;
        Some((debit, credit))
    }

    /// Two neighbouring columns of numbers, one of which is filled in each row. The first one is taken for the debit, as in
    /// most files.
    fn pair_by_content(&self) -> Option<(usize, usize)> {
        let has = |at: usize, row: usize| {
            let value = self.contents[at].values[row];
            value.chars().any(|c| c.is_ascii_digit() && c != '0')
        };
        let fits = |at: &usize| {
            let content = &self.contents[*at];
            content.are_numbers
                && !content.are_dates
                && self.by_name(&synonyms::BALANCE, *at).is_none()
        };
        let columns: Vec<usize> = self.free().filter(fits).collect();
        let is_pair = |one: usize, other: usize| {
            let rows = 0..self.contents[one].values.len();
            let (mut ones, mut others) = (0, 0);
            for row in rows.clone() {
                match (has(one, row), has(other, row)) {
                    (true, true) => return false,
                    (true, false) => ones += 1,
                    (false, true) => others += 1,
                    (false, false) => {}
                }
            }
            ones > 0 && others > 0 && is_most(ones + others, rows.len())
        };
        let mut pairs = columns.windows(2).map(|two| (two[0], two[1]));
        let (one, other) = pairs.find(|(one, other)| is_pair(*one, *other))?;
        let is_credit = |at| self.by_name(&synonyms::CREDIT, at).is_some();
        Some(match is_credit(one) && !is_credit(other) {
            true => (other, one),
            false => (one, other),
        })
    }

    /// A column whose values say which amounts are negative, and those values.
    fn sign(&self) -> Option<(usize, Vec<String>)> {
        self.free().find_map(|at| {
            let content = &self.contents[at];
            let mut values: Vec<&str> = content.values.clone();
            values.retain(|it| !it.is_empty());
            if content.is_empty() || !is_most(content.filled, content.values.len()) {
                return None;
            }
            let texts: Vec<String> = values.iter().map(|it| it.to_lowercase()).collect();
            let (debit, _) = synonyms::DIRECTIONS.iter().find(|(debit, credit)| {
                let has = |known: &str| texts.iter().any(|it| it == known);
                let both = texts.iter().filter(|it| it == debit || it == credit);
                has(debit) && has(credit) && is_most(both.count(), texts.len())
            })?;
            values.retain(|it| it.to_lowercase() == *debit);
            values.sort_unstable();
            values.dedup();
            Some((at, values.into_iter().map(str::to_owned).collect()))
        })
    }

    fn amounts(&mut self) -> Option<AmountColumns<usize>> {
        let halves = |(debit, credit)| AmountColumns::DebitCredit { debit, credit };
        if let Some(pair) = self.pair_by_name() {
            return Some(halves(pair));
        }
        let single = self.amount();
        let is_half = |at: usize, pair: (usize, usize)| at == pair.0 || at == pair.1;
        let pair = self.pair_by_content();
        if let Some(pair) = pair
            && single.is_none_or(|(at, score)| score < BY_LATE_PART || is_half(at, pair))
        {
            return Some(halves(pair));
        }
        let value = self.take(single?.0);
        if !self.contents[value].has_negative()
            && let Some((sign, negative)) = self.sign()
        {
            return Some(AmountColumns::Signed {
                value,
                sign,
                negative,
            });
        }
        Some(AmountColumns::One(value))
    }
}

fn columns(names: &[String], rows: &[Vec<String>]) -> GivenColumns {
    let mut suggester = Suggester {
        normalized: names.iter().map(|name| normalized(name)).collect(),
        contents: (0..names.len()).map(|at| Content::of(at, rows)).collect(),
        taken: Vec::new(),
    };
    let known = ColumnNames::new(names);
    let reference = |at: usize| known.reference(at);
    let date = suggester.date().map(|at| suggester.take(at));
    let amount = suggester.amounts();
    let columns = amount.iter().flat_map(AmountColumns::all).flatten();
    suggester.taken.extend(columns.copied());
    let id = suggester.best(|at, content| {
        let fits = content.are_different || content.values.is_empty();
        fits.then(|| suggester.by_name(&synonyms::TRANSACTION_ID, at))?
    });
    let id = id.map(|(at, _)| suggester.take(at));
    let description = suggester.best(|at, _| suggester.by_name(&synonyms::DESCRIPTION, at));
    GivenColumns {
        transaction_id: Some(IdColumns {
            from: id.map(reference).into_iter().collect(),
            unique: true,
        }),
        amount: amount.map(|amount| amount.map(|at| reference(*at))),
        date: date.map(reference),
        description: description.map(|(at, _)| vec![reference(at)]),
    }
}

impl GivenColumns {
    /// The same columns by their numbers.
    fn by_number(self, names: &ColumnNames) -> Self {
        let number = |column: &ColumnRef| match names.given(column) {
            Ok(at) => ColumnRef::Number(at as u32 + 1),
            Err(_) => column.clone(),
        };
        Self {
            transaction_id: self.transaction_id.map(|ids| IdColumns {
                from: ids.from.iter().map(number).collect(),
                ..ids
            }),
            amount: self.amount.map(|amount| amount.map(number)),
            date: self.date.as_ref().map(number),
            description: (self.description).map(|all| all.iter().map(number).collect()),
        }
    }
}

impl ColumnNames {
    /// By name, or by number where the name isn't the column's alone.
    fn reference(&self, at: usize) -> ColumnRef {
        let name = self.name(at);
        match self.given(&ColumnRef::Name(name.to_owned())) {
            Ok(found) if found == at && !name.is_empty() => ColumnRef::Name(name.to_owned()),
            _ => ColumnRef::Number(at as u32 + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suggested(lines: &[&str]) -> serde_json::Value {
        let split = |line: &&str| line.split(';').map(str::to_owned).collect();
        let first = FirstRecords {
            delimiter: b';',
            records: lines.iter().map(split).collect(),
        };
        columns_question(String::new(), &[first], &Format::default())
            .suggestion
            .unwrap()
    }

    #[test]
    fn the_header_is_where_its_rows_are() {
        let suggestion = suggested(&[
            "Statement of account;;;",
            "Booked;Text;Out;In",
            "03/04/2024;Rent;1.450,00;",
            "05/04/2024;Refund;;8,40",
        ]);
        assert_eq!(suggestion["skip_records"], 1);
        assert_eq!(
            suggestion["columns"],
            serde_json::json!({
                "transaction_id": null,
                "amount": { "debit": "Out", "credit": "In" },
                "date": "Booked",
                "description": "Text"
            })
        );
        // A table about the account comes first.
        let suggestion = suggested(&[
            "Konto;Giro",
            "IBAN;DE00",
            "Bank;ING",
            "Kunde;Erika",
            "Zeitraum;Mai",
            "Saldo;150,00;EUR",
            "Buchung;Text;Betrag",
            "28.12.2025;Blumen;-5,49",
            "21.12.2025;Miete;-1.069,00",
        ]);
        assert_eq!(suggestion["skip_records"], 6);
        // Rows end in a delimiter, and so does the header.
        let suggestion = suggested(&[
            "Konto;;;",
            "Datum;Betrag;Text;",
            "1.1.2024;5;a;",
            "2.1.2024;6;b;",
        ]);
        assert_eq!(
            (
                &suggestion["skip_records"],
                &suggestion["columns"]["amount"]
            ),
            (&1.into(), &"Betrag".into())
        );
    }
    #[test]
    fn a_file_without_a_header_keeps_its_first_row() {
        let suggestion = suggested(&["01/02/2024;-5.00;Coffee", "13/02/2024;-7.10;Lunch"]);
        assert_eq!(
            suggestion,
            serde_json::json!({
                "delimiter": ";",
                "header": false,
                "columns": { "transaction_id": null, "date": { "column": 1 }, "amount": { "column": 2 } }
            })
        );
        // Nobody knows their names, but each row fills one of two columns.
        for [coffee, salary] in [[";", ";"], [";995.00", ";2445.00"]] {
            let suggestion = suggested(&[
                &format!("01/02/2024;Coffee;5.00;{coffee}"),
                &format!("13/02/2024;Salary;;1450.00{salary}"),
            ]);
            assert_eq!(
                suggestion["columns"]["amount"],
                serde_json::json!({ "debit": { "column": 3 }, "credit": { "column": 4 } })
            );
        }
    }

    #[test]
    fn columns_that_only_have_a_number_are_taken_by_it() {
        let suggestion = suggested(&[
            "Tag;Text;Nr;Umsatz; ",
            "01.01.2024;a;71;12,50;S",
            "02.01.2024;b;72;7,99;H",
            "03.01.2024;c;73;5,00;S",
        ]);
        assert_eq!(
            suggestion,
            serde_json::json!({
                "delimiter": ";",
                "header": false,
                "skip_records": 1,
                "columns": {
                    "transaction_id": null,
                    "date": { "column": 1 },
                    "amount": { "value": { "column": 4 }, "sign": { "column": 5 }, "negative": ["S"] },
                    "description": { "column": 2 }
                }
            })
        );
    }

    #[test]
    fn a_known_header_wins_over_rows_of_another_length() {
        let suggestion = suggested(&[
            "Account;FRANK 666",
            "Transaction date;Value date;Description;Withdrawals (SGD);Deposits (SGD)",
            "18/04/2018;18/04/2018;FEE;6.66;",
            ";;15/04/18 UBER",
            "17/04/2018;17/04/2018;ATM;66.66;",
            ";;66-6666 S",
        ]);
        assert_eq!(suggestion["skip_records"], 1);
        assert_eq!(suggestion["columns"]["date"], "Transaction date");
        assert_eq!(
            suggestion["columns"]["amount"],
            serde_json::json!({ "debit": "Withdrawals (SGD)", "credit": "Deposits (SGD)" })
        );
    }

    #[test]
    fn names_and_contents_of_amounts() {
        let amount = |lines: &[&str]| suggested(lines)["columns"]["amount"].clone();
        // Both halves in one column are no half.
        assert_eq!(
            amount(&[
                "Booked At;Text;Credit/Debit Amount;Balance;Valuta Date",
                "2024-01-02;a;-5.00;95.00;2024-01-03",
                "2024-01-03;b;7.10;102.10;2024-01-04",
            ]),
            "Credit/Debit Amount"
        );
        // A date of eight digits is a number, too.
        assert_eq!(
            amount(&[
                "Kuupäev;Päev;Popis;Hind",
                "20240102;20240103;a;-5,00",
                "20240104;20240105;b;7,10",
            ]),
            "Hind"
        );
        // A direction is only needed where no amount is negative.
        let with_direction = |amounts: [&str; 2]| {
            let [one, other] = amounts;
            amount(&[
                "Datum;Af Bij;Bedrag",
                &format!("2024-01-02;Af;{one}"),
                &format!("2024-01-03;Bij;{other}"),
            ])
        };
        assert_eq!(
            with_direction(["5,00", "7,10"]),
            serde_json::json!({ "value": "Bedrag", "sign": "Af Bij", "negative": ["Af"] })
        );
        assert_eq!(with_direction(["-5,00", "7,10"]), "Bedrag");
        // The day that a payment was booked comes before the day that it counts.
        let suggestion = suggested(&[
            "Valutadatum;Transactiedatum;Bedrag",
            "2024-01-02;2024-01-01;5,00",
        ]);
        assert_eq!(suggestion["columns"]["date"], "Transactiedatum");
    }
}
