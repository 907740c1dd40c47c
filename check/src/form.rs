//! The form that asks how a file is to be read. The server renders it for the page of a job, and the web worker for the
//! check of a file. Both parse its answers here.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use validator::{Column, Format, InvalidFormat, Question};

/// The delimiters that can be chosen, and their names.
const DELIMITERS: [(&str, &str); 4] = [
    (",", "Comma"),
    (";", "Semicolon"),
    ("\t", "Tab"),
    ("|", "Vertical bar"),
];

/// The names and values of the fields of a submitted form.
pub type Answers = [(String, String)];

/// The names of all fields that the form may have.
pub const FIELDS: [&str; 18] = [
    "encoding",
    "delimiter",
    "date_order",
    "decimal",
    "fields",
    "sheet",
    "skip_records",
    "no_header",
    "only",
    "date",
    "amount",
    "debit",
    "credit",
    "sign",
    "negative",
    "transaction_id",
    "repeats",
    "description",
];

const NO_DATE: &str = "Choose the column of the date.";
const NO_AMOUNT: &str = "Choose one column for the amount, with or without its direction, or two: money out and money in.";

/// Returns the fields of a form for these questions as HTML. They are filled with the answers or, without any, with the
/// suggestions. `id` must be unique on the page.
pub fn fields(questions: &[Question], id: &str, answers: &Answers) -> String {
    let mut html = String::new();
    for question in questions {
        html.push_str("<fieldset class=\"question\"><legend>");
        escape(&mut html, title(&question.key));
        html.push_str("</legend><p>");
        escape(&mut html, &question.message);
        html.push_str("</p>");
        match question.key.as_str() {
            "columns" => columns(&mut html, question, id, answers),
            "fields" => fields_of_rows(&mut html, question, id, answers),
            _ => choices(&mut html, question, answers),
        }
        html.push_str("</fieldset>");
    }
    html
}

fn title(key: &str) -> &'static str {
    match key {
        "columns" => "Columns",
        "date_order" => "Order of day and month",
        "decimal" => "Decimal sign",
        "encoding" => "Encoding",
        "sheet" => "Worksheet",
        _ => "Fields of a row",
    }
}

fn escape(html: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            '\0' => html.push('\u{FFFD}'),
            character => html.push(character),
        }
    }
}

fn escaped(text: &str) -> String {
    let mut html = String::new();
    escape(&mut html, text);
    html
}

/// Returns the answer of a field, or the suggestion if nothing was answered.
fn answer<'a>(answers: &'a Answers, name: &str, suggestion: Option<&'a str>) -> Option<&'a str> {
    let answered = answers.iter().find(|(key, _)| key == name);
    match (answered, answers.is_empty()) {
        (Some((_, value)), _) => Some(value),
        (None, true) => suggestion,
        (None, false) => None,
    }
}

fn choices(html: &mut String, question: &Question, answers: &Answers) {
    let suggestion = question.suggestion.as_ref().and_then(Value::as_str);
    let suggestion = answer(answers, &question.key, suggestion);
    html.push_str("<div class=\"choices\">");
    for choice in &question.choices {
        let checked = match suggestion == Some(choice.value.as_str()) {
            true => " checked",
            false => "",
        };
        let _ = write!(
            html,
            "<label class=\"choice\"><input type=\"radio\" name=\"{}\" value=\"{}\" required{checked}> <span>{}</span>",
            escaped(&question.key),
            escaped(&choice.value),
            escaped(&choice.label)
        );
        if !choice.samples.is_empty() {
            html.push_str("<ul class=\"samples\">");
            for sample in &choice.samples {
                let read_as = match &sample.read_as {
                    // The value itself can't be shown.
                    Some(text) if question.key == "encoding" => format!("<b>{}</b>", escaped(text)),
                    Some(text) => {
                        format!("{} is <b>{}</b>", escaped(&sample.value), escaped(text))
                    }
                    None => format!("{} can't be read", escaped(&sample.value)),
                };
                let row = match sample.row {
                    Some(row) => format!(" <span class=\"muted\">(row {row})</span>"),
                    None => String::new(),
                };
                let _ = write!(html, "<li>{read_as}{row}</li>");
            }
            html.push_str("</ul>");
        }
        html.push_str("</label>");
    }
    html.push_str("</div>");
}

