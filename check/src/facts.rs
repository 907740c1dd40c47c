//! What a report says of the file as a whole.

use domain::format;
use validator::{Column, DateSpan, Layout, Summary};

/// The most characters of a name that are shown, and the most names of ignored columns.
const MAX_NAME_CHARS: usize = 60;
const MAX_NAMES: usize = 12;

/// Which column is taken for what, and what the valid rows amount to.
pub fn facts(layout: &Layout, summary: &Summary) -> Vec<(String, String)> {
    let column = |column: Column| {
        let place = match layout.position(column) {
            Some(at) => format!("column {}, “{}”", at + 1, shown(&layout.names()[at])),
            None => "no such column".to_owned(),
        };
        (column.as_str(), place)
    };
    let ignored = ignored_names(layout);
    let others = (!ignored.is_empty()).then_some(("Not checked", ignored));
    let sums = summary.valid_dates.map(|DateSpan { first, last }| {
        let days = match first == last {
            true => first.to_string(),
            false => format!("{first} to {last}"),
        };
        let amount = format::decimal(&summary.valid_amount.to_string());
        [("Sum, valid rows", amount), ("Dates, valid rows", days)]
    });
    Column::ALL
        .map(column)
        .into_iter()
        .chain(others)
        .chain([
            ("Separator", separator(layout.delimiter()).to_owned()),
            ("Encoding", layout.encoding().name().to_owned()),
        ])
        .chain(sums.into_iter().flatten())
        .map(|(name, fact)| (name.to_owned(), fact))
        .collect()
}

fn ignored_names(layout: &Layout) -> String {
    let known = Column::ALL.map(|column| layout.position(column));
    let mut names: Vec<String> = layout
        .names()
        .iter()
        .enumerate()
        .filter(|(at, _)| !known.contains(&Some(*at)))
        .map(|(_, name)| format!("“{}”", shown(name)))
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

fn separator(delimiter: u8) -> &'static str {
    match delimiter {
        b';' => "semicolon",
        b'\t' => "tab",
        b'|' => "bar",
        _ => "comma",
    }
}
