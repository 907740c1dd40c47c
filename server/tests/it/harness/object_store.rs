//! A bucket of the S3 server behind a proxy that can delay requests or make them fail, and that records them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Method, header},
    response::{IntoResponse, Response},
};
use reqwest::{Client, StatusCode};
use tokio::{net::TcpListener, sync::watch};

use super::{required, unique};

/// The maximum size of a request's body. A part of a multipart upload has 5 MiB.
const MAX_BODY_BYTES: usize = 16 << 20;

/// A failure of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Refuses every request with 503.
    Unavailable,
    /// Refuses to store anything with 403, like stores with a quota.
    Full,
    /// Never acknowledges anything to be stored.
    Stuck,
    /// Accepts connections and requests, and never responds.
    Silent,
}

/// A bucket for one test. Programs with [`ObjectStore::environment`] reach it through the proxy. The test itself
/// bypasses the proxy to look at the stored objects.
pub struct ObjectStore {
    bucket: String,
    /// The address of the proxy.
    address: String,
    proxy: Arc<Proxy>,
}

struct Proxy {
    /// The URL of the S3 server.
    endpoint: String,
    http: Client,
    /// The delay of every request.
    latency: Duration,
    fault: watch::Sender<Fault>,
    refused: AtomicUsize,
    /// The method, path and range of every request that wasn't refused.
    requests: Mutex<Vec<String>>,
}

impl ObjectStore {
    /// Creates an empty bucket. Each request to it takes `latency` longer.
    pub async fn start(latency: Duration) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let proxy = Arc::new(Proxy {
            endpoint: required("S3_ENDPOINT"),
            http: Client::builder().no_proxy().build().unwrap(),
            latency,
            fault: watch::Sender::new(Fault::None),
            refused: AtomicUsize::new(0),
            requests: Mutex::default(),
        });
        let bucket = format!("batchline-{}", unique());
        let created = proxy
            .http
            .put(format!("{}/{bucket}", proxy.endpoint))
            .send()
            .await
            .unwrap();
        assert_eq!(created.status(), StatusCode::OK);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(forward).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            bucket,
            address,
            proxy,
        }
    }

    /// Returns the settings with which a program stores its files here.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("STORAGE_URL", format!("s3://{}/uploads", self.bucket)),
            ("AWS_ENDPOINT", self.address.clone()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "false".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("NO_PROXY", "127.0.0.1".to_owned()),
        ]
    }

    /// Sets the failure from now on.
    pub fn set(&self, fault: Fault) {
        self.proxy.fault.send_replace(fault);
    }

    /// Returns the number of refused requests.
    pub fn refused(&self) -> usize {
        self.proxy.refused.load(Ordering::Relaxed)
    }

    /// Returns the requests since the last call, each with its method, path and range.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.proxy.requests.lock().unwrap())
    }

    /// Returns the keys of all objects in the bucket.
    pub async fn keys(&self) -> Vec<String> {
        self.list("list-type=2").await
    }

    /// Returns the keys of all multipart uploads that were neither completed nor aborted.
    pub async fn uploads(&self) -> Vec<String> {
        self.list("uploads").await
    }

    async fn list(&self, query: &str) -> Vec<String> {
        let url = format!("{}/{}?{query}", self.proxy.endpoint, self.bucket);
        let response = self.proxy.http.get(url).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let list = response.text().await.unwrap();
        list.split("<Key>")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once("</Key>")?.0.to_owned()))
            .collect()
    }
}

async fn forward(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    tokio::time::sleep(proxy.latency).await;
    let stores = head.method == Method::PUT;
    let mut fault = proxy.fault.subscribe();
    let fault = fault
        .wait_for(|fault| *fault != Fault::Silent && (!stores || *fault != Fault::Stuck))
        .await
        .map_or(Fault::None, |fault| *fault);
    // https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    let refusal = match fault {
        Fault::Unavailable => Some((StatusCode::SERVICE_UNAVAILABLE, "SlowDown")),
        Fault::Full if stores => Some((StatusCode::FORBIDDEN, "QuotaExceeded")),
        _ => None,
    };
    if let Some((status, code)) = refusal {
        proxy.refused.fetch_add(1, Ordering::Relaxed);
        return (status, format!("<Error><Code>{code}</Code></Error>")).into_response();
    }
    let range = head
        .headers
        .get(header::RANGE)
        .and_then(|range| range.to_str().ok())
        .unwrap_or_default();
    let request = format!("{} {} {range}", head.method, head.uri);
    proxy.requests.lock().unwrap().push(request);
    let answered = proxy
        .http
        .request(head.method, format!("{}{}", proxy.endpoint, head.uri))
        .headers(head.headers)
        .body(body)
        .send()
        .await;
    let Ok(answer) = answered else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    // Headers about the connection to the S3 server don't apply to this one.
    for name in [header::CONNECTION, header::TRANSFER_ENCODING] {
        response.headers_mut().remove(name);
    }
    *response.body_mut() = Body::from_stream(answer.bytes_stream());
    response
}
