//! Limits on the bodies of requests: size, time, and the parts of a multipart form. They apply whatever reads the body.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
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
use tokio::time::Instant;

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
    /// The minimum rate in bytes per second. 0: none.
    rate: u64,
    /// How far the body may be behind that rate.
    max_lag: Duration,
    /// The limits of the multipart form that the body must be, if it must.
    form: Option<FormLimits>,
}

impl BodyLimits {
    /// Returns the limits of a body that is held in memory. `bytes` is its maximum size.
    pub fn new(limits: &Limits, bytes: u64) -> Self {
        Self {
            bytes,
            idle: limits.body_timeout(),
            rate: BYTES_PER_MILLISECOND * 1000,
            max_lag: SLOW_START,
            form: None,
        }
    }

    /// Returns the limits of a multipart form that is held in memory.
    pub fn of_form(limits: &Limits, bytes: u64) -> Self {
        Self {
            form: Some(FormLimits {
                parts: limits.max_form_parts,
                part_header_bytes: limits.max_part_header_bytes,
                field_bytes: limits.max_field_bytes,
            }),
            ..Self::new(limits, bytes)
        }
    }

    /// Returns the limits of a multipart form whose file is stored while it arrives.
    pub fn of_upload(limits: &Limits, bytes: u64) -> Self {
        Self {
            rate: limits.min_upload_bytes_per_second,
            ..Self::of_form(limits, bytes)
        }
    }
}

/// Why reading a body stops.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Excess {
    Bytes(u64),
    Form(FormExcess),
    Idle(Duration),
    /// Slower than this number of bytes per second.
    Slow(u64),
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
            Self::Slow(rate) => write!(
                f,
                "The body of the request arrives at less than {rate} bytes per second."
            ),
        }
    }
}

impl std::error::Error for Excess {}

impl Excess {
    fn into_response(self) -> Response {
        let kind = match self {
            Self::Idle(_) | Self::Slow(_) => ProblemKind::BodyTimeout,
            _ => ProblemKind::TooLarge,
        };
        Problem::new(kind, self.to_string()).into_response()
    }
}

