//! JSON schemas of types whose rules go beyond a JSON type, for the OpenAPI document.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{
            ArrayBuilder, KnownFormat, Object, ObjectBuilder, Schema, SchemaFormat, SchemaType,
            Type,
        },
    },
};

use crate::{
    Email, FormatName, HeaderKey, JobColumn, JobId, JobOrder, Quota, Retention, SavedFormatId,
    UserId, UserName,
};

/// The characters of [`crate::hidden`]. Those beyond U+FFFF are written literally, because their escapes depend on the
/// library.
macro_rules! hidden {
    () => {
        concat!(
            "\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b",
            "\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufeff\\uffa0\\ufff0-\\ufffb",
            "\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}"
        )
    };
}

/// Matches a text with a visible character and without those that [`has_hidden`](crate::hidden::has_hidden) rejects.
/// Joiners match, although some positions of them are rejected.
const VISIBLE: &str = concat!(
    "^[ \\u00a0\\u1680\\u2000-\\u200a\\u202f\\u205f\\u3000]*",
    "[^ \\u00a0\\u1680\\u2000-\\u200a\\u202f\\u205f\\u3000",
    hidden!(),
    "][^",
    hidden!(),
    "]*$"
);

/// The form of the HTML standard, with a dot in the domain.
const EMAIL: &str = "^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\
                     (\\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)+$";

fn text(pattern: &str, max_chars: usize) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(max_chars))
        .pattern(Some(pattern))
}

macro_rules! schema {
    ($($name:ty: $schema:expr;)+) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                Schema::from($schema).into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

/// Matches one of these texts.
pub(crate) fn names(names: impl Iterator<Item = &'static str>) -> RefOr<Schema> {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(names));
    Schema::from(schema.build()).into()
}

fn id(what: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(0))
        .description(Some(what))
        .build()
}

/// A value of [`crate::QuotaChange`].
pub(crate) fn quota() -> Object {
    at_most(Quota::MAX)
}

pub(crate) fn days() -> Object {
    at_most(Retention::MAX_DAYS)
}

fn at_most(most: u64) -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::Array(vec![Type::Integer, Type::Null]))
        .minimum(Some(0))
        .maximum(Some(most))
        .build()
}

schema! {
    UserId: id("The number of a user.");
    JobId: id("The number of a job.");
    SavedFormatId: id("The number of a saved format.");
    UserName: text(VISIBLE, Self::MAX_CHARS)
        .description(Some("A name of 1 to 100 characters that can be seen."))
        .build();
    FormatName: text(VISIBLE, Self::MAX_CHARS)
        .description(Some("A name of 1 to 100 characters that can be seen."))
        .build();
    Email: text(EMAIL, Self::MAX_CHARS)
        .description(Some("An email address such as `name@example.com`."))
        .build();
    HeaderKey: ArrayBuilder::new()
        .description(Some(
            "The names in a header; at least two must not be empty. Case and surrounding white space don't \
             matter.",
        ))
        .min_items(Some(2))
        .max_items(Some(1000))
        .items(Object::from(text("^[^\\u0000]*$", 100_000).min_length(None)))
        .build();
    JobOrder: ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(
            JobColumn::ALL
                .iter()
                .flat_map(|column| [Self::Ascending(*column), Self::Descending(*column)])
                .map(|order| order.to_string()),
        ))
        .build();
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;
    use crate::hidden::has_hidden;

    #[test]
    fn the_schema_of_names_agrees_with_the_parser() {
        let visible = Regex::new(VISIBLE).unwrap();
        let joiners = ['\u{200c}', '\u{200d}'];
        for character in (char::MIN..=char::MAX).filter(|it| !joiners.contains(it)) {
            let name = format!("A{character}");
            assert_eq!(visible.is_match(&name), !has_hidden(&name), "{name:?}");
            let name = character.to_string();
            let is_read = UserName::parse(&name).is_ok();
            assert_eq!(visible.is_match(&name), is_read, "{name:?}");
            assert_eq!(FormatName::parse(&name).is_ok(), is_read, "{name:?}");
        }
        for name in ["", " ", "\u{3000} ", "Ann\n", " \tAnn", "\u{85}Ann"] {
            assert!(
                !visible.is_match(name) && UserName::parse(name).is_err(),
                "{name:?}"
            );
        }
    }

    #[test]
    fn the_schema_of_email_addresses_agrees_with_the_parser() {
        let described = Regex::new(EMAIL).unwrap();
        for email in [
            "a@b.co",
            "first.last+tag@sub.example.co.uk",
            "O'Neil@example.com",
            "ann",
            "ann@example",
            "a b@example.com",
            "a@b@example.com",
            "a@-x.com",
            "a@x-.com",
            "a@x..com",
            "ä@example.com",
            &format!("a@{}.com", "x".repeat(63)),
            &format!("a@{}.com", "x".repeat(64)),
        ] {
            assert_eq!(
                described.is_match(email),
                Email::parse(email).is_ok(),
                "{email}"
            );
        }
    }
}
