//! The encoding of the forms that post to server functions. That of server_fn ignores unknown fields.

use domain::InvalidField;
use leptos::server_fn::{
    Bytes, ContentType, Decodes, Encodes, Format, FormatType,
    codec::Post,
    serde::{Serialize, de::DeserializeOwned},
};

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
        let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(&bytes));
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
