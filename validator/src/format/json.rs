//! Parses and writes the JSON of a [`Format`]. Written by hand so that an error names the key and the expected values.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::{
    AmountColumns, ColumnRef, Container, Fields, Format, GivenColumns, IdColumns, Ignore,
    IgnoredValue, Limits,
};
use crate::{Amount, DateOrder, Decimal, Encoding, JsonError, parse_json};

/// A format with an unknown key or an invalid value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidFormat {
    /// For example `columns.amount`.
    pub key: String,
    /// A sentence for people.
    pub message: String,
}

impl fmt::Display for InvalidFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => f.write_str(&self.message),
            key => write!(f, "{key}: {}", self.message),
        }
    }
}

impl std::error::Error for InvalidFormat {}

type Parsed<T> = Result<T, InvalidFormat>;

fn invalid<T>(key: &str, message: impl Into<String>) -> Parsed<T> {
    Err(InvalidFormat {
        key: key.to_owned(),
        message: message.into(),
    })
}

/// The maximum number of values in a list, and of characters in a text.
const MAX_ITEMS: usize = 100;
const MAX_CHARS: usize = 1_000;

/// The highest number of a column.
const MAX_COLUMN: u64 = 1_000;

/// The number of records that can be skipped.
const MAX_SKIPPED: u64 = 100_000;

impl Format {
    /// Parses the JSON of a format. An empty text is an empty format.
    pub fn from_json(text: &str) -> Parsed<Self> {
        Self::from_value(&parse(text)?)
    }

    /// Parses the JSON of a format. A key with `null` counts as not given.
    pub fn from_value(value: &Value) -> Parsed<Self> {
        // PostgreSQL can't store NUL in `jsonb`.
        match has_nul(value) {
            true => invalid("", "A format can't contain a NUL character."),
            false => Self::read(value),
        }
    }

    fn read(value: &Value) -> Parsed<Self> {
        let mut format = Self::default();
        for (key, value) in object("", value)? {
            match key.as_str() {
                key if value.is_null() && KEYS.contains(&key) => {}
                "container" => format.container = Some(one_of(key, value, &CONTAINERS)?),
                "sheet" => format.sheet = Some(text(key, value)?),
                "encoding" => format.encoding = Some(encoding(key, value)?),
                "delimiter" => format.delimiter = Some(delimiter(key, value)?),
                "header" => format.header = Some(boolean(key, value)?),
                "skip_records" => {
                    format.skip_records = Some(whole(key, value, 0..=MAX_SKIPPED)? as u32);
                }
                "ignore" => {
                    format.ignore = Some(list(key, value)?.map(ignore).collect::<Parsed<_>>()?)
                }
                "fields" => format.fields = Some(one_of(key, value, &FIELDS)?),
                "suspicious" => format.suspicious = Some(limits(value)?),
                "columns" => format.columns = columns(value)?,
                "date_order" => format.date_order = Some(one_of(key, value, &DATE_ORDERS)?),
                "decimal" => format.decimal = Some(one_of(key, value, &DECIMALS)?),
                _ => {
                    let [others @ .., last] = &KEYS;
                    return invalid(
                        key,
                        format!(
                            "A format has no such key. Use {} or {last}.",
                            others.join(", ")
                        ),
                    );
                }
            }
        }
        Ok(format)
    }

    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                map.insert(key.to_owned(), value);
            }
        };
        put("container", self.container.map(|it| name(&CONTAINERS, it)));
        put("sheet", self.sheet.as_ref().map(|it| json!(it)));
        put("encoding", self.encoding.map(|it| json!(it.label())));
        let delimiter = self.delimiter.map(|it| json!(char::from(it).to_string()));
        put("delimiter", delimiter);
        put("header", self.header.map(Value::Bool));
        put("skip_records", self.skip_records.map(|it| json!(it)));
        let ignore = self.ignore.as_ref();
        put(
            "ignore",
            ignore.map(|it| it.iter().map(Ignore::to_value).collect()),
        );
        put("fields", self.fields.map(|it| name(&FIELDS, it)));
        put("suspicious", self.suspicious.map(|it| it.to_value()));
        put("columns", self.columns.to_value());
        put(
            "date_order",
            self.date_order.map(|it| name(&DATE_ORDERS, it)),
        );
        put("decimal", self.decimal.map(|it| name(&DECIMALS, it)));
        Value::Object(map)
    }
}

