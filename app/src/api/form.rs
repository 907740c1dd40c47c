//! The encoding of the forms that post to server functions. That of server_fn ignores unknown fields.

use domain::{InvalidField, MAX_NAMED_CHARS};
use form_urlencoded::parse;
use leptos::server_fn::{
    Bytes, ContentType, Decodes, Encodes, Format, FormatType,
    codec::Post,
    serde::{Serialize, de::DeserializeOwned},
};
use percent_encoding::percent_decode;

/// The input of a server function that takes the fields of a form as its arguments. Refuses unknown ones.
pub type PlainForm = Post<FormEncoding>;

/// `application/x-www-form-urlencoded`. Errors that name a field are an [`InvalidField`] as JSON.
pub struct FormEncoding;

impl ContentType for FormEncoding {
    const CONTENT_TYPE: &'static str = "application/x-www-form-urlencoded";
}

impl FormatType for FormEncoding {
    const FORMAT_TYPE: Format = Format::Text;
}

impl<T: Serialize> Encodes<T> for FormEncoding {
    type Error = serde_urlencoded::ser::Error;

    fn encode(form: &T) -> Result<Bytes, Self::Error> {
        serde_urlencoded::to_string(form).map(Bytes::from)
    }
}

impl<T: DeserializeOwned> Decodes<T> for FormEncoding {
    type Error = String;

    fn decode(bytes: Bytes) -> Result<T, Self::Error> {
        check_utf8(&bytes).map_err(|error| serde_json::to_string(&error).unwrap_or_default())?;
        let pairs = serde_urlencoded::Deserializer::new(parse(&bytes));
        let mut unknown = None;
        let parsed = serde_ignored::deserialize(pairs, |name| {
            unknown.get_or_insert_with(|| name.to_string());
        });
        match unknown {
            Some(name) => {
                let error = InvalidField::unknown_in_form(&name);
                Err(serde_json::to_string(&error).unwrap_or_default())
            }
            None => parsed.map_err(|error| error.to_string()),
        }
    }
}

/// Returns the fields of a form. Fails if one isn't UTF-8.
#[cfg(feature = "ssr")]
pub fn form_fields(form: &[u8]) -> Result<Vec<(String, String)>, InvalidField> {
    check_utf8(form)?;
    Ok(parse(form).into_owned().collect())
}

/// Refuses bytes that aren't UTF-8. Parsing would replace them silently.
fn check_utf8(form: &[u8]) -> Result<(), InvalidField> {
    let is_utf8 = |text: &[u8]| percent_decode(text).decode_utf8().is_ok();
    for field in form.split(|&byte| byte == b'&') {
        if !is_utf8(field) {
            let name = parse(field).next().map_or_else(String::new, |(name, _)| {
                name.chars().take(MAX_NAMED_CHARS).collect()
            });
            let sentence = format!("The field \"{name}\" isn't UTF-8 text.");
            return Err(InvalidField::new(&name, &sentence));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_utf8_are_refused_by_name() {
        for form in ["", "a=1&b=%C3%A4+%F0%9F%92%B8", "a=%zz&=%"] {
            assert_eq!(check_utf8(form.as_bytes()), Ok(()), "{form}");
        }
        for form in [
            &b"a=1&name=%ff"[..],
            b"name=\xff",
            b"name=%C3",
            b"name=%C3&a=%A4",
        ] {
            assert_eq!(check_utf8(form).unwrap_err().field, "name");
        }
        assert!(check_utf8(b"%ff=1").is_err());
    }
}
