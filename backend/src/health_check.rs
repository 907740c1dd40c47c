//! Sends the health check of a container to a process of this installation.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const TIMEOUT: Duration = Duration::from_secs(5);

/// Succeeds if `path` at this address responds with 200. Replaces an unspecified address, such as `0.0.0.0`, by the
/// loopback address.
pub async fn health_check(mut address: SocketAddr, path: &str) -> anyhow::Result<()> {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let answer = async {
        let mut stream = TcpStream::connect(address).await?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await?;
        anyhow::ensure!(&status == b"HTTP/1.1 200", "unhealthy");
        Ok(())
    };
    tokio::time::timeout(TIMEOUT, answer)
        .await
        .unwrap_or_else(|_| Err(anyhow::anyhow!("no response in time")))
        .with_context(|| format!("http://{address}{path}"))
}
