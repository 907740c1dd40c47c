//! The JSON schema of a [`Format`], for the OpenAPI document. It must agree with `json.rs`.

use std::collections::BTreeMap;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use super::Format;

/// Returns the schemas by name.
fn schemas() -> BTreeMap<String, RefOr<Schema>> {
    serde_json::from_str(include_str!("schema.json")).expect("a test reads it")
}

impl PartialSchema for Format {
    fn schema() -> RefOr<Schema> {
        schemas().remove("Format").expect("a test finds it")
    }
}

impl ToSchema for Format {
    fn schemas(others: &mut Vec<(String, RefOr<Schema>)>) {
        others.extend(schemas().into_iter().filter(|(name, _)| name != "Format"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Encoding, format::json::KEYS};

    #[test]
    fn the_schema_has_every_key() {
        let RefOr::T(Schema::Object(format)) = Format::schema() else {
            panic!("it is an object");
        };
        let mut keys = KEYS.map(str::to_owned);
        keys.sort();
        let described: Vec<String> = format.properties.keys().cloned().collect();
        assert_eq!(described, keys);
        let mut others = Vec::new();
        Format::schemas(&mut others);
        assert_eq!(others.len(), 3);
    }

    #[test]
    fn the_schema_has_encodings_as_they_are_written() {
        let schema: serde_json::Value = serde_json::from_str(include_str!("schema.json")).unwrap();
        let labels = &schema["Format"]["properties"]["encoding"]["enum"];
        for label in labels
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|it| it.as_str())
        {
            let encoding = Encoding::from_label(label).unwrap_or_else(|| panic!("{label}"));
            assert_eq!(encoding.label(), label);
        }
    }
}
