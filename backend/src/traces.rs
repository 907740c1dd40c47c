//! OpenTelemetry traces, from a request to the last commit of the job that it starts.
//!
//! **Invariants.** Traces are off unless the environment names a collector. While they are off, no layer is installed, and
//! a span costs a comparison. Only spans with the target [`TARGET`] are exported. They contain our own names, ids and
//! numbers, never what a client has sent, and no log lines.

mod exporter;
mod propagation;

use opentelemetry::{
    Context,
    trace::{FutureExt, TraceContextExt},
};
use tracing::{Instrument, Level, Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

pub(crate) use self::exporter::Traces;
pub(crate) use self::propagation::link;
pub use self::propagation::{
    HEADER, JobTraces, continue_trace, link_trace, parse_traceparent, traceparent,
};

/// The target of exported spans. The log omits them.
pub const TARGET: &str = "traces";

/// Returns whether spans are exported.
pub fn are_on() -> bool {
    tracing::span_enabled!(target: TARGET, Level::INFO)
}

/// The ids of a span and its trace: 16 and 32 hexadecimal digits.
pub struct SpanIds {
    pub trace_id: String,
    pub span_id: String,
}

/// Returns the ids of a span with the target [`TARGET`], or `None` while traces are off.
pub fn ids(span: &Span) -> Option<SpanIds> {
    let context = span.context();
    let span = context.span();
    let context = span.span_context();
    context.is_valid().then(|| SpanIds {
        trace_id: context.trace_id().to_string(),
        span_id: context.span_id().to_string(),
    })
}

/// Continues the current spans in another task: the span of the log and that of the trace, which the former would hide.
pub fn in_current_spans<T>(task: impl Future<Output = T>) -> impl Future<Output = T> {
    task.in_current_span().with_context(Context::current())
}

/// Runs a step in a span, which records whether it failed, but not why, because messages may quote a file.
pub async fn traced<T, E>(span: Span, step: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let result = step.instrument(span.clone()).await;
    if result.is_err() {
        span.record("otel.status_code", "error");
    }
    result
}

/// Runs a statement, or a transaction that mainly consists of it, in a span named after it, such as `update jobs`.
/// <https://opentelemetry.io/docs/specs/semconv/database/database-spans/>
pub(crate) async fn statement<T, E>(
    operation: &'static str,
    table: &'static str,
    statement: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let span = tracing::info_span!(
        target: TARGET,
        "statement",
        otel.name = %format_args!("{operation} {table}"),
        otel.kind = "client",
        otel.status_code = Empty,
        db.system.name = "postgresql",
        db.operation.name = operation,
        db.collection.name = table,
    );
    traced(span, statement).await
}
