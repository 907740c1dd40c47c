//! Request ids, spans in the log and in traces, a log line for each request that is refused or may have changed
//! something, and the metrics of requests.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode},
    middleware::Next,
    response::Response,
};
use backend::traces::{self, TARGET};
use tracing::{Instrument, Span, field::Empty};
use uuid::Uuid;

use crate::{
    health,
    metrics::{Metrics, method_label},
    pages,
    peers::Ends,
    rate::RecordRate,
    state::TraceParents,
};

/// The header with the request's id, under which its errors are logged.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// <https://www.w3.org/TR/trace-context/>
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The maximum number of logged characters of text from a request.
const MAX_LOGGED_CHARS: usize = 64;
const MAX_LOGGED_PATH_CHARS: usize = 200;

/// Assigns an id to the request. The caller's own id is logged beside it.
pub async fn trace(
    State((metrics, parents, refusals)): State<(Metrics, TraceParents, RecordRate<StatusCode>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let in_flight = metrics.begin();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let id = Uuid::new_v4().to_string();
    let method = request.method().clone();
    let traced = trace_span(&method, request.uri().path(), route.as_ref());
    if let Some(parent) = request.headers().get(TRACEPARENT)
        && !traced.is_disabled()
        && let Some(parent) = parent.to_str().ok().and_then(traces::parse_traceparent)
    {
        match parents {
            TraceParents::Trusted => traces::continue_trace(&traced, parent),
            TraceParents::Linked => traces::link_trace(&traced, parent),
        }
    }
    let span = tracing::info_span!(
        parent: &traced,
        "request",
        %method,
        path = start_of(request.uri().path(), MAX_LOGGED_PATH_CHARS),
        id,
        client = Empty,
        user = Empty,
        caller_id = Empty,
        trace_id = Empty,
        span_id = Empty,
    );
    if let Some(ids) = traces::ids(&traced) {
        span.record("trace_id", ids.trace_id);
        span.record("span_id", ids.span_id);
    }
    let client = request.extensions().get();
    let client = client.map(|Ends { client, .. }| *client);
    if let Some(client) = client {
        span.record("client", tracing::field::display(client));
    }
    let given = request.headers_mut().remove(REQUEST_ID);
    if let Some(given) = given.as_ref().and_then(|given| given.to_str().ok()) {
        span.record("caller_id", start_of(given, MAX_LOGGED_CHARS));
    }
    let began = Instant::now();
    let request = metrics.count_request(request);
    let response = next.run(request).instrument(span.clone());
    let response = response.instrument(traced.clone()).await;
    let _entered = span.enter();
    let (status, took) = (response.status(), began.elapsed());
    metrics.answered(route.as_ref(), &method, status, took);
    if status.is_server_error() {
        traced.record("otel.status_code", "error");
    }
    let is_refused = matches!(
        status,
        StatusCode::BAD_REQUEST
            | StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::MISDIRECTED_REQUEST
            | StatusCode::UNPROCESSABLE_ENTITY
            | StatusCode::TOO_MANY_REQUESTS
    );
    let is_logged = match is_refused {
        true => client.is_some_and(|client| refusals.allows(status, client)),
        false => !matches!(method, Method::GET | Method::HEAD | Method::OPTIONS),
    };
    let status = status.as_u16();
    traced.record("http.response.status_code", status);
    match (is_logged, is_refused) {
        (true, true) => tracing::info!(status, ?took, "refused"),
        (true, false) => tracing::info!(status, ?took, "answered"),
        (false, _) => tracing::debug!(status, ?took, "answered"),
    }
    let id = HeaderValue::try_from(id).expect("a UUID is ASCII");
    let mut response = metrics.count_response(response, in_flight);
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Returns the span of a request in its trace. There is none while traces are off, and none for health checks, static
/// files and unknown addresses. The names are OpenTelemetry's.
/// <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>
fn trace_span(method: &Method, path: &str, route: Option<&MatchedPath>) -> Span {
    let route = route
        .map(MatchedPath::as_str)
        .filter(|route| traces::are_on() && !health::ROUTES.contains(route));
    let Some(route) = route else {
        return Span::none();
    };
    // All server functions have one route.
    let route = pages::function_path(path).unwrap_or(route);
    let method = match method_label(method) {
        "other" => "_OTHER",
        method => method,
    };
    tracing::info_span!(
        target: TARGET,
        "request",
        otel.name = %format_args!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
    )
}

fn start_of(text: &str, chars: usize) -> &str {
    let end = text
        .char_indices()
        .nth(chars)
        .map_or(text.len(), |(at, _)| at);
    &text[..end]
}
