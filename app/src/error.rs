//! The error of every server function: what a page can act on and show to users.

use domain::InvalidField;
use leptos::{
    prelude::{FromServerFnError, ServerFnErrorErr},
    server_fn::codec::JsonEncoding,
};
use serde::{Deserialize, Serialize};

/// The kinds of errors that a caller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorKind {
    NotFound,
    /// The data may be seen, but the action isn't allowed.
    Forbidden,
    /// The user must confirm who they are first.
    Unconfirmed,
    /// A quota of the user is used up.
    QuotaExceeded,
    Conflict,
    Invalid,
    TooLarge,
    /// The storage has too little room.
    NoRoom,
    /// Retrying later may help.
    Unavailable,
    Internal,
}

#[cfg(feature = "ssr")]
impl ErrorKind {
    pub fn status(self) -> axum::http::StatusCode {
        use axum::http::StatusCode;

        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Unconfirmed => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::QuotaExceeded => StatusCode::FORBIDDEN,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoRoom => StatusCode::INSUFFICIENT_STORAGE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Sent to a script of the page as JSON. After a plain form post, sent in a cookie to the page with the form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppError {
    pub kind: ErrorKind,
    /// A sentence for people.
    pub message: String,
    /// The invalid fields of the form, each with a sentence.
    pub fields: Vec<InvalidField>,
    /// The typed values by field name, so that the form can be filled in again.
    pub typed: Vec<(String, String)>,
}

/// The maximum number of characters of a typed value returned with an error, because it is sent in a cookie.
const MAX_TYPED_CHARS: usize = 300;

impl AppError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            fields: Vec::new(),
            typed: Vec::new(),
        }
    }

    pub fn internal() -> Self {
        Self::new(
            ErrorKind::Internal,
            "Something went wrong on our side. Try again in a moment.",
        )
    }

    /// The current state doesn't allow it.
    pub fn conflict(message: String) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Forbidden, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    pub fn unreachable() -> Self {
        Self::new(
            ErrorKind::Unavailable,
            "The server can't be reached. Check the connection and try again.",
        )
    }

    /// No response yet to a command that was sent.
    pub fn late() -> Self {
        Self::new(
            ErrorKind::Unavailable,
            "The server hasn't answered yet. The command may still take effect.",
        )
    }

    pub fn invalid(fields: impl IntoIterator<Item = InvalidField>) -> Self {
        let fields: Vec<InvalidField> = fields.into_iter().collect();
        let messages: Vec<&str> = fields.iter().map(|field| field.message.as_str()).collect();
        Self {
            fields: fields.clone(),
            ..Self::new(ErrorKind::Invalid, messages.join(" "))
        }
    }

    /// Returns the same error, attached to `field` unless it already names fields.
    pub fn at(mut self, field: &str) -> Self {
        if self.fields.is_empty() {
            self.fields.push(InvalidField::new(field, &self.message));
        }
        self
    }

    pub fn with_typed(mut self, typed: &[(&str, &str)]) -> Self {
        self.typed = typed
            .iter()
            .map(|(name, value)| {
                let value = value.chars().take(MAX_TYPED_CHARS).collect();
                ((*name).to_owned(), value)
            })
            .collect();
        self
    }

    /// Returns the sentence for the field with this name.
    pub fn field(&self, name: &str) -> Option<String> {
        let field = self.fields.iter().find(|field| field.field == name)?;
        Some(field.message.clone())
    }

    /// Returns the sentence for the form as a whole, if the error isn't about a field.
    pub fn form(&self) -> Option<String> {
        self.fields.is_empty().then(|| self.message.clone())
    }

    pub fn typed(&self, name: &str) -> Option<String> {
        let (_, value) = self.typed.iter().find(|(field, _)| field == name)?;
        Some(value.clone())
    }
}

impl std::fmt::Display for AppError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for AppError {}

impl From<InvalidField> for AppError {
    fn from(invalid: InvalidField) -> Self {
        Self::invalid([invalid])
    }
}

impl FromServerFnError for AppError {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        match error {
            ServerFnErrorErr::Args(text)
            | ServerFnErrorErr::MissingArg(text)
            | ServerFnErrorErr::Deserialization(text) => {
                // Text of the form's encoding if it is JSON, otherwise of a library.
                match serde_json::from_str::<InvalidField>(&text) {
                    Ok(field) => field.into(),
                    Err(_) => Self::new(
                        ErrorKind::Invalid,
                        "Some fields didn't arrive. Reload the page and try again.",
                    ),
                }
            }
            error => {
                leptos::logging::error!("server function: {error}");
                Self::internal()
            }
        }
    }
}

/// The boundary at which an internal error is logged, once, and turned into a sentence without internal details.
#[cfg(feature = "ssr")]
impl From<backend::Error> for AppError {
    fn from(error: backend::Error) -> Self {
        use backend::Error;

        let kind = match error {
            Error::NotFound(_) => ErrorKind::NotFound,
            Error::Forbidden(_) => ErrorKind::Forbidden,
            Error::Unconfirmed => ErrorKind::Unconfirmed,
            Error::QuotaExceeded(_) => ErrorKind::QuotaExceeded,
            Error::Conflict(_) => ErrorKind::Conflict,
            Error::Invalid(invalid) => return invalid.into(),
            Error::TooLarge { .. } => ErrorKind::TooLarge,
            Error::BadUpload(_) => ErrorKind::Invalid,
            Error::NoRoom(_) => ErrorKind::NoRoom,
            Error::Unavailable(_) => ErrorKind::Unavailable,
            Error::Internal(error) => {
                tracing::error!(error = format!("{error:#}"), "internal error");
                return Self::internal();
            }
        };
        Self::new(kind, error.to_string())
    }
}
