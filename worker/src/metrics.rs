//! Serves the metrics to whoever names a host of ours. The exporter of Temporal's SDK serves them to everybody, so it
//! listens where only this process looks for it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::Context;
use backend::hosts::AllowedHosts;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HOST, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// How long a connection may take, from its first byte to its last.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long nothing is accepted after the system had no room for a connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(500);

pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("METRICS_ADDR {address} can't be used; set it to a free port"))
}

/// An address of this machine alone, which no page of another site can guess where the system has all of 127.0.0.0/8.
pub fn inner_address() -> SocketAddr {
    let [a, b, c, ..] = uuid::Uuid::new_v4().into_bytes();
    let address = SocketAddr::from((Ipv4Addr::new(127, a, b, c.clamp(1, 254)), 0));
    match std::net::TcpListener::bind(address) {
        Ok(_) => address,
        Err(_) => (Ipv4Addr::LOCALHOST, 0).into(),
    }
}

/// Answers `GET /metrics` with what is served at `inner`.
pub async fn serve(listener: TcpListener, inner: SocketAddr, hosts: AllowedHosts) {
    loop {
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
        let hosts = hosts.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, local, inner, &hosts));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(TIMEOUT)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // Who breaks off gets no metrics.
            let _ = tokio::time::timeout(TIMEOUT, connection).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    local: SocketAddr,
    inner: SocketAddr,
    hosts: &AllowedHosts,
) -> anyhow::Result<Response<Full<Bytes>>> {
    let named = request.headers().get_all(HOST).iter();
    let target = request.uri().authority().map(|target| target.as_str());
    let text = |status, text: String| {
        let mut response = Response::new(Full::new(text.into()));
        *response.status_mut() = status;
        let kind = HeaderValue::from_static("text/plain; version=0.0.4");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    };
    if let Err(error) = hosts.check(named.map(HeaderValue::as_bytes), target, local.ip()) {
        let status = StatusCode::from_u16(error.status())?;
        return Ok(text(status, error.to_string()));
    }
    if request.uri().path() != "/metrics" {
        let sentence = "The metrics are under /metrics.";
        return Ok(text(StatusCode::NOT_FOUND, sentence.to_owned()));
    }
    Ok(match read(inner).await {
        Ok(metrics) => text(StatusCode::OK, metrics),
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "the metrics can't be read");
            let sentence = "The metrics can't be read. Try again in a moment.";
            text(StatusCode::SERVICE_UNAVAILABLE, sentence.to_owned())
        }
    })
}

/// The metrics as the exporter has them.
async fn read(inner: SocketAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(inner).await?;
    let request = format!("GET /metrics HTTP/1.0\r\nHost: {inner}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    let (head, body) = response
        .split_once("\r\n\r\n")
        .context("the exporter gave no answer")?;
    anyhow::ensure!(head.contains(" 200 "), "the exporter answered {head}");
    Ok(body.to_owned())
}