/// Responds with 413 or 408, in place of the handler, if the body exceeds the limits. If its `Content-Length` does,
/// nothing is read. Neither is it if the body must be a form and has no boundary, because then no limit of a form could
/// be checked: 415.
pub async fn limit(State(limits): State<BodyLimits>, request: Request, next: Next) -> Response {
    if content_length(request.headers()).is_some_and(|length| length > limits.bytes) {
        return Excess::Bytes(limits.bytes).into_response();
    }
    let form = match limits.form {
        None => None,
        Some(limits) => match boundary(request.headers()) {
            Some(boundary) => Some(Form::new(&boundary, limits)),
            None => return Problem::not_a_form().into_response(),
        },
    };
    let excess = Arc::new(OnceLock::new());
    let watched = Watched {
        limits,
        lag: Duration::ZERO,
        bytes: 0,
        form,
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

/// Returns the boundary of a multipart form, which has 1 to 70 characters (RFC 2046, section 5.1.1).
fn boundary(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    // Must be the function with which axum and server_fn find the boundary: otherwise, they might read a form with another
    // boundary than the one that is watched, and so without limits.
    let boundary = multer::parse_boundary(kind).ok()?;
    (1..=70).contains(&boundary.len()).then_some(boundary)
}

/// A body that is checked while it is read.
struct Watched {
    limits: BodyLimits,
    /// How far the body is behind the minimum rate: the time for which it kept us waiting, less what it had for the bytes
    /// that came. The time in which nobody reads doesn't count, because then the client can't send either.
    lag: Duration,
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
            let began = Instant::now();
            let checked = match tokio::time::timeout(wait, body.next()).await {
                Ok(None) => return None,
                Ok(Some(Err(error))) => return Some((Err(error), None)),
                Ok(Some(Ok(piece))) => {
                    watched.waited(began.elapsed(), piece.len());
                    watched.check(piece)
                }
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
        let BodyLimits { idle, rate, .. } = self.limits;
        let left = self.limits.max_lag.saturating_sub(self.lag);
        match rate > 0 && left < idle {
            true => (left, Excess::Slow(rate)),
            false => (idle, Excess::Idle(idle)),
        }
    }

    /// Takes into account that a piece of this size came after this time.
    fn waited(&mut self, time: Duration, bytes: usize) {
        let per_byte = 1_000_000_000_u64.checked_div(self.limits.rate);
        let due = Duration::from_nanos(per_byte.unwrap_or(0).saturating_mul(bytes as u64));
        // A piece that came in the end isn't too late, even if this process stood still meanwhile.
        let lag = (self.lag + time).min(self.limits.max_lag);
        self.lag = lag.saturating_sub(due);
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
    use clap::{Args, FromArgMatches};
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
        let read = async |rate: u64, piece: &'static [u8]| {
            let (watched, excess) = watched(rate);
            let every = tokio::time::interval(Duration::from_millis(10));
            let pieces = stream::unfold(every, move |mut every| async move {
                every.tick().await;
                Some((Ok::<_, axum::Error>(piece), every))
            });
            let body = watched.wrap(Body::from_stream(pieces.take(20)));
            let whole = axum::body::to_bytes(body, usize::MAX).await;
            (whole.is_ok(), excess.get().cloned())
        };
        assert_eq!(read(1000, b"x").await, (false, Some(Excess::Slow(1000))));
        assert_eq!(read(1000, &[b'x'; 1000]).await, (true, None));
        assert_eq!(read(0, b"x").await, (true, None));
    }

    /// A body that must arrive at this rate, and what stops it.
    fn watched(rate: u64) -> (Watched, Arc<OnceLock<Excess>>) {
        let excess = Arc::new(OnceLock::new());
        let watched = Watched {
            limits: BodyLimits {
                bytes: 1 << 20,
                idle: Duration::from_secs(30),
                rate,
                max_lag: Duration::from_millis(50),
                form: None,
            },
            lag: Duration::ZERO,
            bytes: 0,
            form: None,
            excess: excess.clone(),
        };
        (watched, excess)
    }

    #[test]
    fn uploads_have_a_minimum_rate_of_their_own() {
        let arguments = ["server", "--min-upload-bytes-per-second=7"];
        let command = Limits::augment_args(clap::Command::new("server"));
        let matches = command.get_matches_from(arguments);
        let limits = Limits::from_arg_matches(&matches).unwrap();
        assert_eq!(BodyLimits::of_upload(&limits, 1).rate, 7);
        assert_eq!(BodyLimits::of_form(&limits, 1).rate, 1000);
    }

    #[tokio::test]
    async fn a_body_is_not_slow_because_it_is_read_slowly() {
        let (watched, excess) = watched(1000);
        let pieces = stream::iter(["x"; 5].map(Ok::<_, axum::Error>));
        let body = watched.wrap(Body::from_stream(pieces));
        let read = body.into_data_stream().then(async |piece| {
            tokio::time::sleep(Duration::from_millis(60)).await;
            piece
        });
        assert_eq!(read.try_collect::<Vec<_>>().await.unwrap().len(), 5);
        assert_eq!(excess.get(), None);
    }

    #[test]
    fn what_has_come_early_is_no_excuse_for_trickling_later() {
        let (mut watched, _) = watched(1000);
        watched.waited(Duration::ZERO, 1 << 20);
        watched.waited(Duration::from_millis(40), 1);
        assert_eq!(
            watched.patience(),
            (Duration::from_millis(11), Excess::Slow(1000))
        );
        // After this process has stood still, the client has the time for the bytes that it sent.
        watched.waited(Duration::from_secs(60), 30);
        assert_eq!(watched.patience().0, Duration::from_millis(30));
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
        let longest = "x".repeat(70);
        assert_eq!(
            of(&format!("multipart/form-data; boundary={longest}")),
            Some(longest.clone())
        );
        for (kind, found) in [
            ("multipart/form-data; boundary=\"zz;yy\"", "zz;yy"),
            (
                "multipart/form-data; a=\"; boundary=zz; \"; boundary=xx",
                "xx",
            ),
            ("multipart/form-data; boundary=xx; boundary=yy", "xx"),
        ] {
            assert_eq!(of(kind).as_deref(), Some(found), "{kind}");
        }
        for kind in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"\"",
            "multipart/mixed; boundary=x",
            "text/csv; boundary=x",
            &format!("multipart/form-data; boundary={longest}x"),
        ] {
            assert_eq!(of(kind), None, "{kind}");
        }
    }
}
