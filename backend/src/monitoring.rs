//! Serves operators on a separate address: `/metrics`, `/healthz` and `/readyz`. Accepts only allowed host names;
//! otherwise pages of other sites could read the responses.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue, X_CONTENT_TYPE_OPTIONS},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{IntGaugeVec, Opts, Registry, TextEncoder};
use serde_json::json;
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};

use crate::{
    Backend, deletion_queue,
    health::{Readiness, readiness},
    hosts::AllowedHosts,
    jobs::list::{self, StatusCounts},
};

/// The maximum duration of a connection, from its first byte to its last.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum number of connections at a time.
const MAX_CONNECTIONS: usize = 64;

/// How long to pause after the system had no resources for a new connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(500);

/// The time limit of the database queries. An unreachable database must not block the other metrics.
const COUNTING: Duration = Duration::from_secs(2);

/// Returns the metrics of one program, beyond those that all programs share, in Prometheus' text format.
pub type OwnMetrics = dyn Fn() -> BoxFuture<'static, anyhow::Result<String>> + Send + Sync;

/// The work that is waiting or in progress.
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    pub jobs: StatusCounts,
    /// The number of entries in the deletion queue that can be removed now.
    pub deletion_queue: u64,
}

/// Counts the jobs and the deletion queue. Fails if the database takes longer than two seconds.
pub async fn workload(backend: &Backend) -> anyhow::Result<Workload> {
    let count = async {
        Ok::<_, sqlx::Error>(Workload {
            jobs: list::counted(&backend.pool, None).await?,
            deletion_queue: deletion_queue::due(&backend.pool).await?,
        })
    };
    Ok(timeout(COUNTING, count).await??)
}

/// Serves the connections of `listener` in the background until the program ends.
pub fn start(
    listener: TcpListener,
    backend: Backend,
    hosts: AllowedHosts,
    own: Arc<OwnMetrics>,
) -> anyhow::Result<()> {
    let monitoring = Arc::new(Monitoring {
        shared: SharedMetrics::new()?,
        backend,
        hosts,
        own,
    });
    tokio::spawn(monitoring.serve(listener));
    Ok(())
}

struct Monitoring {
    backend: Backend,
    hosts: AllowedHosts,
    shared: SharedMetrics,
    own: Arc<OwnMetrics>,
}

impl Monitoring {
    async fn serve(self: Arc<Self>, listener: TcpListener) {
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let permit = connections.clone().acquire_owned().await;
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection for metrics can't be accepted");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                    continue;
                }
            };
            let Ok(local) = stream.local_addr() else {
                continue;
            };
            let monitoring = self.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| monitoring.answer(request, local));
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(TIMEOUT)
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), service);
                // A client that disconnects gets no metrics.
                let _ = timeout(TIMEOUT, connection).await;
                drop(permit);
            });
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        local: SocketAddr,
    ) -> anyhow::Result<Response<Full<Bytes>>> {
        const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
        const JSON: &str = "application/json";
        let named = request.headers().get_all(HOST).iter();
        let target = request.uri().authority().map(|target| target.as_str());
        let named = named.map(HeaderValue::as_bytes);
        if let Err(error) = self.hosts.check(named, target, local.ip()) {
            let status = StatusCode::from_u16(error.status())?;
            return Ok(response(status, TEXT, error.to_string()));
        }
        let path = request.uri().path().to_owned();
        Ok(match &*path {
            "/metrics" => match self.metrics().await {
                Ok(metrics) => response(StatusCode::OK, TEXT, metrics),
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "the metrics can't be read");
                    let sentence = "The metrics can't be read. Try again in a moment.";
                    response(StatusCode::SERVICE_UNAVAILABLE, TEXT, sentence.to_owned())
                }
            },
            "/healthz" => response(StatusCode::OK, JSON, json!({"status": "ok"}).to_string()),
            "/readyz" => {
                let readiness = readiness(&self.backend).await;
                let status = match readiness.is_ready() {
                    true => StatusCode::OK,
                    false => StatusCode::SERVICE_UNAVAILABLE,
                };
                response(status, JSON, serde_json::to_string(&readiness)?)
            }
            _ => {
                let sentence =
                    "The metrics are under /metrics, health checks under /healthz and /readyz.";
                response(StatusCode::NOT_FOUND, TEXT, sentence.to_owned())
            }
        })
    }

    async fn metrics(&self) -> anyhow::Result<String> {
        let (readiness, own) = tokio::join!(readiness(&self.backend), (self.own)());
        let (size, idle) = (self.backend.pool.size(), self.backend.pool.num_idle());
        Ok(self.shared.text(&readiness, size, idle)? + &own?)
    }
}

fn response(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
    );
    response
}

/// The metrics that all programs share, except those of the process itself.
struct SharedMetrics {
    registry: Registry,
    ready: IntGaugeVec,
    connections: IntGaugeVec,
}

impl SharedMetrics {
    fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let gauges = |name: &str, help: &str, label: &str| {
            let gauges = IntGaugeVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(gauges.clone()))?;
            Ok::<_, prometheus::Error>(gauges)
        };
        let ready = gauges(
            "batchline_ready",
            "1 if PostgreSQL, Temporal or the storage responds to this process, else 0",
            "part",
        )?;
        let connections = gauges(
            "batchline_database_connections",
            "connections of this process to PostgreSQL, by state",
            "state",
        )?;
        #[cfg(target_os = "linux")]
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        Ok(Self {
            registry,
            ready,
            connections,
        })
    }

    fn text(&self, readiness: &Readiness, size: u32, idle: usize) -> prometheus::Result<String> {
        for (part, answers) in readiness.parts() {
            self.ready
                .with_label_values(&[part])
                .set(i64::from(answers));
        }
        let idle = idle as i64;
        for (state, connections) in [("idle", idle), ("in_use", i64::from(size) - idle)] {
            self.connections
                .with_label_values(&[state])
                // The two values were read one after the other, so the difference can be negative.
                .set(connections.max(0));
        }
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}
