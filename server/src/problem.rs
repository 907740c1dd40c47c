//! Errors as `application/problem+json` (RFC 9457).
//!
//! Handlers return `Result<_, Problem>`; `?` turns a [`backend::Error`] and every rejection of an
//! extractor into one. What is unexpected is logged here, once, inside the request's span, and is
//! never shown.

use std::any::Any;

use axum::{
    Json,
    extract::{
        multipart::{MultipartError, MultipartRejection},
        rejection::{BytesRejection, FormRejection},
        ws::rejection::WebSocketUpgradeRejection,
    },
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::InvalidField;
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong with a request.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the status says which kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    status: u16,
    /// A sentence for people.
    detail: String,
    /// With status 422: the values that can't be accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<InvalidField>,
    /// Seconds after which to try again.
    #[serde(skip)]
    retry_after: Option<u32>,
}

/// The sentence of a problem, for a page that says it: an extension of the response.
#[derive(Debug, Clone)]
pub struct Detail(pub String);

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// Says after how many seconds to try again.
    pub fn retry_after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The sentence for people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Answers with a page that says it.
    pub fn with_page(self, page: impl IntoResponse) -> Response {
        let mut response = page.into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }

    fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong on our side. The x-request-id of this response helps to find out \
             what.",
        )
    }

    /// Values that can't be accepted; `errors` is not empty.
    pub fn invalid(errors: Vec<InvalidField>) -> Self {
        let sentences: Vec<&str> = errors.iter().map(|error| &*error.message).collect();
        Self {
            detail: sentences.join(" "),
            errors,
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "")
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let (retry_after, detail) = (self.retry_after, Detail(self.detail.clone()));
        // `Json` sets a content type of its own, so ours is set on the finished response.
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(detail);
        response
    }
}

impl From<backend::Error> for Problem {
    fn from(error: backend::Error) -> Self {
        use backend::Error;
        match error {
            Error::NotFound(_) => Self::new(StatusCode::NOT_FOUND, error.to_string()),
            Error::Forbidden(sentence) => Self::new(StatusCode::FORBIDDEN, sentence),
            Error::Conflict(sentence) => Self::new(StatusCode::CONFLICT, sentence),
            Error::Invalid(field) => Self::invalid(vec![field]),
            Error::TooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
            Error::BadUpload(sentence) => Self::new(StatusCode::BAD_REQUEST, sentence),
            Error::Unavailable(sentence) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, sentence).retry_after(5)
            }
            Error::Internal(cause) => {
                tracing::error!(error = format!("{cause:#}"), "internal error");
                Self::internal()
            }
        }
    }
}

impl From<InvalidField> for Problem {
    fn from(error: InvalidField) -> Self {
        Self::invalid(vec![error])
    }
}

/// A rejection's own status and words, except that a body or value of the wrong shape is a 422.
macro_rules! from_rejection {
    ($($rejection:ty),+) => {$(
        impl From<$rejection> for Problem {
            fn from(rejection: $rejection) -> Self {
                let status = match rejection.status() {
                    StatusCode::BAD_REQUEST => StatusCode::UNPROCESSABLE_ENTITY,
                    status => status,
                };
                Self::new(status, rejection.body_text())
            }
        }
    )+};
}

from_rejection!(BytesRejection, FormRejection, MultipartRejection);

impl From<WebSocketUpgradeRejection> for Problem {
    fn from(rejection: WebSocketUpgradeRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<MultipartError> for Problem {
    fn from(error: MultipartError) -> Self {
        Self::new(error.status(), error.body_text())
    }
}

/// A panic in a handler is a defect of ours, and ends one request only.
pub fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let message = cause
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| cause.downcast_ref::<&str>().copied());
    tracing::error!(message, "a handler panicked");
    Problem::internal().into_response()
}

pub async fn no_such_route() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "There is nothing at this address.")
}

pub async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "This address doesn't answer to that method.",
    )
}
