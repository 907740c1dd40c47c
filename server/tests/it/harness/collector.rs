//! A collector of traces: takes OTLP over HTTP, and keeps the spans.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message;
use tokio::net::TcpListener;

/// A span, and the program that has exported it.
#[derive(Debug, Clone)]
pub struct Exported {
    pub service: String,
    pub span: Span,
}

impl Exported {
    pub fn attribute(&self, name: &str) -> Option<String> {
        attribute(&self.span.attributes, name)
    }
}

fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.key == name)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{name}: {other:?}"),
    }
}

#[derive(Default)]
struct Collected {
    spans: Vec<Exported>,
    requests: usize,
}

pub struct Collector {
    pub endpoint: String,
    collected: Arc<Mutex<Collected>>,
}

impl Collector {
    pub async fn start() -> Self {
        Self::answering(StatusCode::OK).await
    }

    /// One that gives every request this answer.
    pub async fn answering(status: StatusCode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let collected = Arc::new(Mutex::new(Collected::default()));
        let kept = collected.clone();
        let take = async move |headers: HeaderMap, body: Bytes| {
            assert_eq!(headers["content-type"], "application/x-protobuf");
            assert_eq!(headers["x-token"], "secret");
            let mut kept = kept.lock().unwrap();
            kept.requests += 1;
            kept.spans.extend(decode(body));
            status
        };
        let router = Router::new().route("/v1/traces", post(take));
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self {
            endpoint,
            collected,
        }
    }

    /// The settings of a program that exports its spans here, soon.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        environment(&self.endpoint)
    }

    pub fn spans(&self) -> Vec<Exported> {
        self.collected.lock().unwrap().spans.clone()
    }

    pub fn requests(&self) -> usize {
        self.collected.lock().unwrap().requests
    }

    /// The spans by the traces that they are part of.
    pub fn traces(&self) -> HashMap<Vec<u8>, Vec<Exported>> {
        let mut traces: HashMap<Vec<u8>, Vec<Exported>> = HashMap::new();
        for exported in self.spans() {
            let trace_id = exported.span.trace_id.clone();
            traces.entry(trace_id).or_default().push(exported);
        }
        traces
    }
}

/// The settings of a program that exports its spans to this address, soon.
pub fn environment(endpoint: &str) -> Vec<(&'static str, String)> {
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-token=secret"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=test",
        ),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

fn decode(body: Bytes) -> Vec<Exported> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut spans = Vec::new();
    for of_resource in request.resource_spans {
        let resource = of_resource.resource.unwrap().attributes;
        let environment = attribute(&resource, "deployment.environment.name");
        assert_eq!(environment.as_deref(), Some("test"));
        let service = attribute(&resource, "service.name").unwrap();
        for of_scope in of_resource.scope_spans {
            spans.extend(of_scope.spans.into_iter().map(|span| Exported {
                service: service.clone(),
                span,
            }));
        }
    }
    spans
}
