use backend::FileFormat;
use domain::{Decision, Source, format};
use leptos::prelude::*;
use serde_json::Value;

/// How the file is read, and why.
#[component]
pub fn HowItIsRead<'a>(file: &'a FileFormat) -> impl IntoView + use<> {
    let decisions = file.reading.as_ref().map(|reading| &reading.0.decisions);
    let saved = file.applied_format.as_deref().map(|name| {
        view! {
            <div>
                <dt>"Saved format"</dt>
                <dd>{shortened(name)}</dd>
            </div>
        }
    });
    let panel = (decisions.is_some() || saved.is_some()).then(|| {
        let decisions = decisions.into_iter().flatten().map(decision);
        view! {
            <section class="panel" aria-labelledby="reading-title">
                <h2 id="reading-title">"How we read your file"</h2>
                <dl class="details">{saved} {decisions.collect_view()}</dl>
            </section>
        }
    });
    view! { <div id="reading" data-part>{panel}</div> }.into_any()
}

fn decision(decision: &Decision) -> impl IntoView + use<> {
    let why = match (decision.source, decision.row, &decision.found) {
        (Source::Given, ..) => "as you said".to_owned(),
        (Source::Saved, ..) => "from your saved format".to_owned(),
        (Source::Name, ..) => "by its name".to_owned(),
        (Source::Evidence, Some(row), Some(found)) => {
            format!(
                "proved by \"{}\" in row {}",
                shortened(found),
                format::count(row)
            )
        }
        (Source::OnlyChoice, ..) => "the only way to read this file".to_owned(),
        (_, _, Some(found)) => format!("by \"{}\"", shortened(found)),
        _ => "by the file's first bytes".to_owned(),
    };
    view! {
        <div>
            <dt>{name(&decision.key)}</dt>
            <dd>
                {shortened(&value(&decision.key, &decision.value))}
                " "
                <span class="muted">{format!("({why})")}</span>
            </dd>
        </div>
    }
}

fn shortened(text: &str) -> String {
    const MAX_CHARS: usize = 120;
    format::shortened(text, MAX_CHARS).unwrap_or_else(|| text.to_owned())
}

fn name(key: &str) -> String {
    match key {
        "columns.transaction_id" => "ID".to_owned(),
        "columns.amount" => "Amount".to_owned(),
        "columns.date" => "Date".to_owned(),
        "columns.description" => "Description".to_owned(),
        "date_order" => "Dates".to_owned(),
        "decimal" => "Decimal sign".to_owned(),
        "skip_records" => "Lines before the header".to_owned(),
        "header" => "Header".to_owned(),
        "fields" => "Short rows".to_owned(),
        "suspicious" => "Suspicious".to_owned(),
        "ignore" => "Ignored".to_owned(),
        key => {
            let mut letters = key.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(letters).collect()
        }
    }
}

fn value(key: &str, value: &Value) -> String {
    match (key, value) {
        ("delimiter", Value::String(delimiter)) => match delimiter.as_str() {
            "," => "comma".to_owned(),
            ";" => "semicolon".to_owned(),
            "\t" => "tab".to_owned(),
            "|" => "vertical bar".to_owned(),
            other => other.to_owned(),
        },
        ("date_order", Value::String(order)) => match order.as_str() {
            "dmy" => "day first".to_owned(),
            "mdy" => "month first".to_owned(),
            _ => "year first".to_owned(),
        },
        ("decimal", Value::String(sign)) => match sign.as_str() {
            "," => "comma".to_owned(),
            _ => "point".to_owned(),
        },
        ("header", Value::Bool(false)) => "none".to_owned(),
        ("fields", _) => "filled with empty fields".to_owned(),
        ("columns.transaction_id" | "columns.description", Value::Null) => "none".to_owned(),
        (_, value) => column(value),
    }
}

/// Describes one or several columns in words.
fn column(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(several) => {
            let names: Vec<String> = several.iter().map(column).collect();
            names.join(", ")
        }
        Value::Object(object) => match object.get("column") {
            Some(number) if object.len() == 1 => format!("column {number}"),
            _ => {
                let parts: Vec<String> = object
                    .iter()
                    .map(|(key, value)| format!("{key}: {}", column(value)))
                    .collect();
                parts.join("; ")
            }
        },
        other => other.to_string(),
    }
}
