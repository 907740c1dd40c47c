//! What comes in an address or a JSON body, with a sentence for each value that can't be accepted. Every name must be
//! known: a misspelt parameter or field would else be ignored without a word.

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
    http::{HeaderMap, header::CONTENT_TYPE, request::Parts},
};
use domain::{InvalidField, JobId, SavedFormatId, UserId};
use serde_json::{Map, Value};
use url::form_urlencoded;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::problem::{Problem, ProblemKind};

/// Characters of an unknown name that are repeated in an answer.
const MAX_NAMED_CHARS: usize = 64;

/// The ids in a path.
pub struct ApiPath<T>(pub T);

pub trait PathIds: Sized {
    fn read(ids: &mut Ids<'_>) -> Result<Self, InvalidField>;
}

/// The ids in a path that are not read yet, each with its name.
pub struct Ids<'a>(Box<dyn Iterator<Item = (&'a str, &'a str)> + 'a>);

impl Ids<'_> {
    fn next<T: std::str::FromStr>(&mut self) -> Result<T, InvalidField> {
        let (name, text) = self.0.next().unwrap_or(("id", ""));
        text.parse().map_err(|_| not_an_id(name))
    }
}

fn not_an_id(name: &str) -> InvalidField {
    InvalidField::new(name, &format!("{name} is a whole number such as 7."))
}

macro_rules! path_ids {
    ($($id:ty),+) => {$(
        impl PathIds for $id {
            fn read(ids: &mut Ids<'_>) -> Result<Self, InvalidField> {
                ids.next()
            }
        }
    )+};
}

path_ids!(UserId, JobId);

impl PathIds for (UserId, SavedFormatId) {
    fn read(ids: &mut Ids<'_>) -> Result<Self, InvalidField> {
        Ok((ids.next()?, ids.next()?))
    }
}

impl<S: Send + Sync, T: PathIds> FromRequestParts<S> for ApiPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        // What can't be decoded is no number.
        let params = params.map_err(|_| not_an_id("id"))?;
        Ok(Self(T::read(&mut Ids(Box::new(params.iter())))?))
    }
}

/// The parameters of a query.
pub struct ApiQuery<T>(pub T);

pub trait QueryParameters: Sized {
    const NAMES: &'static [&'static str];

    fn read(query: &mut QueryValues) -> Option<Self>;
}

/// No parameters.
pub struct NoParameters;

impl QueryParameters for NoParameters {
    const NAMES: &'static [&'static str] = &[];

    fn read(_: &mut QueryValues) -> Option<Self> {
        Some(Self)
    }
}

/// The values of a query, and what is wrong with them.
#[derive(Default)]
pub struct QueryValues {
    values: BTreeMap<String, String>,
    errors: Vec<InvalidField>,
}

impl QueryValues {
    fn parse(query: &str, known: &[&str]) -> Self {
        let mut parsed = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
            if !known.contains(&name.as_str()) {
                parsed.errors.push(unknown(&name, "parameter", known));
            } else if parsed.values.insert(name.clone(), value).is_some() {
                let sentence = format!("{name} is given more than once.");
                parsed.errors.push(InvalidField::new(&name, &sentence));
            }
            // One that has very many wrong ones needs no list of them.
            if parsed.errors.len() == 10 {
                break;
            }
        }
        parsed
    }

    /// None where there is none. An empty one is refused: it would be taken for none.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let value = self.values.remove(name)?;
        if value.trim().is_empty() {
            let sentence = format!("{name} is empty. Give it a value, or leave it out.");
            self.errors.push(InvalidField::new(name, &sentence));
            return None;
        }
        Some(value)
    }

    /// What to search for. None where there is none, or an empty one.
    pub fn search(&mut self, name: &str) -> Option<String> {
        self.values.remove(name).filter(|value| !value.is_empty())
    }

    /// Whether it is there, and not `false`.
    pub fn flag(&mut self, name: &str) -> bool {
        match self.values.remove(name).as_deref() {
            None | Some("false") => false,
            Some("" | "true") => true,
            Some(_) => {
                let sentence = format!("Use {name}, {name}=true or {name}=false.");
                self.errors.push(InvalidField::new(name, &sentence));
                false
            }
        }
    }

    /// A whole number from 1, and at most `most`.
    pub fn number(&mut self, name: &str, most: u64) -> Option<u64> {
        let text = self.values.remove(name)?;
        let number = plain_number(&text).filter(|number| (1..=most).contains(number));
        if number.is_none() {
            let to = match most {
                u64::MAX => String::new(),
                most => format!(" to {most}"),
            };
            let sentence = format!("{name} is a whole number from 1{to}.");
            self.errors.push(InvalidField::new(name, &sentence));
        }
        number
    }

    pub fn required_user_id(&mut self, name: &str) -> Option<UserId> {
        let id = self.values.remove(name).and_then(|id| id.parse().ok());
        if id.is_none() {
            self.errors.push(not_an_id(name));
        }
        id
    }

    /// None where there is none.
    pub fn id<T: std::str::FromStr>(&mut self, name: &str) -> Option<T> {
        let id = self.text(name)?.parse().ok();
        if id.is_none() {
            self.errors.push(not_an_id(name));
        }
        id
    }

    /// Notes what is wrong with several values.
    pub fn all_parsed<T>(&mut self, values: Result<T, Vec<InvalidField>>) -> Option<T> {
        values.map_err(|errors| self.errors.extend(errors)).ok()
    }

    /// Notes what is wrong with a value.
    pub fn parsed<T, E: Into<InvalidField>>(&mut self, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.errors.push(error.into())).ok()
    }
}

