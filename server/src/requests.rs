//! Request ids, spans in the log, a log line for each request that may have changed something, and the metrics of
//! requests.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method},
    middleware::Next,
    response::Response,
};
use tracing::{Instrument, field::Empty};
use uuid::Uuid;

use crate::{metrics::Metrics, serve::Ends};

/// The header with the request's id, under which its errors are logged.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The maximum number of logged characters of text from a request.
const MAX_LOGGED_CHARS: usize = 64;
const MAX_LOGGED_PATH_CHARS: usize = 200;

/// Assigns an id to the request. The caller's own id is logged beside it.
pub async fn trace(State(metrics): State<Metrics>, mut request: Request, next: Next) -> Response {
    let in_flight = metrics.begin();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let id = Uuid::new_v4().to_string();
    let method = request.method().clone();
    let span = tracing::info_span!(
        "request",
        %method,
        path = start_of(request.uri().path(), MAX_LOGGED_PATH_CHARS),
        id,
        peer = Empty,
        caller_id = Empty,
    );
    if let Some(Ends { peer, .. }) = request.extensions().get() {
        span.record("peer", tracing::field::display(peer.ip()));
    }
    let given = request.headers_mut().remove(REQUEST_ID);
    if let Some(given) = given.as_ref().and_then(|given| given.to_str().ok()) {
        span.record("caller_id", start_of(given, MAX_LOGGED_CHARS));
    }
    let began = Instant::now();
    let request = metrics.count_request(request);
    let response = next.run(request).instrument(span.clone()).await;
    let _entered = span.enter();
    let (status, took) = (response.status(), began.elapsed());
    metrics.answered(route.as_ref(), &method, status, took);
    let status = status.as_u16();
    match matches!(method, Method::GET | Method::HEAD | Method::OPTIONS) {
        true => tracing::debug!(status, ?took, "answered"),
        false => tracing::info!(status, ?took, "answered"),
    }
    let id = HeaderValue::try_from(id).expect("a UUID is ASCII");
    let mut response = metrics.count_response(response, in_flight);
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

fn start_of(text: &str, chars: usize) -> &str {
    let end = text
        .char_indices()
        .nth(chars)
        .map_or(text.len(), |(at, _)| at);
    &text[..end]
}
