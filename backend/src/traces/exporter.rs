//! Sends spans to a collector by OTLP over HTTP, configured by OpenTelemetry's variables.
//!
//! A separate thread sends spans from a bounded queue. While the collector is slow or unavailable, spans that don't fit in
//! the queue are dropped.

use std::{
    env,
    sync::Mutex,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{SdkTracerProvider, SpanData, SpanExporter as Export},
};
use tracing::Subscriber;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use super::TARGET;

const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];
const PROTOCOLS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
];
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// The minimum time between warnings that spans can't be exported.
const WARNING_INTERVAL: Duration = Duration::from_secs(600);

/// The exporter of a program.
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Returns `None` unless the environment names a collector. Fails with a sentence about a variable that is invalid.
    ///
    /// `service` is the program's name if `OTEL_SERVICE_NAME` isn't set.
    pub fn from_environment(service: &'static str) -> anyhow::Result<Option<Self>> {
        let is_disabled =
            set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if is_disabled || ENDPOINTS.into_iter().find_map(set).is_none() {
            return Ok(None);
        }
        check_settings()?;
        // The HTTP client uses the default provider of the process. An error means that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let otlp = SpanExporter::builder()
            .with_http()
            .build()
            .context("OTEL_EXPORTER_OTLP_ENDPOINT or another variable of OTLP can't be used")?;
        let exporter = Exporter {
            otlp,
            warned: Mutex::new(None),
        };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource(service))
            .build();
        Ok(Some(Self(provider)))
    }

    /// Exports spans with the target [`TARGET`].
    pub fn layer<S>(&self) -> impl Layer<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("batchline"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|metadata| {
                metadata.is_span() && metadata.target() == TARGET
            }))
    }

    /// Exports the remaining spans, for at most `patience`.
    pub fn finish(self, patience: Duration) {
        if let Err(error) = self.0.shutdown_with_timeout(patience) {
            tracing::warn!(%error, "the last spans can't be exported");
        }
    }
}

/// Returns the value of a variable unless it is empty.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Refuses values that OpenTelemetry would replace by a default.
fn check_settings() -> anyhow::Result<()> {
    for name in PROTOCOLS {
        let is_known = set(name).is_none_or(|protocol| protocol == "http/protobuf");
        ensure!(is_known, "{name} can only be http/protobuf");
    }
    let Some(sampler) = set(SAMPLER) else {
        return Ok(());
    };
    ensure!(
        SAMPLERS.contains(&sampler.as_str()),
        "{SAMPLER} is one of {}",
        SAMPLERS.join(", ")
    );
    if sampler.ends_with("traceidratio") {
        let ratio = set(SAMPLER_ARG).and_then(|ratio| ratio.parse::<f64>().ok());
        ensure!(
            ratio.is_some_and(|ratio| (0.0..=1.0).contains(&ratio)),
            "{SAMPLER_ARG} is a ratio from 0 to 1"
        );
    }
    Ok(())
}

fn resource(service: &'static str) -> Resource {
    let names_service = set("OTEL_SERVICE_NAME").is_some()
        || set("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|attributes| {
            let mut names = attributes
                .split(',')
                .filter_map(|it| Some(it.split_once('=')?.0));
            names.any(|name| name.trim() == "service.name")
        });
    match names_service {
        true => Resource::builder().build(),
        false => Resource::builder().with_service_name(service).build(),
    }
}

/// Exports spans and limits the warnings when that fails. OpenTelemetry's own messages, which are off, would be logged for
/// each batch.
#[derive(Debug)]
struct Exporter {
    otlp: SpanExporter,
    /// The time of the last warning.
    warned: Mutex<Option<Instant>>,
}

impl Exporter {
    fn warn(&self, error: &OTelSdkError) {
        let mut warned = self.warned.lock().unwrap_or_else(|it| it.into_inner());
        if warned.is_none_or(|at| at.elapsed() >= WARNING_INTERVAL) {
            *warned = Some(Instant::now());
            tracing::warn!(%error, "spans of traces can't be exported, and are lost");
        }
    }
}

impl Export for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exported = self.otlp.export(batch).await;
        if let Err(error) = &exported {
            self.warn(error);
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.otlp.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.otlp.shutdown()
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.otlp.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.otlp.set_resource(resource);
    }
}