fn columns(html: &mut String, question: &Question, id: &str, answers: &Answers) {
    let suggestion = question.suggestion.clone().unwrap_or_default();
    let suggested = &suggestion["columns"];
    let list = |value: &Value, nth: usize| match value {
        Value::Array(list) => list.get(nth).cloned().unwrap_or_default(),
        one if nth == 0 => one.clone(),
        _ => Value::Null,
    };
    let amount = &suggested["amount"];
    let one = match amount.get("debit") {
        Some(_) => Value::Null,
        None => amount.get("value").unwrap_or(amount).clone(),
    };
    let header = &question.header;
    let suggested_header = (suggestion["header"] == false).then_some("true");
    let is_headless = answer(answers, "no_header", suggested_header).is_some();
    let mut select = |(name, nth): (&str, usize), label: &str, none: &str, suggested: &Value| {
        let mut answered = answers.iter().filter(|(key, _)| key == name);
        let answered = answered.nth(nth).map(|(_, value)| value);
        let part = if nth == 0 { "" } else { "-second" };
        let _ = write!(
            html,
            "<div class=\"field\"><label for=\"{id}-{name}{part}\">{label}</label>\
             <select id=\"{id}-{name}{part}\" name=\"{name}\"><option value=\"\">{none}</option>"
        );
        for (at, column) in header.iter().enumerate() {
            let alike = header.iter().filter(|other| *other == column).count();
            let has_name = alike == 1 && !column.is_empty() && !column.ends_with('…');
            let value = match has_name && !is_headless {
                true => json!(column),
                false => json!({ "column": at + 1 }),
            };
            let number = json!({ "column": at + 1 });
            let is_suggested = *suggested == value || *suggested == number;
            let value = value.to_string();
            let is_selected = match answers.is_empty() {
                true => is_suggested,
                false => answered == Some(&value),
            };
            let shown = match column.is_empty() {
                true => format!("Column {}", at + 1),
                false if alike > 1 => format!("{column} (column {})", at + 1),
                false => column.clone(),
            };
            let _ = write!(
                html,
                "<option value=\"{}\"{}>{}</option>",
                escaped(&value),
                if is_selected { " selected" } else { "" },
                escaped(&shown)
            );
        }
        html.push_str("</select></div>");
    };
    let negative = amount["negative"].as_array().into_iter().flatten();
    let negative: Vec<&str> = negative.filter_map(Value::as_str).collect();
    let negative = negative.join(", ");
    let none = "None";
    let ids = &suggested["transaction_id"];
    let ids = ids.get("from").unwrap_or(ids);
    select(("date", 0), "Date", "Choose a column", &suggested["date"]);
    select(
        ("amount", 0),
        "Amount, in one column",
        "Choose a column, or two below",
        &one,
    );
    select(("debit", 0), "Money out (debit)", none, &amount["debit"]);
    select(("credit", 0), "Money in (credit)", none, &amount["credit"]);
    select(
        ("sign", 0),
        "Direction of the amount",
        none,
        &amount["sign"],
    );
    select(
        ("transaction_id", 0),
        "ID",
        "The file has no ID",
        &list(ids, 0),
    );
    select(
        ("transaction_id", 1),
        "ID, second part",
        none,
        &list(ids, 1),
    );
    select(
        ("description", 0),
        "Description",
        none,
        &list(&suggested["description"], 0),
    );
    select(
        ("description", 1),
        "Description, second part",
        none,
        &list(&suggested["description"], 1),
    );
    let _ = write!(
        html,
        "<div class=\"field\"><label for=\"{id}-negative\">Directions that mean money out</label>\
         <input id=\"{id}-negative\" name=\"negative\" value=\"{}\" placeholder=\"D, DBIT, -\" autocomplete=\"off\"></div>\
         <label class=\"choice\"><input type=\"checkbox\" name=\"repeats\" value=\"true\"{}> \
         <span>The same ID may be in several rows</span></label>",
        escaped(answer(answers, "negative", Some(&negative)).unwrap_or_default()),
        checked(answers, "repeats"),
    );
    place_of_header(html, &suggestion, id, answers);
    let format = match answers.is_empty() {
        true => Format::from_value(&suggestion),
        false => self::answers(answers),
    };
    preview(html, question, &Reads::of(question, format));
}

