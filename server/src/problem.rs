//! Errors as `application/problem+json` (RFC 9457).
//!
//! Handlers return `Result<_, Problem>`. The `?` operator converts a [`backend::Error`] and the rejections of all
//! extractors. Unexpected errors are logged here, once, inside the request's span, and are never shown.

use std::any::Any;

use axum::{
    Json,
    extract::{
        multipart::{MultipartError, MultipartRejection},
        rejection::BytesRejection,
        ws::rejection::WebSocketUpgradeRejection,
    },
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::InvalidField;
use serde::{Serialize, Serializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, SchemaFormat, Type},
    },
};

macro_rules! problem_kinds {
    ($($kind:ident = $code:literal, $status:ident, $title:literal, $help:literal;)+) => {
        /// A kind of problem, for programs. The codes are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ProblemKind {
            $($kind,)+
        }

        impl ProblemKind {
            pub const ALL: &'static [Self] = &[$(Self::$kind,)+];

            /// Returns the code, which is the last segment of the path of the problem's page.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$kind => $code,)+
                }
            }

            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$kind => StatusCode::$status,)+
                }
            }

            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$kind => $title,)+
                }
            }

            /// Returns what the problem means and what to do, for its page.
            pub const fn help(self) -> &'static str {
                match self {
                    $(Self::$kind => $help,)+
                }
            }
        }
    };
}

problem_kinds! {
    MalformedRequest = "malformed-request", BAD_REQUEST, "Malformed request",
        "The request can't be parsed: the Host header is missing or repeated, the handshake of a WebSocket is incomplete, or \
         the body is malformed or ends early. If an upload was interrupted, send the file again; nothing was stored.";
    SignInRequired = "sign-in-required", UNAUTHORIZED, "Sign-in required",
        "This server requires authentication. Send an API token, as in \"Authorization: Bearer bl_…\". You can create \
         one on the Account page.";
    InvalidToken = "invalid-token", UNAUTHORIZED, "Invalid API token",
        "The API token is mistyped, expired or revoked. Create a new one on the Account page.";
    ConfirmationRequired = "confirmation-required", UNAUTHORIZED, "Confirmation required",
        "The session was authenticated too long ago for a change that affects how somebody signs in. Sign in again, or make \
         the change on a page, which asks who you are.";
    Forbidden = "forbidden", FORBIDDEN, "Not allowed",
        "You don't have permission: the operation is for admins, or the API token is read-only.";
    QuotaExceeded = "quota-exceeded", FORBIDDEN, "Quota exceeded",
        "The user has as many jobs, stored bytes or running jobs as their quotas allow. The detail says which quota it \
         is and how much is used. Delete jobs that are no longer needed, wait until a job has ended, or ask an admin for a \
         higher quota. GET /me and GET /users/{user_id}/quotas return quotas and usage.";
    SecondFactorRequired = "second-factor-required", FORBIDDEN, "Second factor required",
        "This server requires users with a password to have a second factor. Set up two-step sign-in on the Account page.";
    ForeignOrigin = "foreign-origin", FORBIDDEN, "Cross-site request",
        "A browser sent this request from another site. Only Batchline's own pages and API clients can make changes.";
    NotFound = "not-found", NOT_FOUND, "Not found",
        "Nothing with this ID exists, or it belongs to another user.";
    NoSuchAddress = "no-such-address", NOT_FOUND, "No such address",
        "No operation has this path. The API documentation lists all operations.";
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "Method not allowed",
        "This address doesn't support the method. The Allow header lists those it supports.";
    BodyTimeout = "body-timeout", REQUEST_TIMEOUT, "Body timed out",
        "The request body stopped arriving before it was complete, or arrived too slowly. Send the request again.";
    Conflict = "conflict", CONFLICT, "Conflict",
        "The current state doesn't allow it. For example, only a job that is being processed can be paused, and an email \
         address can belong to only one user. See the detail for the reason.";
    TooLarge = "too-large", PAYLOAD_TOO_LARGE, "Too large",
        "The file, the body or a form field exceeds its limit. The detail says what the limit is.";
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "Unsupported media type",
        "The operation doesn't accept this content type. Use application/json, or multipart/form-data for files.";
    WrongHost = "wrong-host", MISDIRECTED_REQUEST, "Host not served",
        "This server doesn't serve the host named in the request. Its operator can add it to ALLOWED_HOSTS.";
    InvalidValue = "invalid-value", UNPROCESSABLE_ENTITY, "Invalid value",
        "A field or parameter is missing, unknown, or has an invalid value. The errors member names each one and says \
         why.";
    UpgradeRequired = "upgrade-required", UPGRADE_REQUIRED, "WebSocket expected",
        "This address only accepts WebSocket connections, and the request doesn't ask for one.";
    TooManyRequests = "too-many-requests", TOO_MANY_REQUESTS, "Too many requests",
        "Too many requests of this kind came from your address. Try again after the number of seconds in the \
         Retry-After header.";
    Internal = "internal-error", INTERNAL_SERVER_ERROR, "Internal error",
        "Something went wrong on our side. The operator can find the cause in the log by the response's x-request-id.";
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "Unavailable",
        "A service that Batchline depends on isn't responding. Nothing was changed. Try again after the number of seconds \
         in the Retry-After header.";
    NoRoom = "no-room", INSUFFICIENT_STORAGE, "Not enough room",
        "The file storage has too little room for the file, which wasn't read. Delete jobs that are no longer needed, or \
         tell the operator.";
    Busy = "busy", SERVICE_UNAVAILABLE, "Busy",
        "Too many searches, downloads, checks or uploads are running, in total or of yours. Try again after the number of seconds in the Retry-After header.";
}

