//! Facts in a report about the file as a whole.

use domain::format;
use validator::{Column, DateOrder, DateSpan, Decimal, Decision, Layout, Summary};

/// The maximum number of characters shown of a name, and of names of ignored columns.
const MAX_NAME_CHARS: usize = 60;
const MAX_NAMES: usize = 12;

/// Returns how the file is read, with the rows that prove it, and a summary of the valid rows.
pub fn facts(layout: &Layout, decisions: &[Decision], summary: &Summary) -> Vec<(String, String)> {
    let column = |column: Column| {
        let places: Vec<String> = layout
            .positions(column)
            .into_iter()
            .map(|at| format!("column {}, \"{}\"", at + 1, shown(&layout.names()[at])))
            .collect();
        let places = match places.is_empty() {
            true => "not found".to_owned(),
            false => places.join("; "),
        };
        (column.as_str(), places)
    };
    let ignored = ignored_names(layout);
    let others = (!ignored.is_empty()).then_some(("Not checked", ignored));
    let proved = |key: &str, what: &str| {
        let proof = decisions.iter().find(|decision| decision.key == key);
        match proof.and_then(|proof| Some((proof.row?, proof.found.as_deref()?))) {
            Some((row, found)) => {
                let row = format::count(row);
                format!("{what}, proved by \"{}\" in row {row}", shown(found))
            }
            None => what.to_owned(),
        }
    };
    let order = layout.date_order().map(|order| match order {
        DateOrder::Ymd => "year first",
        DateOrder::Dmy => "day first",
        DateOrder::Mdy => "month first",
    });
    let order = order.map(|order| ("Dates", proved("date_order", order)));
    let decimal = match layout.decimal() {
        Decimal::Point => "decimal point",
        Decimal::Comma => "decimal comma",
    };
    let sums = summary.valid_dates.map(|DateSpan { first, last }| {
        let days = match first == last {
            true => first.to_string(),
            false => format!("{first} to {last}"),
        };
        let amount = format::decimal(&summary.valid_amount.to_string());
        [
            ("Total (valid rows)", amount),
            ("Date range (valid rows)", days),
        ]
    });
    let columns = Column::ALL.iter().copied();
    columns
        .map(column)
        .chain(others)
        .chain([("Amounts", proved("decimal", decimal))])
        .chain(order)
        .chain([
            ("Delimiter", delimiter(layout.delimiter())),
            ("Encoding", layout.encoding().name().to_owned()),
        ])
        .chain(sums.into_iter().flatten())
        .map(|(name, fact)| (name.to_owned(), fact))
        .collect()
}

fn ignored_names(layout: &Layout) -> String {
    let known: Vec<usize> = Column::ALL
        .iter()
        .flat_map(|column| layout.positions(*column))
        .collect();
    let mut names: Vec<String> = layout
        .names()
        .iter()
        .enumerate()
        .filter(|(at, _)| !known.contains(at))
        .map(|(_, name)| format!("\"{}\"", shown(name)))
        .collect();
    if names.len() > MAX_NAMES {
        let more = names.len() - MAX_NAMES;
        names.truncate(MAX_NAMES);
        names.push(format!("and {} more", format::count(more as u64)));
    }
    names.join(", ")
}

fn shown(name: &str) -> String {
    format::shortened(name, MAX_NAME_CHARS).unwrap_or_else(|| name.to_owned())
}

fn delimiter(delimiter: u8) -> String {
    match delimiter {
        b',' => "comma".to_owned(),
        b';' => "semicolon".to_owned(),
        b'\t' => "tab".to_owned(),
        b'|' => "vertical bar".to_owned(),
        other => format!("\"{}\"", char::from(other)),
    }
}
