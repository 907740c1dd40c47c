//! The form that asks how a file is to be read: written for the page of a job by the server, and for the check of a file
//! by the web worker. Both read its answers here.

use std::fmt::Write;

use serde_json::{Map, Value, json};
use validator::{Format, InvalidFormat, Question};

/// Delimiters that can be chosen, and what they are called.
const DELIMITERS: [(&str, &str); 4] = [
    (",", "Comma"),
    (";", "Semicolon"),
    ("\t", "Tab"),
    ("|", "Vertical bar"),
];

/// The fields of a form with these questions, as HTML. `id` is unique on the page.
pub fn fields(questions: &[Question], id: &str) -> String {
    let mut html = String::new();
    for question in questions {
        html.push_str("<fieldset class=\"question\"><legend>");
        escape(&mut html, title(&question.key));
        html.push_str("</legend><p>");
        escape(&mut html, &question.message);
        html.push_str("</p>");
        match question.key.as_str() {
            "columns" => columns(&mut html, question, id),
            "fields" => fields_of_rows(&mut html, question, id),
            _ => choices(&mut html, question),
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

fn choices(html: &mut String, question: &Question) {
    let suggestion = question.suggestion.as_ref().and_then(Value::as_str);
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

fn columns(html: &mut String, question: &Question, id: &str) {
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
    let mut select = |name: &str, label: &str, none: &str, selected: &Value| {
        let _ = write!(
            html,
            "<div class=\"field\"><label for=\"{id}-{name}\">{label}</label><select id=\"{id}-{name}\" name=\"{name}\">\
             <option value=\"\">{none}</option>"
        );
        for (at, column) in header.iter().enumerate() {
            let alike = header.iter().filter(|other| *other == column).count();
            let value = match alike == 1 && !column.is_empty() && !column.ends_with('…') {
                true => json!(column),
                false => json!({ "column": at + 1 }),
            };
            let number = json!({ "column": at + 1 });
            let is_selected = *selected == value || *selected == number;
            let shown = match column.is_empty() {
                true => format!("Column {}", at + 1),
                false if alike > 1 => format!("{column} (column {})", at + 1),
                false => column.clone(),
            };
            let _ = write!(
                html,
                "<option value=\"{}\"{}>{}</option>",
                escaped(&value.to_string()),
                if is_selected { " selected" } else { "" },
                escaped(&shown)
            );
        }
        html.push_str("</select></div>");
    };
    let none = "None";
    let ids = &suggested["transaction_id"];
    let ids = ids.get("from").unwrap_or(ids);
    select("date", "Date", "Choose a column", &suggested["date"]);
    select(
        "amount",
        "Amount, in one column",
        "Choose a column, or two below",
        &one,
    );
    select("debit", "Money out (debit)", none, &amount["debit"]);
    select("credit", "Money in (credit)", none, &amount["credit"]);
    select("sign", "Direction of the amount", none, &amount["sign"]);
    select("transaction_id", "ID", "The file has no ID", &list(ids, 0));
    select("transaction_id", "ID, second part", none, &list(ids, 1));
    select(
        "description",
        "Description",
        none,
        &list(&suggested["description"], 0),
    );
    select(
        "description",
        "Description, second part",
        none,
        &list(&suggested["description"], 1),
    );
    let _ = write!(
        html,
        "<div class=\"field\"><label for=\"{id}-negative\">Directions that mean money out</label>\
         <input id=\"{id}-negative\" name=\"negative\" placeholder=\"D, DBIT, -\" autocomplete=\"off\"></div>\
         <label class=\"choice\"><input type=\"checkbox\" name=\"repeats\" value=\"true\"> \
         <span>The same ID may be in several rows</span></label>"
    );
    place_of_header(html, &suggestion, id);
    preview(html, question);
}

fn fields_of_rows(html: &mut String, question: &Question, id: &str) {
    choices(html, question);
    place_of_header(html, &Value::Null, id);
}

/// Where the header is, for who knows better.
fn place_of_header(html: &mut String, suggestion: &Value, id: &str) {
    let skipped = suggestion["skip_records"].as_u64();
    let delimiter = suggestion["delimiter"].as_str();
    let skipped = skipped.map_or(String::new(), |skipped| skipped.to_string());
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
    html.push_str(
        "</select></div><label class=\"choice\"><input type=\"checkbox\" name=\"no_header\" value=\"true\"> \
         <span>The file has no header</span></label>\
         <button class=\"button button-small\" name=\"only\" value=\"header\" formnovalidate>Read the header there</button>\
         </details>",
    );
}

/// The header and the first rows.
fn preview(html: &mut String, question: &Question) {
    html.push_str("<div class=\"table-scroll\" tabindex=\"0\" role=\"region\" aria-label=\"First rows\"><table><thead><tr>");
    for name in &question.header {
        let _ = write!(html, "<th scope=\"col\">{}</th>", escaped(name));
    }
    html.push_str("</tr></thead><tbody>");
    for row in &question.rows {
        html.push_str("<tr>");
        for value in row {
            let _ = write!(html, "<td>{}</td>", escaped(value));
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div>");
}

/// Reads the answers: the names and values of the form's fields.
pub fn answers(fields: &[(String, String)]) -> Result<Format, InvalidFormat> {
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
    if has_columns && value("only").is_none() {
        let missing = |key: &str, message: &str| InvalidFormat {
            key: format!("columns.{key}"),
            message: message.to_owned(),
        };
        let mut columns = Map::new();
        let date =
            value("date").ok_or_else(|| missing("date", "Choose the column of the date."))?;
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
                return Err(missing(
                    "amount",
                    "Choose one column for the amount, with or without its direction, or two: money out and money in.",
                ));
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
        // Only the header's place is asked for once more.
        assert_eq!(
            format(&[
                ("date", ""),
                ("skip_records", "2"),
                ("no_header", "true"),
                ("only", "header")
            ]),
            Ok(json!({ "skip_records": 2, "header": false }))
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
    fn values_of_a_file_are_no_html() {
        let question = Question {
            key: "columns".to_owned(),
            code: "format.columns".to_owned(),
            message: "<script>alert(1)</script>".to_owned(),
            choices: Vec::new(),
            suggestion: None,
            header: vec!["\"><img src=x onerror=alert(1)>".to_owned()],
            rows: vec![vec!["</td><script>".to_owned()]],
        };
        let html = fields(&[question], "q");
        assert!(
            !html.contains("<script>") && !html.contains("<img"),
            "{html}"
        );
    }
}