fn checked(answers: &Answers, name: &str) -> &'static str {
    match answer(answers, name, None) {
        Some(_) => " checked",
        None => "",
    }
}

fn fields_of_rows(html: &mut String, question: &Question, id: &str, answers: &Answers) {
    choices(html, question, answers);
    place_of_header(html, &Value::Null, id, answers);
}

/// Lets users state where the header is.
fn place_of_header(html: &mut String, suggestion: &Value, id: &str, answers: &Answers) {
    let skipped = suggestion["skip_records"].as_u64();
    let skipped = skipped.map(|skipped| skipped.to_string());
    let skipped = answer(answers, "skip_records", skipped.as_deref()).map(escaped);
    let skipped = skipped.unwrap_or_default();
    let delimiter = answer(answers, "delimiter", suggestion["delimiter"].as_str());
    let suggested = (suggestion["header"] == false).then_some("true");
    let headless = answer(answers, "no_header", suggested).is_some();
    if headless && suggested.is_some() {
        let first = suggestion["skip_records"].as_u64().unwrap_or(0) + 1;
        let _ = write!(
            html,
            "<p class=\"muted\">The file is read without a header. Its first row seems to be record {first}.</p>"
        );
    }
    let _ = write!(
        html,
        "<details class=\"where\"><summary>The header is somewhere else</summary>\
         <div class=\"field\"><label for=\"{id}-skip\">Lines before the header, without empty ones</label>\
         <input id=\"{id}-skip\" name=\"skip_records\" type=\"number\" min=\"0\" max=\"100000\" value=\"{skipped}\"></div>\
         <div class=\"field\"><label for=\"{id}-delimiter\">Delimiter</label>\
         <select id=\"{id}-delimiter\" name=\"delimiter\"><option value=\"\">As found</option>"
    );
    for (value, label) in DELIMITERS {
        let selected = if delimiter == Some(value) {
            " selected"
        } else {
            ""
        };
        let _ = write!(
            html,
            "<option value=\"{}\"{selected}>{label}</option>",
            escaped(value)
        );
    }
    let _ = write!(
        html,
        "</select></div><label class=\"choice\"><input type=\"checkbox\" name=\"no_header\" value=\"true\"{}> \
         <span>The file has no header</span></label>\
         <button class=\"button button-small\" name=\"only\" value=\"header\" formnovalidate>Read the header there</button>\
         </details>",
        if headless { " checked" } else { "" },
    );
}

/// How the rows that a question shows are read, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reads {
    pub sentence: String,
    /// The header and the rows as HTML inside a table.
    pub table: String,
}

