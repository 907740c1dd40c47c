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
    let Some((first, at)) = candidates
        .iter()
        .filter(|first| !first.records.is_empty())
        .map(|first| (first, place(first, given)))
        // Of equals the first one.
        .rev()
        .max_by_key(|(first, at)| table_size(first, *at))
    else {
        return question;
    };
    let mut names = first.records[at].clone();
    while names.len() > 1 && names.last().is_some_and(|name| trim(name).is_empty()) {
        names.pop();
    }
    let names = &names;
    let rows = match given.is_headless() {
        true => &first.records[at..],
        false => &first.records[at + 1..],
    };
    let columns = match given.is_headless() {
        true => columns(&vec![String::new(); names.len()], rows),
        false => columns(names, rows),
    };
    let suggested = Format {
        delimiter: given.delimiter.is_none().then_some(first.delimiter),
        skip_records: (given.skip_records.is_none() && at > 0).then_some(at as u32),
        columns,
        ..Format::default()
    };
    question.suggestion = Some(suggested.to_value());
    question.header = match given.is_headless() {
        true => (1..=names.len()).map(|n| format!("Column {n}")).collect(),
        false => names.iter().map(|name| shortened(trim(name))).collect(),
    };
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

/// The number of the record that is probably the header: the first whose number of fields is that of most of the next
/// twenty.
fn place(first: &FirstRecords, given: &Format) -> usize {
    if let Some(skip) = given.skip_records {
        return (skip as usize).min(first.records.len() - 1);
    }
    if given.is_headless() {
        return 0;
    }
    let has_most = |at: usize, fields: usize| {
        let next = first.records[at + 1..].iter().take(FOLLOWING);
        let alike = next.clone().filter(|record| record.len() == fields);
        fields > 1 && 2 * alike.count() > next.count()
    };
    let places = 0..first.records.len();
    // A title is followed by empty fields in many files; a header is rather not.
    let named = |record: &[String]| {
        let last = record.iter().rposition(|name| !trim(name).is_empty());
        last.map_or(0, |last| last + 1)
    };
    let by_names = (places.clone()).filter(|at| has_most(*at, named(&first.records[*at])));
    let by_fields = places.filter(|at| {
        let record = &first.records[*at];
        named(record) > 1 && has_most(*at, record.len())
    });
    let found: Vec<usize> = by_names.chain(by_fields).collect();
    // Some files begin with a table of two columns about the account.
    let has_columns = |at: &&usize| {
        let columns = columns(&first.records[**at], &first.records[**at + 1..]);
        columns.date.is_some() && columns.amount.is_some()
    };
    let best = found.iter().find(has_columns).or(found.first());
    best.copied().unwrap_or(0)
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
struct Content {
    are_dates: bool,
    are_numbers: bool,
    are_different: bool,
}

impl Content {
    fn of(column: usize, rows: &[Vec<String>]) -> Self {
        let values: Vec<&str> = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|value| trim(value))
            .filter(|value| !value.is_empty())
            .collect();
        let all = |is: &dyn Fn(&[u8]) -> bool| {
            let matching = values.iter().filter(|value| is(value.as_bytes())).count();
            // Pending rows and totals are no reason to doubt.
            !values.is_empty() && 4 * matching >= 3 * values.len()
        };
        let is_date = |value: &[u8]| {
            [DateOrder::Dmy, DateOrder::Mdy]
                .iter()
                .any(|order| parse_date(value, Some(*order)).is_ok())
        };
        let is_number = |value: &[u8]| {
            [Decimal::Point, Decimal::Comma]
                .iter()
                .any(|decimal| parse_amount(value, *decimal).is_ok())
        };
        let mut distinct = values.clone();
        distinct.sort_unstable();
        distinct.dedup();
        Self {
            are_dates: all(&is_date),
            are_numbers: all(&is_number),
            are_different: !values.is_empty()
                && distinct.len() == values.len()
                && values.len() == rows.len(),
        }
    }
}

fn columns(names: &[String], rows: &[Vec<String>]) -> GivenColumns {
    let normalized: Vec<String> = names.iter().map(|name| normalized(name)).collect();
    let contents: Vec<Content> = (0..names.len()).map(|at| Content::of(at, rows)).collect();
    let known = ColumnNames::new(names);
    let reference = |at: usize| known.reference(at);
    let mut taken: Vec<usize> = Vec::new();
    let mut best = |synonyms: &Synonyms, fits: &dyn Fn(&Content) -> bool, by_content: bool| {
        let free = (0..names.len()).filter(|at| !taken.contains(at));
        let scored = free.filter_map(|at| {
            let name = &normalized[at];
            let place = synonyms.names.iter().position(|known| known == name);
            let is_part = synonyms.parts.iter().any(|part| name.contains(part));
            let score = match (place, is_part) {
                (Some(place), _) => 1_000 - place,
                (None, true) => 500,
                (None, false) if by_content => 1,
                _ => return None,
            };
            fits(&contents[at]).then_some((score, std::cmp::Reverse(at)))
        });
        let at = scored.max().map(|(_, std::cmp::Reverse(at))| at)?;
        taken.push(at);
        Some(at)
    };
    let without_rows = rows.is_empty();
    let date = best(&synonyms::DATE, &|it| it.are_dates || without_rows, true);
    let is_number = |it: &Content| it.are_numbers || without_rows;
    // One of the two is empty in many rows.
    let debit = best(&synonyms::DEBIT, &|_| true, false);
    let credit = best(&synonyms::CREDIT, &|_| true, false);
    let amount = match (debit, credit) {
        (Some(debit), Some(credit)) => Some(AmountColumns::DebitCredit {
            debit: reference(debit),
            credit: reference(credit),
        }),
        _ => best(&synonyms::AMOUNT, &is_number, true).map(|at| AmountColumns::One(reference(at))),
    };
    let id = best(
        &synonyms::TRANSACTION_ID,
        &|it| it.are_different || without_rows,
        false,
    );
    let description = best(&synonyms::DESCRIPTION, &|_| true, false);
    GivenColumns {
        transaction_id: Some(IdColumns {
            from: id.map(reference).into_iter().collect(),
            unique: true,
        }),
        amount,
        date: date.map(reference),
        description: description.map(|at| vec![reference(at)]),
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
}
