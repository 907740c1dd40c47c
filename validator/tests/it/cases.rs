//! Files in the dialects of real exports and of public reports. `tests/cases/expected.json` has the expected results.

use std::{fs, path::Path};

use serde::Deserialize;
use validator::Format;

use crate::agreement::{agreed_as, codes};

#[derive(Deserialize)]
struct Expected {
    /// How many cases are marked as whole, such as `3 of 5`.
    whole: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Case {
    file: String,
    /// The codes of the questions if no format is given, in alphabetical order.
    asks: Vec<String>,
    /// The owner's answers.
    format: Format,
    /// The code of an error that no answer can fix.
    fails: Option<String>,
    valid: u64,
    invalid: u64,
    suspicious: u64,
    ignored: u64,
    /// Some of the rows.
    rows: Vec<Row>,
    whole: bool,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Row {
    row: u64,
    /// `None` if it doesn't matter.
    line: Option<u64>,
    id: Option<String>,
    amount: Option<String>,
    date: Option<String>,
    /// `None` if it doesn't matter.
    description: Option<String>,
    #[serde(default)]
    errors: Vec<String>,
}

#[test]
fn every_case_is_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let expected = fs::read_to_string(folder.join("expected.json")).unwrap();
    let expected: Expected = serde_json::from_str(&expected).unwrap();
    let files = fs::read_dir(&folder).unwrap().count();
    assert_eq!(files, expected.cases.len() + 1);
    let whole = expected.cases.iter().filter(|case| case.whole).count();
    assert_eq!(
        expected.whole,
        format!("{whole} of {}", expected.cases.len())
    );

    let wrong: Vec<String> = expected
        .cases
        .iter()
        .filter_map(|case| {
            let file = fs::read(folder.join(&case.file)).unwrap();
            let wrong = difference(case, &file)?;
            Some(format!("{}: {wrong}", case.file))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Describes the difference from the expected result.
fn difference(case: &Case, file: &[u8]) -> Option<String> {
    let asks = match agreed_as(file, &Format::default()) {
        Ok(_) => Vec::new(),
        Err(error) => codes(&error),
    };
    if asks != case.asks {
        return Some(format!("asks {asks:?}, expected {:?}", case.asks));
    }
    let read = match agreed_as(file, &case.format) {
        Ok(read) => read,
        Err(error) if case.fails.as_deref() == Some(error.code()) => return None,
        Err(error) => return Some(format!("fails: {error}")),
    };
    let counts = [
        read.counts.valid,
        read.counts.invalid,
        read.counts.suspicious,
        read.counts.ignored,
    ];
    let expect = [case.valid, case.invalid, case.suspicious, case.ignored];
    if counts != expect {
        return Some(format!("counts {counts:?}, expected {expect:?}"));
    }
    case.rows.iter().find_map(|expect| {
        let row = &read.rows[expect.row as usize - 1];
        let description = row.description.clone();
        let found = Row {
            row: row.row_number,
            line: row.line.filter(|_| expect.line.is_some()),
            id: row.transaction_id.clone(),
            amount: row.amount.map(|amount| amount.to_string()),
            date: row.date.map(|date| date.to_string()),
            description: description.filter(|_| expect.description.is_some()),
            errors: row
                .errors
                .iter()
                .map(|error| error.code.to_string())
                .collect(),
        };
        (found != *expect).then(|| format!("{found:?}, expected {expect:?}"))
    })
}