/// Digits and nothing else.
fn plain_number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

/// The schema of what [`QueryValues::flag`] reads.
pub fn flag() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["", "true", "false"]))
        .build()
}

/// Says that there is no such name, and which there are.
pub fn unknown(name: &str, what: &str, known: &[&str]) -> InvalidField {
    let name: String = name.chars().take(MAX_NAMED_CHARS).collect();
    let sentence = match known {
        [] => format!("There is no {what} \"{name}\": there are none here."),
        [one] => format!("There is no {what} \"{name}\", only {one}."),
        [rest @ .., last] => format!(
            "There is no {what} \"{name}\", only {} and {last}.",
            rest.join(", ")
        ),
    };
    InvalidField::new(&name, &sentence)
}

impl<S: Sync, T: QueryParameters> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let mut query = QueryValues::parse(query, T::NAMES);
        match T::read(&mut query) {
            Some(read) if query.errors.is_empty() => Ok(Self(read)),
            _ => Err(Problem::invalid(query.errors)),
        }
    }
}

/// A JSON object as the body.
pub struct ApiJson<T>(pub T);

pub trait Fields: Sized {
    const NAMES: &'static [&'static str];
    /// Fields that may be there and say nothing.
    const IGNORED: &'static [&'static str] = &[];

    fn read(body: &mut Body) -> Option<Self>;
}

/// The fields of a body, and what is wrong with them.
pub struct Body {
    fields: Map<String, Value>,
    errors: Vec<InvalidField>,
}

impl Body {
    /// Takes the JSON of an object with no fields but these.
    pub fn parse<T: Fields>(json: &[u8]) -> Result<T, Problem> {
        let value: Value = serde_json::from_slice(json).map_err(|error| {
            let sentence = match error.is_eof() {
                true => "The body is no JSON: it ends too early.".to_owned(),
                false => format!(
                    "The body is no JSON that can be read: look at line {}, column {}.",
                    error.line(),
                    error.column()
                ),
            };
            InvalidField::new("body", &sentence)
        })?;
        let Value::Object(fields) = value else {
            return Err(InvalidField::new("body", "The body is a JSON object: {…}.").into());
        };
        let known = [T::NAMES, T::IGNORED].concat();
        let unknown = fields
            .keys()
            .filter(|name| !known.contains(&name.as_str()))
            .take(10)
            .map(|name| unknown(name, "field", T::NAMES));
        let mut body = Self {
            errors: unknown.collect(),
            fields,
        };
        match T::read(&mut body) {
            Some(read) if body.errors.is_empty() => Ok(read),
            _ => Err(Problem::invalid(body.errors)),
        }
    }

    /// A text; `null` is none.
    pub fn optional_text(&mut self, name: &str) -> Option<String> {
        match self.fields.remove(name)? {
            Value::Null => None,
            Value::String(text) => Some(text),
            _ => {
                self.invalid(name, &format!("{name} is a text, in quotes."));
                None
            }
        }
    }

    pub fn text(&mut self, name: &str) -> Option<String> {
        if matches!(self.fields.get(name), None | Some(Value::Null)) {
            self.invalid(name, &format!("{name} is missing."));
        }
        self.optional_text(name)
    }

    /// None if it is left out.
    pub fn value(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name)
    }

    /// A whole number from 0 and at most `most`, `null`, or nothing at all.
    pub fn number(&mut self, name: &str, most: u64) -> Option<Option<u64>> {
        let value = self.fields.remove(name)?;
        if value.is_null() {
            return Some(None);
        }
        let number = whole_number(&value).filter(|number| *number <= most);
        if number.is_none() {
            let sentence = format!("{name} is a whole number from 0 to {most}, or null.");
            self.invalid(name, &sentence);
        }
        Some(number)
    }

    /// A list of texts, `null`, or nothing at all.
    pub fn texts(&mut self, name: &str) -> Option<Option<Vec<String>>> {
        let value = self.fields.remove(name)?;
        let texts = serde_json::from_value(value).ok();
        if texts.is_none() {
            self.invalid(name, &format!("{name} is a list of texts, or null."));
        }
        texts
    }

    pub fn invalid(&mut self, name: &str, sentence: &str) {
        self.errors.push(InvalidField::new(name, sentence));
    }
}

/// To JSON Schema `7.0` is an integer, too.
fn whole_number(value: &Value) -> Option<u64> {
    let whole = |number: &f64| number.fract() == 0.0 && (0.0..=2f64.powi(53)).contains(number);
    value
        .as_u64()
        .or_else(|| Some(value.as_f64().filter(whole)? as u64))
}

impl<S: Send + Sync, T: Fields> FromRequest<S> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                ProblemKind::UnsupportedMediaType,
                "The body must be application/json.",
            ));
        }
        let body = Bytes::from_request(request, state).await?;
        Body::parse(&body).map(Self)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next();
    let kind = kind.unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}
