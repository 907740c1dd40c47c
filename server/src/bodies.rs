//! Limits on the bodies of requests: size, time, and the parts of a multipart form. They apply whatever reads the body.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, BodyDataStream, Bytes, HttpBody},
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue,
        header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::{StreamExt, TryStreamExt, stream};

use self::form::{Form, FormExcess, FormLimits};
use crate::{
    limits::{BYTES_PER_MILLISECOND, Limits, SLOW_START},
    problem::{Problem, ProblemKind},
};

mod form;
#[cfg(test)]
mod form_agreement;

/// The limits of a body.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    bytes: u64,
    idle: Duration,
    /// How far the body may be behind the minimum rate, if it has one.
    max_lag: Option<Duration>,
    form: FormLimits,
}

impl BodyLimits {
    /// Returns the limits of a body that is held in memory, so it must arrive at a minimum rate. `bytes` is its maximum
    /// size.
    pub fn new(limits: &Limits, bytes: u64) -> Self {
        Self {
            bytes,
            idle: limits.body_timeout(),
            max_lag: Some(SLOW_START),
            form: FormLimits {
                parts: limits.max_form_parts,
                part_header_bytes: limits.max_part_header_bytes,
                field_bytes: limits.max_field_bytes,
            },
        }
    }

    /// Returns the limits of a body that is stored while it arrives, however slowly.
    pub fn of_upload(limits: &Limits, bytes: u64) -> Self {
        Self {
            max_lag: None,
            ..Self::new(limits, bytes)
        }
    }
}

/// Why reading a body stops.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Excess {
    Bytes(u64),
    Form(FormExcess),
    Idle(Duration),
    Slow,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(
                f,
                "The body of the request is larger than {bytes} bytes, the most that is accepted here."
            ),
            Self::Form(excess) => excess.fmt(f),
            Self::Idle(time) => write!(
                f,
                "Nothing came for {} seconds before the request was complete.",
                time.as_secs()
            ),
            Self::Slow => {
                f.write_str("The body of the request arrives at less than 1 kB per second.")
            }
        }
    }
}

impl std::error::Error for Excess {}

impl Excess {
    fn into_response(self) -> Response {
        let kind = match self {
            Self::Idle(_) | Self::Slow => ProblemKind::BodyTimeout,
            _ => ProblemKind::TooLarge,
        };
        Problem::new(kind, self.to_string()).into_response()
    }
}

/// Responds with 413 or 408, in place of the handler, if the body exceeds the limits. If its `Content-Length` does,
/// nothing is read.
pub async fn limit(State(limits): State<BodyLimits>, request: Request, next: Next) -> Response {
    if content_length(request.headers()).is_some_and(|length| length > limits.bytes) {
        return Excess::Bytes(limits.bytes).into_response();
    }
    let excess = Arc::new(OnceLock::new());
    let watched = Watched {
        limits,
        began: Instant::now(),
        bytes: 0,
        form: boundary(request.headers()).map(|boundary| Form::new(&boundary, limits.form)),
        excess: excess.clone(),
    };
    let request = request.map(|body| watched.wrap(body));
    let response = next.run(request).await;
    match excess.get() {
        // The handler may already have had what it needs.
        Some(excess) if !response.status().is_success() => excess.clone().into_response(),
        _ => response,
    }
}

/// Closes the connection after an error for which the body wasn't read to its end, because nothing can follow it. Unless it
/// is told, a client may send its next request on this connection and get no response.
pub async fn close_unread(request: Request, next: Next) -> Response {
    let is_read = Arc::new(AtomicBool::new(request.body().is_end_stream()));
    let request = match is_read.load(Ordering::Relaxed) {
        true => request,
        false => {
            let length = content_length(request.headers());
            request.map(|body| noting_its_end(body, length, is_read.clone()))
        }
    };
    let mut response = next.run(request).await;
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    if is_error && !is_read.load(Ordering::Relaxed) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}

/// `length` is the size of the body in bytes if it is known: a form is read to its last boundary, not to the end of the body.
fn noting_its_end(body: Body, length: Option<u64>, is_read: Arc<AtomicBool>) -> Body {
    let mut left = length;
    let (all, end) = (is_read.clone(), is_read);
    let pieces = body.into_data_stream().inspect_ok(move |piece| {
        left = left.map(|left| left.saturating_sub(piece.len() as u64));
        if left == Some(0) {
            all.store(true, Ordering::Relaxed);
        }
    });
    Body::from_stream(pieces.chain(stream::poll_fn(move |_| {
        end.store(true, Ordering::Relaxed);
        Poll::Ready(None)
    })))
}

/// Returns the `Content-Length` of a request.
pub fn content_length(headers: &HeaderMap) -> Option<u64> {
    // hyper has already refused text that isn't a number. A length of more than 64 bits exceeds any limit.
    let length = headers.get(CONTENT_LENGTH)?.to_str().ok()?;
    Some(length.parse().unwrap_or(u64::MAX))
}

/// Returns the boundary of a multipart form (RFC 2046, section 5.1.1).
pub fn boundary(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let (media_type, parameters) = kind.split_once(';')?;
    if !media_type
        .trim()
        .eq_ignore_ascii_case("multipart/form-data")
    {
        return None;
    }
    parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (name.trim().eq_ignore_ascii_case("boundary") && (1..=70).contains(&value.len()))
            .then(|| value.to_owned())
    })
}

