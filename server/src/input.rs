//! Parses input from URLs and JSON bodies, with a sentence for each value that can't be accepted. Unknown names are
//! errors; otherwise a misspelt parameter or field would be ignored silently.

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
    http::{HeaderMap, header::CONTENT_TYPE, request::Parts},
};
use domain::{InvalidField, JobId, JsonError, MAX_NAMED_CHARS, SavedFormatId, UserId, parse_json};
use serde_json::{Map, Value};
use url::form_urlencoded;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::problem::{Problem, ProblemKind};

/// The ids in a path.
pub struct ApiPath<T>(pub T);

pub trait PathIds: Sized {
    fn read(ids: &mut Ids<'_>) -> Result<Self, InvalidField>;
}

/// The remaining ids of a path, with their names.
pub struct Ids<'a>(Box<dyn Iterator<Item = (&'a str, &'a str)> + 'a>);

impl Ids<'_> {
    fn next<T: std::str::FromStr>(&mut self) -> Result<T, InvalidField> {
        let (name, text) = self.0.next().unwrap_or(("id", ""));
        text.parse().map_err(|_| not_an_id(name))
    }
}

fn not_an_id(name: &str) -> InvalidField {
    InvalidField::new(name, &format!("{name} must be a whole number such as 7."))
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
        // Text that can't be decoded is no number.
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

/// The values of a query, and the errors found in them.
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
            // A query with very many errors needs no complete list.
            if parsed.errors.len() == 10 {
                break;
            }
        }
        parsed
    }

    /// Returns a text, or `None` without the parameter. Refuses an empty one, which would have no effect.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let value = self.values.remove(name)?;
        if value.trim().is_empty() {
            let sentence = format!("{name} is empty. Give it a value, or leave it out.");
            self.errors.push(InvalidField::new(name, &sentence));
            return None;
        }
        Some(value)
    }

    /// Returns a text to search for. `None` without the parameter, or if it is empty.
    pub fn search(&mut self, name: &str) -> Option<String> {
        self.values.remove(name).filter(|value| !value.is_empty())
    }

    /// Returns whether the parameter is present and not `false`.
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

    /// Returns a whole number from 1 to `most`.
    pub fn number(&mut self, name: &str, most: u64) -> Option<u64> {
        let text = self.values.remove(name)?;
        let number = plain_number(&text).filter(|number| (1..=most).contains(number));
        if number.is_none() {
            let to = match most {
                u64::MAX => String::new(),
                most => format!(" to {most}"),
            };
            let sentence = format!("{name} must be a whole number from 1{to}.");
            self.errors.push(InvalidField::new(name, &sentence));
        }
        number
    }

    pub fn required_user_id(&mut self, name: &str) -> Option<UserId> {
        if !self.values.contains_key(name) {
            // A field of the form with this name is a usual mistake.
            let sentence = format!("{name} is missing. Add it to the address: ?{name}=7");
            self.errors.push(InvalidField::new(name, &sentence));
        }
        self.id(name)
    }

    /// Returns an id, or `None` without the parameter.
    pub fn id<T: std::str::FromStr>(&mut self, name: &str) -> Option<T> {
        let id = self.text(name)?.parse().ok();
        if id.is_none() {
            self.errors.push(not_an_id(name));
        }
        id
    }

    /// Returns the values, or records their errors.
    pub fn all_parsed<T>(&mut self, values: Result<T, Vec<InvalidField>>) -> Option<T> {
        values.map_err(|errors| self.errors.extend(errors)).ok()
    }

    /// Returns the value, or records its error.
    pub fn parsed<T, E: Into<InvalidField>>(&mut self, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.errors.push(error.into())).ok()
    }
}

/// Parses a number that consists of digits only.
fn plain_number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

/// Returns the schema of the values that [`QueryValues::flag`] accepts.
pub fn flag() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["", "true", "false"]))
        .build()
}

/// Returns the error for an unknown name, which lists the known ones.
pub fn unknown(name: &str, what: &str, known: &[&str]) -> InvalidField {
    let name: String = name.chars().take(MAX_NAMED_CHARS).collect();
    let sentence = match known {
        [] => format!("There is no {what} \"{name}\": none are allowed here."),
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

/// A JSON object as the body of a request.
pub struct ApiJson<T>(pub T);

pub trait Fields: Sized {
    const NAMES: &'static [&'static str];
    /// Fields that are accepted but ignored.
    const IGNORED: &'static [&'static str] = &[];

    fn read(body: &mut Body) -> Option<Self>;
}

/// The fields of a body, and the errors found in them.
pub struct Body {
    fields: Map<String, Value>,
    errors: Vec<InvalidField>,
}

impl Body {
    /// Parses the JSON of an object. Refuses unknown and repeated fields.
    pub fn parse<T: Fields>(json: &[u8]) -> Result<T, Problem> {
        let value = parse_json(json).map_err(|error| match &error {
            JsonError::RepeatedKey(name) => {
                InvalidField::new(name, &format!("{name} is given more than once."))
            }
            _ => InvalidField::new("body", &format!("The body isn't valid JSON: {error}.")),
        })?;
        let Value::Object(fields) = value else {
            return Err(InvalidField::new("body", "The body must be a JSON object: {…}.").into());
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

    /// Returns a text. `None` for `null`.
    pub fn optional_text(&mut self, name: &str) -> Option<String> {
        match self.fields.remove(name)? {
            Value::Null => None,
            Value::String(text) => Some(text),
            _ => {
                self.invalid(name, &format!("{name} must be a text in quotes."));
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

    /// Returns a value, or `None` if it is omitted.
    pub fn value(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name)
    }

    /// Returns a whole number from 0 to `most`, `Some(None)` for `null`, or `None` if it is omitted.
    pub fn number(&mut self, name: &str, most: u64) -> Option<Option<u64>> {
        let value = self.fields.remove(name)?;
        if value.is_null() {
            return Some(None);
        }
        let number = whole_number(&value).filter(|number| *number <= most);
        if number.is_none() {
            let sentence = format!("{name} must be a whole number from 0 to {most}, or null.");
            self.invalid(name, &sentence);
        }
        Some(number)
    }

    /// Returns a list of texts, `Some(None)` for `null`, or `None` if it is omitted.
    pub fn texts(&mut self, name: &str) -> Option<Option<Vec<String>>> {
        let value = self.fields.remove(name)?;
        let texts = serde_json::from_value(value).ok();
        if texts.is_none() {
            self.invalid(name, &format!("{name} must be a list of texts, or null."));
        }
        texts
    }

    pub fn invalid(&mut self, name: &str, sentence: &str) {
        self.errors.push(InvalidField::new(name, sentence));
    }
}

/// Returns a whole number. JSON Schema counts `7.0` as an integer, too.
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