impl ProblemKind {
    /// The path of the problems' pages, on both addresses.
    pub const PATH: &str = "/problems";

    /// Returns the first kind with this status, which is the most general one.
    pub fn of(status: StatusCode) -> Self {
        let kind = Self::ALL.iter().find(|kind| kind.status() == status);
        kind.copied().unwrap_or(Self::Internal)
    }

    /// Returns the `type` of RFC 9457. It is a path, because the server doesn't know the names and proxies through
    /// which clients reach it.
    pub fn uri(self) -> String {
        format!("{}/{}", Self::PATH, self.code())
    }
}

impl Serialize for ProblemKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.uri())
    }
}

impl PartialSchema for ProblemKind {
    fn schema() -> RefOr<Schema> {
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::Custom("uri-reference".to_owned())))
            .description(Some(
                "The kind of problem, for programs: the path of a page about it on this server.",
            ))
            .enum_values(Some(Self::ALL.iter().map(|kind| kind.uri())));
        Schema::from(schema.build()).into()
    }
}

impl ToSchema for ProblemKind {}

/// An error response (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: ProblemKind,
    /// The kind of problem in words.
    title: &'static str,
    status: u16,
    /// What happened and what to do, as a sentence for people.
    detail: String,
    /// The values that can't be accepted. Only with status 422.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<InvalidField>,
    /// The value of `Retry-After`, in seconds.
    #[serde(skip)]
    retry_after: Option<u32>,
}

/// A problem's sentence, as a response extension for the page that shows it.
#[derive(Debug, Clone)]
pub struct Detail(pub String);

impl Problem {
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            title: kind.title(),
            status: kind.status().as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// Sets the number of seconds after which to try again.
    pub fn retry_after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    pub fn status(&self) -> StatusCode {
        self.kind.status()
    }