/// A body that is checked while it is read.
struct Watched {
    limits: BodyLimits,
    began: Instant,
    bytes: u64,
    form: Option<Form>,
    excess: Arc<OnceLock<Excess>>,
}

impl Watched {
    fn wrap(self, body: Body) -> Body {
        let reading: Option<(Self, BodyDataStream)> = Some((self, body.into_data_stream()));
        Body::from_stream(stream::unfold(reading, |reading| async move {
            let (mut watched, mut body) = reading?;
            let (wait, excess) = watched.patience();
            let checked = match tokio::time::timeout(wait, body.next()).await {
                Ok(None) => return None,
                Ok(Some(Err(error))) => return Some((Err(error), None)),
                Ok(Some(Ok(piece))) => watched.check(piece),
                Err(_) => Err(excess),
            };
            match checked {
                Ok(piece) => Some((Ok(piece), Some((watched, body)))),
                Err(excess) => {
                    // An error means that one is already set.
                    let _ = watched.excess.set(excess.clone());
                    Some((Err(axum::Error::new(excess)), None))
                }
            }
        }))
    }

    /// Returns how long to wait for the next bytes, and the excess if none come.
    fn patience(&self) -> (Duration, Excess) {
        let idle = self.limits.idle;
        let left = self.limits.max_lag.map(|lag| {
            let received = Duration::from_millis(self.bytes / BYTES_PER_MILLISECOND);
            (received + lag).saturating_sub(self.began.elapsed())
        });
        match left {
            Some(left) if left < idle => (left, Excess::Slow),
            _ => (idle, Excess::Idle(idle)),
        }
    }

    fn check(&mut self, piece: Bytes) -> Result<Bytes, Excess> {
        self.bytes += piece.len() as u64;
        if self.bytes > self.limits.bytes {
            return Err(Excess::Bytes(self.limits.bytes));
        }
        if let Some(form) = &mut self.form {
            form.check(&piece).map_err(Excess::Form)?;
        }
        Ok(piece)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        form_agreement::{Part, agree, round_trip},
        *,
    };

    /// The building blocks of forms, in any order.
    fn fragments() -> impl Strategy<Value = Vec<u8>> {
        let fragment = prop_oneof![
            4 => Just(&b"--xyz"[..]),
            4 => Just(&b"\r\n"[..]),
            2 => Just(&b"--"[..]),
            2 => Just(&b"Content-Disposition: form-data; name=\"a\"\r\n\r\n"[..]),
            1 => Just(&b"Content-Disposition: form-data; name=\"a\"; filename=\"b\"\r\n\r\n"[..]),
            1 => Just(&b"content"[..]),
            1 => Just(&b"\n"[..]),
            1 => Just(&b" "[..]),
            1 => Just(&b"\0\xff"[..]),
            1 => Just(&[b'f'; 60][..]),
        ];
        prop::collection::vec(fragment, 0..24).prop_map(|fragments| fragments.concat())
    }

    fn cuts() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 1..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

        #[test]
        fn a_form_of_any_bytes_stays_within_its_limits(
            form in prop_oneof![fragments(), prop::collection::vec(any::<u8>(), 0..200)],
            cuts in cuts(),
        ) {
            agree("xyz", &form, &cuts);
        }

        #[test]
        fn a_form_is_read_as_it_was_written(
            parts in prop::collection::vec(
                ("[a-z_]{1,9}", prop::option::of("[a-z.]{1,9}"), fragments()),
                0..4,
            ),
            cuts in cuts(),
        ) {
            let part = |(name, filename, content)| Part { name, filename, content };
            round_trip(parts.into_iter().map(part).collect(), &cuts);
        }
    }

    #[tokio::test]
    async fn a_body_that_trickles_is_given_up() {
        let limits = BodyLimits {
            bytes: 1 << 20,
            idle: Duration::from_secs(30),
            max_lag: Some(Duration::from_millis(50)),
            form: FormLimits {
                parts: 1,
                part_header_bytes: 1,
                field_bytes: 1,
            },
        };
        let read = async |limits: BodyLimits, piece: &'static [u8]| {
            let excess = Arc::new(OnceLock::new());
            let watched = Watched {
                limits,
                began: Instant::now(),
                bytes: 0,
                form: None,
                excess: excess.clone(),
            };
            let every = tokio::time::interval(Duration::from_millis(10));
            let pieces = stream::unfold(every, move |mut every| async move {
                every.tick().await;
                Some((Ok::<_, axum::Error>(piece), every))
            });
            let body = watched.wrap(Body::from_stream(pieces.take(20)));
            let whole = axum::body::to_bytes(body, usize::MAX).await;
            (whole.is_ok(), excess.get().cloned())
        };
        assert_eq!(read(limits, b"x").await, (false, Some(Excess::Slow)));
        assert_eq!(read(limits, &[b'x'; 1000]).await, (true, None));
        let upload = BodyLimits {
            max_lag: None,
            ..limits
        };
        assert_eq!(read(upload, b"x").await, (true, None));
    }

    #[test]
    fn boundaries() {
        let of = |kind: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
            boundary(&headers)
        };
        assert_eq!(
            of("multipart/form-data; boundary=xyz").as_deref(),
            Some("xyz")
        );
        assert_eq!(
            of("Multipart/Form-Data;charset=x; Boundary=\"x y\"").as_deref(),
            Some("x y")
        );
        for kind in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "text/csv; boundary=x",
        ] {
            assert_eq!(of(kind), None, "{kind}");
        }
    }
}
