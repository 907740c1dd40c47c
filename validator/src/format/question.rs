//! Questions about how a file is to be read, and decisions that the file allows.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Format;

/// A question that must be answered before the file can be read. The answer is a format with the question's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Question {
    /// The key of the format that answers the question: `columns`, `date_order`, `decimal`, `encoding`, `fields` or
    /// `sheet`.
    pub key: String,
    /// `format.` followed by the key.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// The values that the key may have, if they can be listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// The likely answer: a value of the key or, for `columns`, a format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Value, required = false))]
    pub suggestion: Option<Value>,
    /// For `columns`: the names of the columns as read under the suggestion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub header: Vec<String>,
    /// For `columns`: the first rows below that header.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Vec<String>>,
}

/// Questions about a file, whose texts can be stored. PostgreSQL can't store NULs, so they are U+FFFD here, as in rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Questions(Vec<Question>);

impl From<Vec<Question>> for Questions {
    fn from(mut questions: Vec<Question>) -> Self {
        questions.iter_mut().for_each(Question::replace_nuls);
        Self(questions)
    }
}

impl From<Questions> for Vec<Question> {
    fn from(questions: Questions) -> Self {
        questions.0
    }
}

impl std::ops::Deref for Questions {
    type Target = [Question];

    fn deref(&self) -> &[Question] {
        &self.0
    }
}

/// A value that a key may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Choice {
    pub value: String,
    /// Its meaning, for people.
    pub label: String,
    /// How it reads some values of the file.
    pub samples: Vec<Sample>,
}

/// A value of the file, and how a choice reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sample {
    /// The number of the row. `null` if the value is from the header.
    pub row: Option<u64>,
    pub value: String,
    /// `null` if it can't be read in this way.
    pub read_as: Option<String>,
}

/// How a file is read: every key of the format, and the reason for its value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reading {
    pub format: Format,
    pub decisions: Vec<Decision>,
}

/// A key of the format, and the reason for its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Decision {
    /// For example `columns.amount`.
    pub key: String,
    pub value: Value,
    pub source: Source,
    /// The row that proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// The value in that row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
}

/// The source of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Source {
    /// Given with the request.
    #[serde(rename = "given")]
    Given,
    /// Taken from the user's saved format.
    #[serde(rename = "saved")]
    Saved,
    /// Found by the names in the header.
    #[serde(rename = "name")]
    Name,
    /// Found by the first bytes or records of the file.
    #[serde(rename = "content")]
    Content,
    /// Proved by the values of all rows.
    #[serde(rename = "evidence")]
    Evidence,
    /// The file can't be read in any other way.
    #[serde(rename = "only choice")]
    OnlyChoice,
}

impl Question {
    pub(crate) fn new(key: &str, message: String) -> Self {
        Self {
            key: key.to_owned(),
            code: format!("format.{key}"),
            message,
            choices: Vec::new(),
            suggestion: None,
            header: Vec::new(),
            rows: Vec::new(),
        }
    }

    fn replace_nuls(&mut self) {
        for text in [&mut self.key, &mut self.code, &mut self.message] {
            replace_nuls(text);
        }
        for choice in &mut self.choices {
            replace_nuls(&mut choice.value);
            replace_nuls(&mut choice.label);
            for sample in &mut choice.samples {
                replace_nuls(&mut sample.value);
                sample.read_as.iter_mut().for_each(replace_nuls);
            }
        }
        self.suggestion.iter_mut().for_each(replace_nuls_in);
        let rows = self.rows.iter_mut().flatten();
        self.header.iter_mut().chain(rows).for_each(replace_nuls);
    }
}

fn replace_nuls(text: &mut String) {
    if text.contains('\0') {
        *text = text.replace('\0', "\u{FFFD}");
    }
}

/// Replaces the NULs in the values of JSON whose keys aren't from a file.
fn replace_nuls_in(value: &mut Value) {
    match value {
        Value::String(text) => replace_nuls(text),
        Value::Array(values) => values.iter_mut().for_each(replace_nuls_in),
        Value::Object(values) => values.values_mut().for_each(replace_nuls_in),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl Decision {
    pub(crate) fn new(key: &str, value: Value, source: Source) -> Self {
        Self {
            key: key.to_owned(),
            value,
            source,
            row: None,
            found: None,
        }
    }
}
