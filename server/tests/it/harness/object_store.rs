//! A bucket of the S3 server, and a proxy before it that makes it slow, has it fail, and records what is asked of it.

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

/// The largest body of a request: a part of a multipart upload takes 5 MiB.
const MAX_BODY_BYTES: usize = 16 << 20;

/// What is wrong with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// It refuses every request with 503.
    Unavailable,
    /// It refuses to store anything with 403, as stores with a quota do.
    Full,
    /// What is to be stored is never acknowledged.
    Stuck,
}

/// A bucket for one test. Programs with [`ObjectStore::environment`] reach it through the proxy; the test's own
/// look at what is stored bypasses it.
pub struct ObjectStore {
    bucket: String,
    /// Where the proxy listens.
    address: String,
    proxy: Arc<Proxy>,
}

struct Proxy {
    /// The S3 server.
    endpoint: String,
    http: Client,
    /// Added to every request.
    latency: Duration,
    fault: watch::Sender<Fault>,
    refused: AtomicUsize,
    /// Method, path and range of every request that was let through.
    requests: Mutex<Vec<String>>,
}

impl ObjectStore {
    /// An empty bucket. Each request to it takes `latency` longer.
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

    /// The settings with which a program keeps its files here.
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

    /// From now on this is wrong with it.
    pub fn set(&self, fault: Fault) {
        self.proxy.fault.send_replace(fault);
    }

    /// How many requests were refused.
    pub fn refused(&self) -> usize {
        self.proxy.refused.load(Ordering::Relaxed)
    }

    /// The requests since the last call, each with its method, path and range.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.proxy.requests.lock().unwrap())
    }

    /// The keys of all objects in the bucket.
    pub async fn keys(&self) -> Vec<String> {
        self.list("list-type=2").await
    }

    /// The keys of all multipart uploads that were neither completed nor aborted.
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
        .wait_for(|fault| !stores || *fault != Fault::Stuck)
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
    // What concerns the connection to the S3 server doesn't concern this one.
    for name in [header::CONNECTION, header::TRANSFER_ENCODING] {
        response.headers_mut().remove(name);
    }
    *response.body_mut() = Body::from_stream(answer.bytes_stream());
    response
}