/// A change to the format that was given before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormatChange {
    pub given: Format,
    /// Keys that are withdrawn.
    withdrawn: Vec<String>,
}

impl FormatChange {
    /// Parses the JSON of a change. An empty text changes nothing.
    pub fn from_json(text: &str) -> Parsed<Self> {
        Self::from_value(&parse(text)?)
    }

    /// Parses the JSON of a change. A key with `null` is withdrawn.
    pub fn from_value(value: &Value) -> Parsed<Self> {
        let given = Format::from_value(value)?;
        let keys = object("", value)?.iter();
        let withdrawn = keys.filter(|(_, value)| value.is_null());
        Ok(Self {
            given,
            withdrawn: withdrawn.map(|(key, _)| key.clone()).collect(),
        })
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the format after applying this change to `before`.
    #[must_use]
    pub fn apply(&self, before: &Format) -> Format {
        let mut before = before.to_value();
        if let Some(before) = before.as_object_mut() {
            before.retain(|key, _| !self.withdrawn.contains(key));
        }
        let before = Format::read(&before).expect("a format is read as it was written");
        self.given.clone().or(&before)
    }
}

impl From<Format> for FormatChange {
    fn from(given: Format) -> Self {
        Self {
            given,
            withdrawn: Vec::new(),
        }
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(map) => map.values().any(has_nul),
        _ => false,
    }
}

fn parse(text: &str) -> Parsed<Value> {
    if text.trim().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    parse_json(text.as_bytes()).or_else(|error| match error {
        JsonError::RepeatedKey(_) => invalid("", format!("In the format, {error}.")),
        _ => invalid("", format!("The format isn't JSON: {error}.")),
    })
}

pub(super) const KEYS: [&str; 12] = [
    "container",
    "sheet",
    "encoding",
    "delimiter",
    "header",
    "skip_records",
    "ignore",
    "fields",
    "suspicious",
    "columns",
    "date_order",
    "decimal",
];

type Names<T, const N: usize> = [(&'static str, T); N];

const CONTAINERS: Names<Container, 3> = [
    ("csv", Container::Csv),
    ("xlsx", Container::Xlsx),
    ("ods", Container::Ods),
];
const FIELDS: Names<Fields, 2> = [("exact", Fields::Exact), ("pad", Fields::Pad)];
const DATE_ORDERS: Names<DateOrder, 3> = [
    ("ymd", DateOrder::Ymd),
    ("dmy", DateOrder::Dmy),
    ("mdy", DateOrder::Mdy),
];
const DECIMALS: Names<Decimal, 2> = [(".", Decimal::Point), (",", Decimal::Comma)];

fn name<T: PartialEq, const N: usize>(names: &Names<T, N>, value: T) -> Value {
    let known = names.iter().find(|(_, known)| *known == value);
    known.map_or(Value::Null, |(name, _)| json!(name))
}

fn one_of<T: Copy, const N: usize>(key: &str, value: &Value, names: &Names<T, N>) -> Parsed<T> {
    let known = names.iter().find(|(name, _)| value.as_str() == Some(name));
    match known {
        Some((_, known)) => Ok(*known),
        None => {
            let names: Vec<_> = names
                .iter()
                .map(|(name, _)| format!("\"{name}\""))
                .collect();
            invalid(key, format!("Use one of {}.", names.join(", ")))
        }
    }
}

fn object<'a>(key: &str, value: &'a Value) -> Parsed<&'a Map<String, Value>> {
    match value.as_object() {
        Some(object) => Ok(object),
        None => invalid(key, "Use a JSON object."),
    }
}

fn list<'a>(key: &str, value: &'a Value) -> Parsed<std::slice::Iter<'a, Value>> {
    match value.as_array() {
        Some(list) if list.len() <= MAX_ITEMS => Ok(list.iter()),
        Some(_) => invalid(key, format!("Use at most {MAX_ITEMS} values.")),
        None => invalid(key, "Use a JSON array."),
    }
}

fn text(key: &str, value: &Value) -> Parsed<String> {
    match value.as_str() {
        Some(text) if text.chars().count() <= MAX_CHARS => Ok(text.to_owned()),
        Some(_) => invalid(key, format!("Use at most {MAX_CHARS} characters.")),
        None => invalid(key, "Use a JSON string."),
    }
}

fn boolean(key: &str, value: &Value) -> Parsed<bool> {
    match value.as_bool() {
        Some(value) => Ok(value),
        None => invalid(key, "Use true or false."),
    }
}

