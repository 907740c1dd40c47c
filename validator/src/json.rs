//! JSON as people and programs send it.

use std::{cell::RefCell, collections::HashSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Why a text isn't accepted as JSON. `Display` continues a sentence: "it ends too early".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonError {
    EndsEarly,
    /// Malformed at this line and column, from 1.
    Malformed {
        line: usize,
        column: usize,
    },
    /// An object has this key twice.
    RepeatedKey(String),
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndsEarly => f.write_str("it ends too early"),
            Self::Malformed { line, column } => write!(f, "look at line {line}, column {column}"),
            Self::RepeatedKey(key) => write!(f, "\"{key}\" is given more than once"),
        }
    }
}

impl std::error::Error for JsonError {}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        match error.is_eof() {
            true => Self::EndsEarly,
            false => Self::Malformed {
                line: error.line(),
                column: error.column(),
            },
        }
    }
}

/// The number of characters of a repeated key that the error keeps.
const MAX_KEY_CHARS: usize = 64;

/// Parses JSON (RFC 8259). Refuses repeated keys: `serde_json` would silently keep the last value.
pub fn parse_json(text: &[u8]) -> Result<Value, JsonError> {
    let value = serde_json::from_slice(text)?;
    let repeated = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let checked = UniqueKeys(&repeated).deserialize(&mut deserializer);
    match (repeated.into_inner(), checked) {
        (Some(key), _) => Err(JsonError::RepeatedKey(key)),
        (None, checked) => Ok(checked.map(|()| value)?),
    }
}

/// Reads a value, and stores the first key that an object in it has twice.
#[derive(Clone, Copy)]
struct UniqueKeys<'a>(&'a RefCell<Option<String>>);

impl<'de> DeserializeSeed<'de> for UniqueKeys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if keys.contains(&key) {
                let key = key.chars().take(MAX_KEY_CHARS).collect();
                self.0.replace(Some(key));
                return Err(A::Error::custom("a repeated key"));
            }
            keys.insert(key);
            map.next_value_seed(self)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_unless_a_key_is_repeated() {
        let text = br#"{"a": [1, -2, 0.5, true, null, "x", {"a": {}}], "b": {"a": 1}}"#;
        assert_eq!(parse_json(text), Ok(serde_json::from_slice(text).unwrap()));
        for (text, error) in [
            (r#"{"a":1,"b":2,"a":1}"#, "\"a\" is given more than once"),
            (
                r#"[{"a":{"b":1,"\u0062":2}}]"#,
                "\"b\" is given more than once",
            ),
            ("{", "it ends too early"),
            ("", "it ends too early"),
            ("{'a':1}", "look at line 1, column 2"),
            ("{}\n}", "look at line 2, column 1"),
        ] {
            assert_eq!(
                parse_json(text.as_bytes()).unwrap_err().to_string(),
                error,
                "{text}"
            );
        }
        let long = "k".repeat(1000);
        let twice = format!("{{\"{long}\":1,\"{long}\":2}}");
        assert_eq!(
            parse_json(twice.as_bytes()),
            Err(JsonError::RepeatedKey("k".repeat(64)))
        );
    }
}
