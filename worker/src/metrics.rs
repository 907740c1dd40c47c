//! Reads the metrics of Temporal's SDK. Its exporter serves them to everybody, so it listens on an address that only
//! this process knows.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Returns a loopback address. If the system has all of 127.0.0.0/8, pages of other sites can't guess it.
pub fn inner_address() -> SocketAddr {
    let [a, b, c, ..] = uuid::Uuid::new_v4().into_bytes();
    let address = SocketAddr::from((Ipv4Addr::new(127, a, b, c.clamp(1, 254)), 0));
    match std::net::TcpListener::bind(address) {
        Ok(_) => address,
        Err(_) => (Ipv4Addr::LOCALHOST, 0).into(),
    }
}

/// Returns the metrics from the exporter at this address.
pub async fn read(inner: SocketAddr) -> anyhow::Result<String> {
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