    /// Returns the sentence for people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Responds with a page that shows the problem.
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
            ProblemKind::Internal,
            "Something went wrong on our side. The x-request-id of this response helps to find out \
             what.",
        )
    }

    /// Returns the problem for a body that isn't a form with a file.
    pub fn not_a_form() -> Self {
        Self::new(
            ProblemKind::UnsupportedMediaType,
            "The body must be multipart/form-data, with a boundary of 1 to 70 characters.",
        )
    }

    /// Returns the problem for a body that can't be read to its end.
    pub fn broken_body() -> Self {
        Self::new(
            ProblemKind::MalformedRequest,
            "The body of the request ends early, or its chunks are malformed. Send it again.",
        )
    }

    /// Returns the problem for values that can't be accepted. `errors` must not be empty.
    pub fn invalid(errors: Vec<InvalidField>) -> Self {
        let sentences: Vec<&str> = errors.iter().map(|error| &*error.message).collect();
        Self {
            detail: sentences.join(" "),
            errors,
            ..Self::new(ProblemKind::InvalidValue, "")
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let is_unconfirmed = self.kind == ProblemKind::ConfirmationRequired;
        let is_no_socket = self.kind == ProblemKind::UpgradeRequired;
        let (retry_after, detail) = (self.retry_after, Detail(self.detail.clone()));
        // `Json` sets its own content type, so ours is set on the finished response.
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if is_no_socket {
            // RFC 9110, section 15.5.22.
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        }
        if is_unconfirmed {
            // RFC 9470, section 3.
            let challenge =
                "Bearer realm=\"Batchline\", error=\"insufficient_user_authentication\"";
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        response.extensions_mut().insert(detail);
        response
    }
}

impl From<backend::Error> for Problem {
    fn from(error: backend::Error) -> Self {
        use backend::Error;
        match error {
            Error::NotFound(_) => Self::new(ProblemKind::NotFound, error.to_string()),
            Error::Forbidden(sentence) => Self::new(ProblemKind::Forbidden, sentence),
            Error::Unconfirmed => Self::new(ProblemKind::ConfirmationRequired, error.to_string()),
            Error::QuotaExceeded(sentence) => Self::new(ProblemKind::QuotaExceeded, sentence),
            Error::Conflict(sentence) => Self::new(ProblemKind::Conflict, sentence),
            Error::Invalid(field) => Self::invalid(vec![field]),
            Error::TooLarge { .. } => Self::new(ProblemKind::TooLarge, error.to_string()),
            Error::BadUpload(sentence) => Self::new(ProblemKind::MalformedRequest, sentence),
            Error::NoRoom(sentence) => Self::new(ProblemKind::NoRoom, sentence),
            Error::Unavailable(sentence) => {
                Self::new(ProblemKind::Unavailable, sentence).retry_after(5)
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

// The rejections of axum have texts for those who wrote the server. Ours are for those who wrote the request.

impl From<BytesRejection> for Problem {
    fn from(_: BytesRejection) -> Self {
        // `bodies::limit` responds to a body that is too large or too slow.
        Self::broken_body()
    }
}

impl From<MultipartRejection> for Problem {
    fn from(_: MultipartRejection) -> Self {
        Self::not_a_form()
    }
}

impl From<MultipartError> for Problem {
    fn from(error: MultipartError) -> Self {
        match error.status() {
            StatusCode::BAD_REQUEST => Self::new(
                ProblemKind::MalformedRequest,
                "The form is malformed or ends early: look at its boundaries and at the headers of its parts. Nothing was \
                 stored.",
            ),
            _ => Self::broken_body(),
        }
    }
}

impl From<WebSocketUpgradeRejection> for Problem {
    fn from(rejection: WebSocketUpgradeRejection) -> Self {
        use WebSocketUpgradeRejection as Rejection;
        let malformed = |sentence| Self::new(ProblemKind::MalformedRequest, sentence);
        match rejection {
            Rejection::InvalidWebSocketVersionHeader(_) => {
                malformed("A WebSocket needs the header \"Sec-WebSocket-Version: 13\".")
            }
            Rejection::WebSocketKeyHeaderMissing(_) => {
                malformed("A WebSocket needs the header Sec-WebSocket-Key.")
            }
            _ => Self::new(
                ProblemKind::UpgradeRequired,
                "This address accepts only WebSockets: GET with HTTP/1.1 and the headers \"Connection: Upgrade\" and \
                 \"Upgrade: websocket\".",
            ),
        }
    }
}

/// Converts a panic in a handler, which is a bug of ours, to a response. Only this request fails.
pub fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let message = cause
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| cause.downcast_ref::<&str>().copied());
    tracing::error!(message, "a handler panicked");
    Problem::internal().into_response()
}

pub async fn no_such_route() -> Problem {
    Problem::new(
        ProblemKind::NoSuchAddress,
        "There is nothing at this address.",
    )
}

pub async fn method_not_allowed() -> Problem {
    Problem::new(
        ProblemKind::MethodNotAllowed,
        "This address doesn't support that method.",
    )
}