fn whole(key: &str, value: &Value, range: std::ops::RangeInclusive<u64>) -> Parsed<u64> {
    // `7.0` is an integer, too (JSON Schema 2020-12, 6.1.1).
    let float = || {
        value
            .as_f64()
            .filter(|number| number.fract() == 0.0 && *number >= 0.0)
    };
    match value
        .as_u64()
        .or_else(|| float().map(|number| number as u64))
    {
        Some(number) if range.contains(&number) => Ok(number),
        _ => invalid(
            key,
            format!(
                "Use a whole number from {} to {}.",
                range.start(),
                range.end()
            ),
        ),
    }
}

fn encoding(key: &str, value: &Value) -> Parsed<Encoding> {
    match value.as_str().and_then(Encoding::from_label) {
        Some(encoding) => Ok(encoding),
        None => invalid(
            key,
            "Use \"utf-8\", \"utf-16le\", \"utf-16be\", or a label of the WHATWG Encoding Standard such as \
             \"windows-1252\".",
        ),
    }
}

fn delimiter(key: &str, value: &Value) -> Parsed<u8> {
    match value.as_str().map(str::as_bytes) {
        Some(&[byte])
            if byte.is_ascii()
                && !byte.is_ascii_alphanumeric()
                && !matches!(byte, b'"' | b'\r' | b'\n' | 0) =>
        {
            Ok(byte)
        }
        _ => invalid(
            key,
            "Use a single ASCII character that is no quotation mark, line end, letter or digit.",
        ),
    }
}

fn ignore(value: &Value) -> Parsed<Ignore> {
    let key = "ignore";
    let (mut column, mut is) = (None, None);
    for (name, value) in object(key, value)? {
        match name.as_str() {
            "column" => column = Some(column_ref("ignore.column", value)?),
            "is" if value.as_str() == Some("empty") => is = Some(IgnoredValue::Empty),
            "is" => {
                let values = list("ignore.is", value)?.map(|value| text("ignore.is", value));
                is = Some(IgnoredValue::OneOf(values.collect::<Parsed<_>>()?));
            }
            _ => return invalid(key, "A condition has only the keys column and is."),
        }
    }
    match (column, is) {
        (Some(column), Some(is)) => Ok(Ignore { column, is }),
        _ => invalid(
            key,
            "A condition needs both keys: {\"column\": \"State\", \"is\": [\"Pending\"]}, or \"is\": \"empty\".",
        ),
    }
}

impl Ignore {
    fn to_value(&self) -> Value {
        let is = match &self.is {
            IgnoredValue::Empty => json!("empty"),
            IgnoredValue::OneOf(values) => json!(values),
        };
        json!({ "column": self.column.to_value(), "is": is })
    }
}

fn limits(value: &Value) -> Parsed<Limits> {
    let mut limits = Limits::default();
    for (name, value) in object("suspicious", value)? {
        match name.as_str() {
            "below" => limits.below = limit("suspicious.below", value)?,
            "above" => limits.above = limit("suspicious.above", value)?,
            _ => return invalid("suspicious", "It has only the keys below and above."),
        }
    }
    Ok(limits)
}

fn limit(key: &str, value: &Value) -> Parsed<Option<Amount>> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => decimal(number),
        Value::String(digits) => digits.parse().ok(),
        _ => None,
    };
    match number {
        Some(number) => Ok(Some(number)),
        None => invalid(
            key,
            "Use a number with at most ten digits after the point, or null for no limit.",
        ),
    }
}

/// Parses a JSON number, which may have an exponent. Returns `None` if it has more digits than an [`Amount`] can.
fn decimal(number: &serde_json::Number) -> Option<Amount> {
    match number.as_f64().filter(|_| number.is_f64()) {
        None => number.to_string().parse().ok(),
        Some(float) => float.to_string().parse().ok(),
    }
}

impl Limits {
    fn to_value(self) -> Value {
        // A number if JSON readers parse it exactly, otherwise its digits.
        let limit = |amount: Option<Amount>| match amount {
            None => Value::Null,
            Some(amount) => {
                let digits = amount.to_string();
                let number = serde_json::from_str::<serde_json::Number>(&digits).ok();
                match number.filter(|number| number.to_string() == digits) {
                    Some(number) => Value::Number(number),
                    None => Value::String(digits),
                }
            }
        };
        json!({ "below": limit(self.below), "above": limit(self.above) })
    }
}