impl Reads {
    fn of(question: &Question, format: Result<Format, InvalidFormat>) -> Self {
        let preview = format.map_err(|error| error.message).and_then(|format| {
            if format.columns.date.is_none() {
                return Err(NO_DATE.to_owned());
            }
            if format.columns.amount.is_none() {
                return Err(NO_AMOUNT.to_owned());
            }
            question.preview(&format).map_err(|error| error.to_string())
        });
        let mut table = String::from("<thead><tr>");
        if preview.is_ok() {
            table.push_str("<th scope=\"col\">Read as</th>");
        }
        for (at, name) in question.header.iter().enumerate() {
            let used = preview.as_ref().ok().and_then(|it| it.uses[at]);
            let used = used.map_or(String::new(), |it| {
                format!(" <span class=\"use\">{}</span>", use_of(it))
            });
            let _ = write!(table, "<th scope=\"col\">{}{used}</th>", escaped(name));
        }
        table.push_str("</tr></thead><tbody>");
        for (nth, row) in question.rows.iter().enumerate() {
            let read = preview.as_ref().ok().and_then(|it| it.rows.get(nth));
            let errors = read.map_or(&[][..], |it| &it.errors[..]);
            table.push_str("<tr>");
            if preview.is_ok() {
                let said: Vec<String> = match errors {
                    [] => {
                        let date = read.and_then(|it| it.date.clone());
                        let amount = read.and_then(|it| it.amount).map(|it| it.to_string());
                        date.into_iter().chain(amount).collect()
                    }
                    errors => errors.iter().map(|it| it.message.to_string()).collect(),
                };
                let class = if errors.is_empty() {
                    ""
                } else {
                    " class=\"bad\""
                };
                let _ = write!(table, "<td{class}>{}</td>", escaped(&said.join(", ")));
            }
            for (at, value) in row.iter().enumerate() {
                let used = preview
                    .as_ref()
                    .ok()
                    .and_then(|it| *it.uses.get(at)?)
                    .map(Column::as_str);
                let is_bad = errors.iter().any(|error| {
                    let code = error.code.as_str();
                    code.split_once('.').map(|(column, _)| column) == used
                });
                let class = if is_bad { " class=\"bad\"" } else { "" };
                let _ = write!(table, "<td{class}>{}</td>", escaped(value));
            }
            table.push_str("</tr>");
        }
        table.push_str("</tbody>");
        let sentence = preview.map_or_else(
            |message| message,
            |preview| {
                let rows = preview.rows.len();
                let bad = preview.rows.iter().filter(|it| !it.errors.is_empty());
                let mut sentence = match (rows, bad.count()) {
                    (0, _) => "There are no rows to show.".to_owned(),
                    (1, 0) => "The row shown can be read.".to_owned(),
                    (_, 0) => format!("All {rows} rows shown can be read."),
                    (1, _) => "The row shown can't be read.".to_owned(),
                    (_, bad) => format!("{bad} of the {rows} rows shown can't be read."),
                };
                if preview.date_order_is_open {
                    sentence
                        .push_str(" The rest of the file decides whether the day or the month comes first.");
                }
                if preview.decimal_is_open {
                    sentence.push_str(" The rest of the file decides whether the decimal sign is a point or a comma.");
                }
                sentence
            },
        );
        Self { sentence, table }
    }

    /// Does the same as [`Reads::of`] with the data that the page has: a question as written by [`preview`], and the
    /// form's answers.
    pub fn of_page(question: &str, answers: &Answers) -> Option<Self> {
        let question = serde_json::from_str(question).ok()?;
        Some(Self::of(&question, self::answers(answers)))
    }
}

fn use_of(column: Column) -> &'static str {
    match column {
        Column::TransactionId => "ID",
        Column::Amount => "Amount",
        Column::Date => "Date",
        Column::Description => "Description",
    }
}

/// Writes the header and the first rows, and how they are read.
fn preview(html: &mut String, question: &Question, reads: &Reads) {
    // Everything needed to read the rows again when other columns are chosen.
    let shown = Question {
        message: String::new(),
        choices: Vec::new(),
        suggestion: None,
        ..question.clone()
    };
    let shown = serde_json::to_string(&shown).unwrap_or_default();
    let _ = write!(
        html,
        "<div class=\"preview\" data-question=\"{}\"><p class=\"reads\" role=\"status\">{}</p>\
         <noscript><button class=\"button button-small\" name=\"only\" value=\"preview\" formnovalidate>\
         Show how these columns are read</button></noscript>\
         <div class=\"table-scroll\" tabindex=\"0\" role=\"region\" aria-label=\"First rows\"><table>{}</table></div></div>",
        escaped(&shown),
        escaped(&reads.sentence),
        reads.table
    );
}

