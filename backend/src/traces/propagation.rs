//! How the context of a trace is passed on: by requests as W3C's `traceparent`, by workflows in a Temporal header.

use std::collections::HashMap;

use domain::JobId;
use opentelemetry::{
    Context,
    propagation::TextMapPropagator,
    trace::{SpanContext, TraceContextExt},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use temporalio_common::protos::temporal::api::common::v1::{Header, Payload};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Temporal's header with the context of a trace. Its SDKs in other languages use the same name.
pub const HEADER: &str = "_tracer-data";

const TRACEPARENT: &str = "traceparent";

/// The length of a `traceparent` of version 00.
const TRACEPARENT_CHARS: usize = 55;

/// Returns the W3C `traceparent` of a span with the target [`super::TARGET`], or `None` while traces are off.
/// <https://www.w3.org/TR/trace-context/#traceparent-header>
pub fn traceparent(span: &Span) -> Option<String> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Parses a W3C `traceparent`. A `tracestate` is ignored.
pub fn parse_traceparent(traceparent: &str) -> Option<SpanContext> {
    if traceparent.len() != TRACEPARENT_CHARS {
        return None;
    }
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract(&carrier);
    let context = context.span().span_context().clone();
    context.is_valid().then_some(context)
}

/// Makes a span that hasn't been entered a child of this context.
pub fn continue_trace(span: &Span, parent: SpanContext) {
    // An error means that traces are off.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent));
}

/// Links a span to a related one in another trace.
pub fn link_trace(span: &Span, other: SpanContext) {
    span.add_link(other);
}

/// [`link_trace`] with one of our own spans, unless it is in the same trace.
pub(crate) fn link(span: &Span, other: &Span) {
    let context = |span: &Span| span.context().span().span_context().clone();
    let other = context(other);
    if other.trace_id() != context(span).trace_id() {
        link_trace(span, other);
    }
}

/// The traces that a workflow belongs to. Encoded as a JSON object of strings: `traceparent`, and `job-{id}` for each job
/// with its own trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobTraces(HashMap<String, String>);

impl JobTraces {
    /// Returns the trace of the workflow that this span starts, or `None` while traces are off.
    pub(crate) fn started_in(span: &Span) -> Option<Self> {
        let traceparent = traceparent(span)?;
        Some(Self([(TRACEPARENT.to_owned(), traceparent)].into()))
    }

    /// Adds the trace of one of several jobs that share the workflow.
    pub(crate) fn insert(&mut self, job_id: JobId, asked_in: &Span) {
        if let Some(traceparent) = traceparent(asked_in) {
            self.0.insert(key(job_id), traceparent);
        }
    }

    /// Returns the context in which the start of this job was requested, or without a job that of the workflow.
    pub fn parent(&self, job_id: Option<JobId>) -> Option<SpanContext> {
        let of_job = job_id.and_then(|job_id| self.0.get(&key(job_id)));
        parse_traceparent(of_job.or_else(|| self.0.get(TRACEPARENT))?)
    }

    /// Returns the context of the span that started the workflow if it isn't in the trace of [`Self::parent`].
    pub fn start_elsewhere(&self, job_id: Option<JobId>) -> Option<SpanContext> {
        let (start, parent) = (self.parent(None)?, self.parent(job_id)?);
        (start.trace_id() != parent.trace_id()).then_some(start)
    }

    pub(crate) fn header(&self) -> Header {
        // The format of Temporal's own JSON converter.
        let payload = Payload {
            metadata: HashMap::from([("encoding".to_owned(), b"json/plain".to_vec())]),
            data: serde_json::to_vec(&self.0).expect("strings are JSON"),
            ..Payload::default()
        };
        Header {
            fields: [(HEADER.to_owned(), payload)].into(),
        }
    }

    /// Reads Temporal's headers. Returns `None` if there is no trace or it is invalid.
    pub fn from_headers(headers: &HashMap<String, Payload>) -> Option<Self> {
        let payload = headers.get(HEADER)?;
        serde_json::from_slice(&payload.data).ok().map(Self)
    }
}

fn key(job_id: JobId) -> String {
    format!("job-{job_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn invalid_traceparents_are_refused() {
        let context = parse_traceparent(OURS).unwrap();
        assert_eq!(
            context.trace_id().to_string(),
            "0af7651916cd43dd8448eb211c80319c"
        );
        assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
        assert!(context.is_sampled() && context.is_remote());
        for refused in [
            "",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-zz",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            &format!("01{}-{}", &OURS[2..], "x".repeat(100_000)),
        ] {
            assert_eq!(parse_traceparent(refused), None, "{refused:.80}");
        }
    }

    #[test]
    fn jobs_find_their_own_trace() {
        let shared = "00-11111111111111111111111111111111-1111111111111111-01";
        let carried = HashMap::from([
            (TRACEPARENT.to_owned(), shared.to_owned()),
            ("job-7".to_owned(), OURS.to_owned()),
        ]);
        let traces = JobTraces(carried);
        let arrived = JobTraces::from_headers(&traces.header().fields).unwrap();
        assert_eq!(arrived, traces);
        let job = |id: i64| Some(JobId::from(id));
        assert_eq!(arrived.parent(job(7)), parse_traceparent(OURS));
        assert_eq!(arrived.parent(job(8)), parse_traceparent(shared));
        assert_eq!(arrived.start_elsewhere(job(7)), arrived.parent(None));
        assert_eq!(arrived.start_elsewhere(job(8)), None);
        assert_eq!(JobTraces::from_headers(&HashMap::new()), None);
    }
}
