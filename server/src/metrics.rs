//! The server's Prometheus metrics. Labels use only names of ours, never text from requests.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{MatchedPath, Request},
    http::{Method, StatusCode},
    response::Response,
};
use backend::monitoring;
use domain::JobStatus;
use hyper::body::{Frame, SizeHint};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use strum::{IntoStaticStr, VariantArray};

use crate::state::AppState;

/// In seconds, from a static file to an upload of gigabytes.
const BUCKETS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
];

#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    request_seconds: HistogramVec,
    in_flight: IntGauge,
    request_bytes: IntCounter,
    response_bytes: IntCounter,
    refused: IntCounterVec,
    running: IntGaugeVec,
    jobs: IntGaugeVec,
    deletion_queue: IntGauge,
}

/// The kinds of requests that are refused beyond a limit.
#[derive(Debug, Clone, Copy, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Limited {
    Changes,
    SignIns,
    Sockets,
    Searches,
    Downloads,
    Checks,
    Uploads,
    Connections,
}

impl Metrics {
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let metrics = Self {
            request_seconds: HistogramVec::new(
                HistogramOpts::new(
                    "batchline_http_request_seconds",
                    "seconds from a request's head to the response's, by route, method and class of status",
                )
                .buckets(BUCKETS.to_vec()),
                &["route", "method", "status"],
            )?,
            in_flight: IntGauge::new(
                "batchline_http_requests_in_flight",
                "requests whose response isn't completely sent",
            )?,
            request_bytes: IntCounter::new(
                "batchline_http_request_bytes_total",
                "bytes of the bodies of requests: almost all are uploaded files",
            )?,
            response_bytes: IntCounter::new(
                "batchline_http_response_bytes_total",
                "bytes of the bodies of responses, compressed",
            )?,
            refused: IntCounterVec::new(
                Opts::new(
                    "batchline_refused_total",
                    "requests and connections that were refused because there were too many of their kind, by kind",
                ),
                &["kind"],
            )?,
            running: IntGaugeVec::new(
                Opts::new(
                    "batchline_running",
                    "open sockets, searches, downloads, checks and uploads, by kind",
                ),
                &["kind"],
            )?,
            jobs: IntGaugeVec::new(
                Opts::new("batchline_jobs", "jobs in the database, by status"),
                &["status"],
            )?,
            deletion_queue: IntGauge::new(
                "batchline_deletion_queue",
                "files and results in the deletion queue, waiting for removal",
            )?,
            registry,
        };
        let registry = &metrics.registry;
        registry.register(Box::new(metrics.request_seconds.clone()))?;
        registry.register(Box::new(metrics.in_flight.clone()))?;
        registry.register(Box::new(metrics.request_bytes.clone()))?;
        registry.register(Box::new(metrics.response_bytes.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.running.clone()))?;
        registry.register(Box::new(metrics.jobs.clone()))?;
        registry.register(Box::new(metrics.deletion_queue.clone()))?;
        for &limited in Limited::VARIANTS {
            // Exists from the start, so that the first refusal shows as an increase.
            metrics.refused(limited);
        }
        Ok(metrics)
    }

    /// Returns the counter of refusals of this kind.
    pub fn refused(&self, limited: Limited) -> IntCounter {
        self.refused.with_label_values(&[<&str>::from(limited)])
    }

    /// Counts a request as in flight until its response is sent or dropped.
    pub fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Counts the bytes of the request's body as they are read.
    pub fn count_request(&self, request: Request) -> Request {
        request.map(|body| {
            Body::new(Counted {
                body,
                bytes: self.request_bytes.clone(),
                _in_flight: None,
            })
        })
    }

    /// Counts the bytes of the response's body as they are sent.
    pub fn count_response(&self, response: Response, in_flight: InFlight) -> Response {
        response.map(|body| {
            Body::new(Counted {
                body,
                bytes: self.response_bytes.clone(),
                _in_flight: Some(in_flight),
            })
        })
    }

    /// Records the response to a request and its duration.
    pub fn answered(
        &self,
        route: Option<&MatchedPath>,
        method: &Method,
        status: StatusCode,
        took: Duration,
    ) {
        let route = route.map_or("other", MatchedPath::as_str);
        let labels = [route, method_label(method), status_label(status)];
        let seconds: Histogram = self.request_seconds.with_label_values(&labels);
        seconds.observe(took.as_secs_f64());
    }

    /// Returns all metrics in Prometheus' text format. While the database doesn't respond, omits the jobs and repeats
    /// the last size of the deletion queue.
    pub async fn text(&self, state: &AppState) -> anyhow::Result<String> {
        let running = [
            (Limited::Sockets, state.sockets.open()),
            (Limited::Searches, state.turns.searches.taken()),
            (Limited::Downloads, state.turns.downloads.taken()),
            (Limited::Checks, state.turns.checks.taken()),
            (Limited::Uploads, state.turns.uploads.taken()),
        ];
        for (kind, count) in running {
            let running = self.running.with_label_values(&[<&str>::from(kind)]);
            running.set(i64::try_from(count)?);
        }
        match monitoring::workload(&state.backend).await {
            Ok(workload) => {
                for &status in JobStatus::ALL {
                    let jobs = self.jobs.with_label_values(&[status.as_str()]);
                    jobs.set(i64::try_from(workload.jobs.of(Some(status)))?);
                }
                self.deletion_queue
                    .set(i64::try_from(workload.deletion_queue)?);
            }
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "jobs can't be counted");
                self.jobs.reset();
            }
        }
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }
}

pub fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn status_label(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

/// Counts a request as in flight until it is dropped.
pub struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A body that counts its bytes.
struct Counted {
    body: Body,
    bytes: IntCounter,
    /// Held until the body is dropped.
    _in_flight: Option<InFlight>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.bytes.inc_by(data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