/// Parses the answers in the form's fields.
pub fn answers(fields: &Answers) -> Result<Format, InvalidFormat> {
    let filled = || fields.iter().filter(|(_, value)| !value.is_empty());
    let value = |name: &str| {
        filled()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    };
    let column = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| json!(text));
    let columns_of = |name: &str| -> Value {
        let columns = filled().filter(|(key, _)| key == name);
        match &columns
            .map(|(_, text)| column(text))
            .collect::<Vec<Value>>()[..]
        {
            [] => Value::Null,
            [one] => one.clone(),
            several => json!(several),
        }
    };
    let mut format = Map::new();
    for key in [
        "encoding",
        "delimiter",
        "date_order",
        "decimal",
        "fields",
        "sheet",
    ] {
        if let Some(value) = value(key) {
            format.insert(key.to_owned(), json!(value));
        }
    }
    if let Some(skipped) = value("skip_records") {
        let number = skipped.trim().parse::<u64>().ok();
        format.insert(
            "skip_records".to_owned(),
            json!(number.map_or(json!(skipped), |n| json!(n))),
        );
    }
    if value("no_header").is_some() {
        format.insert("header".to_owned(), json!(false));
    }
    let has_columns = fields.iter().any(|(key, _)| key == "date");
    let is_header_alone = value("only").is_some_and(|only| only == "header");
    if is_header_alone && value("no_header").is_none() {
        // The suggestion may have been that there is no header.
        format.insert("header".to_owned(), json!(true));
    }
    if has_columns && !is_header_alone {
        let missing = |key: &str, message: &str| InvalidFormat {
            key: format!("columns.{key}"),
            message: message.to_owned(),
        };
        let mut columns = Map::new();
        let date = value("date").ok_or_else(|| missing("date", NO_DATE))?;
        columns.insert("date".to_owned(), column(date));
        let amount = match (
            value("amount"),
            value("debit"),
            value("credit"),
            value("sign"),
        ) {
            (Some(amount), None, None, None) => column(amount),
            (None, Some(debit), Some(credit), None) => {
                json!({ "debit": column(debit), "credit": column(credit) })
            }
            (Some(amount), None, None, Some(sign)) => {
                let negative = value("negative").cloned().unwrap_or_default();
                let negative: Vec<&str> = (negative.split(','))
                    .map(str::trim)
                    .filter(|it| !it.is_empty())
                    .collect();
                json!({ "value": column(amount), "sign": column(sign), "negative": negative })
            }
            _ => {
                return Err(missing("amount", NO_AMOUNT));
            }
        };
        columns.insert("amount".to_owned(), amount);
        let ids = columns_of("transaction_id");
        let ids = match value("repeats") {
            Some(_) if !ids.is_null() => json!({ "from": ids, "unique": false }),
            _ => ids,
        };
        columns.insert("transaction_id".to_owned(), ids);
        columns.insert("description".to_owned(), columns_of("description"));
        format.insert("columns".to_owned(), Value::Object(columns));
    }
    Format::from_value(&Value::Object(format))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(fields: &[(&str, &str)]) -> Result<Value, String> {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let format = answers(&fields).map_err(|error| error.key)?;
        Ok(format.to_value())
    }

    #[test]
    fn answers_become_a_format() {
        assert_eq!(
            format(&[
                ("decimal", ","),
                ("date_order", "dmy"),
                ("encoding", "windows-1252")
            ]),
            Ok(json!({ "decimal": ",", "date_order": "dmy", "encoding": "windows-1252" }))
        );
        assert_eq!(
            format(&[
                ("date", "\"Buchung\""),
                ("amount", ""),
                ("debit", "{\"column\":3}"),
                ("credit", "\"Haben\""),
                ("transaction_id", ""),
                ("transaction_id", ""),
                ("description", "\"a\""),
                ("description", "\"b\""),
                ("skip_records", "4"),
            ]),
            Ok(json!({
                "skip_records": 4,
                "columns": {
                    "transaction_id": null,
                    "date": "Buchung",
                    "amount": { "debit": { "column": 3 }, "credit": "Haben" },
                    "description": ["a", "b"]
                }
            }))
        );
        assert_eq!(
            format(&[
                ("date", "\"d\""),
                ("amount", "\"a\""),
                ("sign", "\"s\""),
                ("negative", "D, DBIT"),
                ("transaction_id", "\"i\""),
                ("repeats", "true"),
            ])
            .unwrap()["columns"],
            json!({
                "transaction_id": { "from": "i", "unique": false },
                "date": "d",
                "amount": { "value": "a", "sign": "s", "negative": ["D", "DBIT"] },
                "description": null
            })
        );
        // Only the position of the header is asked again.
        assert_eq!(
            format(&[
                ("date", ""),
                ("skip_records", "2"),
                ("no_header", "true"),
                ("only", "header")
            ]),
            Ok(json!({ "skip_records": 2, "header": false }))
        );
        assert_eq!(
            format(&[("date", ""), ("skip_records", "2"), ("only", "header")]),
            Ok(json!({ "skip_records": 2, "header": true }))
        );
        assert_eq!(format(&[("date", "")]), Err("columns.date".to_owned()));
        assert_eq!(
            format(&[("date", "\"d\"")]),
            Err("columns.amount".to_owned())
        );
        assert_eq!(
            format(&[("skip_records", "many")]),
            Err("skip_records".to_owned())
        );
    }

    #[test]
    fn every_field_is_known() {
        let question = |key: &str| Question {
            key: key.to_owned(),
            code: format!("format.{key}"),
            message: String::new(),
            choices: Vec::new(),
            suggestion: None,
            header: vec!["a".to_owned()],
            rows: Vec::new(),
        };
        let html = fields(&[question("columns"), question("fields")], "q", &[]);
        let names: Vec<_> = html
            .split(" name=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert!(names.len() > 10, "{names:?}");
        for name in names {
            assert!(FIELDS.contains(&name), "{name}");
        }
    }

    #[test]
    fn values_of_a_file_are_escaped() {
        let question = Question {
            key: "columns".to_owned(),
            code: "format.columns".to_owned(),
            message: "<script>alert(1)</script>".to_owned(),
            choices: Vec::new(),
            suggestion: None,
            header: vec!["\"><img src=x onerror=alert(1)>".to_owned()],
            rows: vec![vec!["</td><script>".to_owned()]],
        };
        let html = fields(&[question], "q", &[]);
        assert!(
            !html.contains("<script>") && !html.contains("<img"),
            "{html}"
        );
    }

    #[test]
    fn the_rows_shown_are_read_under_the_answers() {
        let texts = |texts: [&str; 3]| texts.map(str::to_owned).to_vec();
        let question = Question {
            key: "columns".to_owned(),
            code: "format.columns".to_owned(),
            message: String::new(),
            choices: Vec::new(),
            suggestion: Some(json!({
                "columns": { "date": "Day", "amount": "Out", "transaction_id": null }
            })),
            header: texts(["Day", "Out", "<In>"]),
            rows: vec![
                texts(["2024-01-31", "1.50", "2"]),
                texts(["2024-01-31", "", "<x>"]),
            ],
        };
        let html = fields(std::slice::from_ref(&question), "q", &[]);
        assert!(
            html.contains("1 of the 2 rows shown can&#39;t be read."),
            "{html}"
        );
        assert!(html.contains("<td>2024-01-31, 1.50</td>"), "{html}");

        let headless = Question {
            suggestion: Some(json!({
                "header": false,
                "columns": {
                    "transaction_id": null,
                    "date": { "column": 1 },
                    "amount": { "value": { "column": 2 }, "sign": { "column": 3 }, "negative": ["D", "d"] }
                }
            })),
            header: texts(["Column 1", "Column 2", "Column 3"]),
            rows: vec![texts(["2024-01-31", "1.50", "D"])],
            ..question.clone()
        };
        let html = fields(&[headless], "q", &[]);
        assert!(
            html.contains("without a header. Its first row seems to be record 1."),
            "{html}"
        );
        assert!(
            html.contains("name=\"no_header\" value=\"true\" checked"),
            "{html}"
        );
        assert!(html.contains("name=\"negative\" value=\"D, d\""), "{html}");
        assert!(html.contains("<td>2024-01-31, -1.50</td>"), "{html}");

        let lacks_date = Question {
            suggestion: Some(json!({ "columns": { "amount": "Out" } })),
            ..question.clone()
        };
        assert!(fields(&[lacks_date], "q", &[]).contains("Choose the column of the date."));

        // The page reads them again when something else is chosen.
        let shown = serde_json::to_string(&question).unwrap();
        let chosen = |amount: &str| {
            let answers = [("date", "\"Day\""), ("amount", amount)];
            let answers = answers.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let html = fields(std::slice::from_ref(&question), "q", &answers);
            let reads = Reads::of_page(&shown, &answers).unwrap();
            assert!(html.contains(&reads.table), "{html}");
            assert!(html.contains(&escaped(&reads.sentence)), "{html}");
            reads
        };
        let reads = chosen("\"<In>\"");
        assert_eq!(reads.sentence, "1 of the 2 rows shown can't be read.");
        assert!(
            reads.table.contains("<td class=\"bad\">&lt;x&gt;</td>"),
            "{}",
            reads.table
        );
        assert!(
            reads
                .table
                .contains("<th scope=\"col\">&lt;In&gt; <span class=\"use\">Amount</span></th>")
        );
        let reads = chosen("");
        assert!(
            reads
                .sentence
                .starts_with("Choose one column for the amount")
        );
        assert!(!reads.table.contains("Read as"));
    }
}
