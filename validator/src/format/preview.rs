//! Applies a format to the few rows that a question shows.

use super::{Format, Question};
use crate::{
    Amount, Checked, Checker, Column, Container, DateOrder, Decimal, Encoding, Fields, FileError,
    Presumed, RowError,
};

/// The rows of a question as read under a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// For each column of the question's header, what it is used for.
    pub uses: Vec<Option<Column>>,
    pub rows: Vec<PreviewRow>,
    /// Whether only rows that aren't shown can decide the order of day and month.
    pub date_order_is_open: bool,
    /// Whether only rows that aren't shown can decide the decimal sign.
    pub decimal_is_open: bool,
}

/// A row as read under a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewRow {
    pub amount: Option<Amount>,
    /// As `YYYY-MM-DD`.
    pub date: Option<String>,
    pub errors: Vec<RowError>,
}

impl Question {
    /// Reads the rows that the question shows under `format`. Uses only its columns, date order, decimal sign and
    /// treatment of short rows.
    ///
    /// # Errors
    ///
    /// Returns an error if the format doesn't name the columns of the date and the amount, or names one that doesn't
    /// exist.
    pub fn preview(&self, format: &Format) -> Result<Preview, FileError> {
        let mut text = Vec::new();
        push_record(&mut text, &self.header);
        for row in &self.rows {
            // A record without characters would be skipped. This one is just as empty to the rules.
            let blank = [" ".to_owned()];
            push_record(
                &mut text,
                if row.iter().all(String::is_empty) {
                    &blank
                } else {
                    row
                },
            );
        }
        let mut format = Format {
            container: Some(Container::Csv),
            encoding: Some(Encoding::Utf8),
            delimiter: Some(b','),
            header: Some(true),
            skip_records: Some(0),
            columns: format.columns.clone(),
            date_order: format.date_order,
            decimal: format.decimal,
            fields: format.fields,
            ..Format::default()
        };
        let (mut date_order_is_open, mut decimal_is_open) = (false, false);
        loop {
            let error = match read(&text, &format) {
                Ok((uses, rows)) => {
                    return Ok(Preview {
                        uses: (0..self.header.len())
                            .map(|at| uses.iter().find(|(_, used)| used.contains(&at)))
                            .map(|used| used.map(|(column, _)| *column))
                            .collect(),
                        rows,
                        date_order_is_open,
                        decimal_is_open,
                    });
                }
                Err(error) => error,
            };
            // Any answer lets the preview go on.
            let asks = |key: &str| error.questions().iter().any(|it| it.key == key);
            if asks("date_order") && !date_order_is_open {
                date_order_is_open = true;
                format.date_order = Some(DateOrder::Dmy);
            } else if asks("decimal") && !decimal_is_open {
                decimal_is_open = true;
                format.decimal = Some(Decimal::Point);
            } else if asks("fields") && format.fields.is_none() {
                format.fields = Some(Fields::Pad);
            } else {
                return Err(error);
            }
        }
    }
}

type Uses = Vec<(Column, Vec<usize>)>;

fn read(text: &[u8], format: &Format) -> Result<(Uses, Vec<PreviewRow>), FileError> {
    let mut presumed = Presumed::default();
    loop {
        let mut rows = Vec::new();
        let mut on_row = |row: &mut crate::Candidate<'_>| {
            let row = row.row();
            rows.push(PreviewRow {
                amount: row.amount,
                date: row.date.map(|date| date.to_string()),
                errors: row.errors,
            });
        };
        // A fixed key is fine, because nobody gains from colliding ids in so few rows.
        let mut checker = Checker::new([0; 16], format.clone(), presumed);
        checker.push(text, &mut on_row)?;
        match checker.finish(&mut on_row)? {
            Checked::Done(done) => {
                let uses = Column::ALL.iter();
                let uses = uses.map(|column| (*column, done.0.positions(*column)));
                return Ok((uses.collect(), rows));
            }
            Checked::Again(proved) => presumed = proved,
        }
    }
}

fn push_record(text: &mut Vec<u8>, values: &[String]) {
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        text.push(b'"');
        text.extend_from_slice(value.replace('"', "\"\"").as_bytes());
        text.push(b'"');
    }
    text.push(b'\n');
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn question() -> Question {
        let texts = |texts: [&str; 4]| texts.map(str::to_owned).to_vec();
        let mut question = Question::new("columns", String::new());
        question.header = texts(["Buchung", "Betrag", "Text", ""]);
        question.rows = vec![
            texts(["31.01.2024", "-1.234,50", "say \"hi\"", ""]),
            texts(["pending", "", "a,b", ""]),
        ];
        question
    }

    fn preview(format: Value) -> Result<Preview, FileError> {
        question().preview(&Format::from_value(&format).unwrap())
    }

    #[test]
    fn rows_are_read_under_the_format() {
        let columns = json!({
            "date": "Buchung", "amount": { "column": 2 }, "transaction_id": null, "description": "Text"
        });
        let preview = preview(json!({ "columns": columns })).unwrap();
        assert_eq!(
            preview.uses,
            [
                Some(Column::Date),
                Some(Column::Amount),
                Some(Column::Description),
                None
            ]
        );
        assert!(!preview.date_order_is_open && !preview.decimal_is_open);
        let [first, second] = &preview.rows[..] else {
            panic!("{preview:?}");
        };
        assert_eq!(first.date.as_deref(), Some("2024-01-31"));
        assert_eq!(first.amount.unwrap().to_string(), "-1234.50");
        assert!(first.errors.is_empty());
        let codes: Vec<&str> = second.errors.iter().map(|it| it.code.as_str()).collect();
        assert_eq!(codes, ["amount.missing", "date.not_a_date"]);
    }

    #[test]
    fn decisions_of_other_rows_stay_open() {
        let mut question = question();
        question.rows = vec![vec!["03/04/2024".to_owned(), "1.234".to_owned()]];
        let format =
            json!({ "columns": { "date": "Buchung", "amount": "Betrag", "transaction_id": null } });
        let preview = question
            .preview(&Format::from_value(&format).unwrap())
            .unwrap();
        assert!(preview.date_order_is_open && preview.decimal_is_open);
        assert!(preview.rows[0].errors.is_empty());
    }

    #[test]
    fn each_row_shown_is_read_as_it_is() {
        let mut question = question();
        let texts = |texts: &[&str]| texts.iter().map(|it| (*it).to_owned()).collect();
        question.rows = vec![
            texts(&["", "", "", ""]),
            texts(&["31.01.2024", "1"]),
            texts(&["31.01.2024", "1", "", "", "more"]),
            texts(&["31.01.2024", "1", "", ""]),
        ];
        let format =
            json!({ "columns": { "date": "Buchung", "amount": "Betrag", "transaction_id": null } });
        let format = Format::from_value(&format).unwrap();
        let preview = question.preview(&format).unwrap();
        let codes = |row: &PreviewRow| row.errors.first().map(|it| it.code.as_str());
        assert_eq!(
            preview.rows.iter().map(codes).collect::<Vec<_>>(),
            [
                Some("row.column_count"),
                Some("row.column_count"),
                Some("row.column_count"),
                None
            ]
        );
    }

    #[test]
    fn missing_or_wrong_columns_are_errors() {
        assert!(preview(json!({ "columns": { "date": "Buchung" } })).is_err());
        let columns = json!({ "date": "Datum", "amount": "Betrag", "transaction_id": null });
        assert!(preview(json!({ "columns": columns })).is_err());
    }
}
