//! Suggests the position of the header and the use of each column, for the user to confirm.

mod columns;
mod place;

use self::{
    columns::columns,
    place::{Place, named},
};
use super::{ColumnNames, Format, question::Question};
use crate::trim::trim;

/// The number of rows that a question shows.
const ROWS: usize = 10;

/// The first records of a file, split at one delimiter.
pub(crate) struct FirstRecords {
    pub delimiter: u8,
    pub records: Vec<Vec<String>>,
}

/// Asks for the columns. `given` is the format under which the file was read.
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
        // On a tie the first one wins.
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
    // If the last column has no name in the header, it can only be used by its number.
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

/// Shortens a value for a question.
fn shortened(value: &str) -> String {
    const MAX: usize = 200;
    match value.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

/// Returns a score that grows with the number of records as long as the header and with their number of fields.
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
        // The file begins with a table about the account.
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
        // All rows end with a delimiter, including the header.
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
    fn without_rows_only_names_count() {
        for lines in [&["hello"][..], &["foo;bar;baz"], &["Session expired."]] {
            let suggestion = suggested(lines);
            assert_eq!(
                suggestion["columns"],
                serde_json::json!({ "transaction_id": null }),
                "{lines:?}"
            );
        }
        let suggestion = suggested(&["Betrag;Text;Datum"]);
        assert_eq!(
            suggestion["columns"],
            serde_json::json!({
                "transaction_id": null, "amount": "Betrag", "date": "Datum", "description": "Text"
            })
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
        // The names are unknown, but each row fills exactly one of two columns.
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
        // A column for both debit and credit is neither of the two.
        assert_eq!(
            amount(&[
                "Booked At;Text;Credit/Debit Amount;Balance;Valuta Date",
                "2024-01-02;a;-5.00;95.00;2024-01-03",
                "2024-01-03;b;7.10;102.10;2024-01-04",
            ]),
            "Credit/Debit Amount"
        );
        // A date of eight digits is also a number.
        assert_eq!(
            amount(&[
                "Kuupäev;Päev;Popis;Hind",
                "20240102;20240103;a;-5,00",
                "20240104;20240105;b;7,10",
            ]),
            "Hind"
        );
        // A column for the direction is only needed if no amount is negative.
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
        // A file of debits only.
        let of_debits = |name: &str, mark: &str| {
            amount(&[
                &format!("Datum;{name};Bedrag"),
                &format!("2024-01-02;{mark};5,00"),
                &format!("2024-01-03;{mark};7,10"),
            ])
        };
        for (name, mark) in [
            ("Af Bij", "Af"),
            ("CreditDebet", "D"),
            ("Soll/Haben-Kennzeichen", "S"),
            ("D/C", "D"),
            ("Art", "Soll"),
        ] {
            assert_eq!(
                of_debits(name, mark),
                serde_json::json!({ "value": "Bedrag", "sign": name, "negative": [mark] })
            );
        }
        assert_eq!(of_debits("Code", "D"), "Bedrag");
        assert_eq!(of_debits("Af Bij", "Bij"), "Bedrag");
        assert_eq!(
            amount(&[
                "#Data operacji;#Opis operacji;#Kwota;#Saldo po operacji;",
                "2024-01-02;a;-5,00;95,00;",
                "2024-01-03;b;7,10;102,10;",
            ]),
            "#Kwota"
        );
        // The booking date is preferred to the value date.
        let suggestion = suggested(&[
            "Valutadatum;Transactiedatum;Bedrag",
            "2024-01-02;2024-01-01;5,00",
        ]);
        assert_eq!(suggestion["columns"]["date"], "Transactiedatum");
    }
}