fn columns(value: &Value) -> Parsed<GivenColumns> {
    let mut columns = GivenColumns::default();
    for (name, value) in object("columns", value)? {
        match name.as_str() {
            "transaction_id" => columns.transaction_id = Some(id_columns(value)?),
            _ if value.is_null() && name != "description" => {}
            "amount" => columns.amount = Some(amount_columns(value)?),
            "date" => columns.date = Some(column_ref("columns.date", value)?),
            "description" => columns.description = Some(column_refs("columns.description", value)?),
            _ => {
                return invalid(
                    &format!("columns.{name}"),
                    "The columns are transaction_id, amount, date and description.",
                );
            }
        }
    }
    Ok(columns)
}

fn id_columns(value: &Value) -> Parsed<IdColumns> {
    let key = "columns.transaction_id";
    let with_from = value
        .as_object()
        .filter(|object| object.contains_key("from"));
    let Some(object) = with_from else {
        return Ok(IdColumns {
            from: column_refs(key, value)?,
            unique: true,
        });
    };
    let (mut from, mut unique) = (Vec::new(), true);
    for (name, value) in object {
        match name.as_str() {
            "from" => from = column_refs(key, value)?,
            "unique" => unique = boolean(&format!("{key}.unique"), value)?,
            _ => return invalid(key, "It has only the keys from and unique."),
        }
    }
    Ok(IdColumns { from, unique })
}

fn amount_columns(value: &Value) -> Parsed<AmountColumns<ColumnRef>> {
    let key = "columns.amount";
    let object = value
        .as_object()
        .filter(|object| !object.contains_key("column"));
    let Some(object) = object else {
        return column_ref(key, value).map(AmountColumns::One);
    };
    let column = |name: &str| match object.get(name) {
        Some(value) => column_ref(&format!("{key}.{name}"), value),
        None => invalid(
            key,
            "Use a column, {\"debit\": column, \"credit\": column}, or {\"value\": column, \"sign\": column, \
             \"negative\": [\"D\"]}.",
        ),
    };
    let has_only = |names: &[&str]| {
        let other = object.keys().find(|name| !names.contains(&name.as_str()));
        other.map_or(Ok(()), |other| {
            invalid(&format!("{key}.{other}"), "There is no such key here.")
        })
    };
    if object.contains_key("debit") || object.contains_key("credit") {
        has_only(&["debit", "credit"])?;
        return Ok(AmountColumns::DebitCredit {
            debit: column("debit")?,
            credit: column("credit")?,
        });
    }
    has_only(&["value", "sign", "negative"])?;
    let (value, sign) = (column("value")?, column("sign")?);
    let key = format!("{key}.negative");
    let negative = list(&key, object.get("negative").unwrap_or(&Value::Null))?;
    let negative: Vec<String> = negative
        .map(|value| text(&key, value))
        .collect::<Parsed<_>>()?;
    if negative.is_empty() {
        return invalid(&key, "Name the values that mean a negative amount.");
    }
    Ok(AmountColumns::Signed {
        value,
        sign,
        negative,
    })
}

/// Parses a column, an array of columns, or null for none.
fn column_refs(key: &str, value: &Value) -> Parsed<Vec<ColumnRef>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(_) => list(key, value)?
            .map(|value| column_ref(key, value))
            .collect(),
        one => Ok(vec![column_ref(key, one)?]),
    }
}

fn column_ref(key: &str, value: &Value) -> Parsed<ColumnRef> {
    let number = |value: &Value| Ok(ColumnRef::Number(whole(key, value, 1..=MAX_COLUMN)? as u32));
    match value {
        Value::String(_) => text(key, value).map(ColumnRef::Name),
        Value::Number(_) => number(value),
        Value::Object(object) if object.len() == 1 => match object.get("column") {
            Some(value) => number(value),
            None => invalid(key, "Use {\"column\": 1}."),
        },
        _ => invalid(
            key,
            "Use the name of a column, or {\"column\": n} with its number from 1.",
        ),
    }
}

impl ColumnRef {
    fn to_value(&self) -> Value {
        match self {
            Self::Name(name) => json!(name),
            Self::Number(number) => json!({ "column": number }),
        }
    }
}

impl GivenColumns {
    /// Returns `None` if no column is given.
    fn to_value(&self) -> Option<Value> {
        let mut map = Map::new();
        let refs = |columns: &[ColumnRef]| match columns {
            [] => Value::Null,
            [one] => one.to_value(),
            several => several.iter().map(ColumnRef::to_value).collect(),
        };
        if let Some(id) = &self.transaction_id {
            let from = refs(&id.from);
            let value = match id.unique {
                true => from,
                false => json!({ "from": from, "unique": false }),
            };
            map.insert("transaction_id".to_owned(), value);
        }
        if let Some(amount) = &self.amount {
            let value = match amount {
                AmountColumns::One(column) => column.to_value(),
                AmountColumns::DebitCredit { debit, credit } => {
                    json!({ "debit": debit.to_value(), "credit": credit.to_value() })
                }
                AmountColumns::Signed {
                    value,
                    sign,
                    negative,
                } => json!({
                    "value": value.to_value(), "sign": sign.to_value(), "negative": negative
                }),
            };
            map.insert("amount".to_owned(), value);
        }
        if let Some(date) = &self.date {
            map.insert("date".to_owned(), date.to_value());
        }
        if let Some(description) = &self.description {
            map.insert("description".to_owned(), refs(description));
        }
        (!map.is_empty()).then_some(Value::Object(map))
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::read(&value).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_written_as_it_was_read() {
        for text in [
            r#"{}"#,
            r#"{"delimiter":";","header":false,"skip_records":3,"encoding":"windows-1252"}"#,
            r#"{"columns":{"transaction_id":null,"amount":"Betrag","date":{"column":2}}}"#,
            r#"{"columns":{"transaction_id":["a","b"],"amount":{"debit":"Soll","credit":"Haben"},
                "description":["x",{"column":3}]}}"#,
            r#"{"columns":{"transaction_id":{"from":"ref","unique":false},
                "amount":{"value":"a","sign":"s","negative":["D","-"]}}}"#,
            r#"{"ignore":[{"column":"State","is":["Pending"]},{"column":{"column":1},"is":"empty"}],
                "fields":"pad","suspicious":{"below":null,"above":0.5},"date_order":"dmy","decimal":","}"#,
            r#"{"container":"xlsx","sheet":"Transactions"}"#,
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            let format = Format::from_value(&value).unwrap();
            assert_eq!(format.to_value(), value, "{text}");
            assert_eq!(
                Format::from_json(&format.to_value().to_string()),
                Ok(format)
            );
        }
    }

    #[test]
    fn a_wrong_key_or_value_is_named() {
        for (text, key) in [
            (r#"{"colour":1}"#, "colour"),
            (r#"{"colour":null}"#, "colour"),
            (r#"{"delimiter":"a"}"#, "delimiter"),
            (r#"{"delimiter":";;"}"#, "delimiter"),
            (r#"{"encoding":"klingon"}"#, "encoding"),
            (r#"{"encoding":"replacement"}"#, "encoding"),
            (r#"{"date_order":"ydm"}"#, "date_order"),
            (r#"{"columns":{"amount":{"debit":"a"}}}"#, "columns.amount"),
            (r#"{"columns":{"date":{"column":0}}}"#, "columns.date"),
            (r#"{"columns":{"sum":"a"}}"#, "columns.sum"),
            (r#"{"suspicious":{"below":"x"}}"#, "suspicious.below"),
            (r#"{"ignore":[{"column":"a"}]}"#, "ignore"),
            (r#"[]"#, ""),
            (r#"{"#, ""),
            (r#"{"decimal":".","decimal":","}"#, ""),
        ] {
            assert_eq!(Format::from_json(text).unwrap_err().key, key, "{text}");
        }
    }

    #[test]
    fn a_change_withdraws_what_is_null() {
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let before = Format::from_json(
            r#"{"delimiter":";","decimal":",","columns":{"transaction_id":null,"amount":"Betrag"}}"#,
        )
        .unwrap();
        for (change, after) in [
            (r#"{}"#, before.to_value()),
            (
                r#"{"decimal":null,"encoding":null,"delimiter":"|"}"#,
                read(r#"{"delimiter":"|","columns":{"transaction_id":null,"amount":"Betrag"}}"#),
            ),
            (
                r#"{"columns":null,"date_order":"dmy"}"#,
                read(r#"{"delimiter":";","decimal":",","date_order":"dmy"}"#),
            ),
        ] {
            let change = FormatChange::from_value(&read(change)).unwrap();
            assert_eq!(change.apply(&before).to_value(), after, "{change:?}");
        }
        assert!(FormatChange::from_value(&read(r#"{"colour":null}"#)).is_err());
    }
}
