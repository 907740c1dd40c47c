//! Sends the health check of a container to a process of this installation.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::Context;
use reqwest::{Client, StatusCode, redirect::Policy};

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
    let url = format!("http://{address}{path}");
    let answer = async {
        // The client prepares for TLS, which plain HTTP never uses. Without certificates that takes no time.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .redirect(Policy::none())
            .timeout(TIMEOUT);
        let status = client.build()?.get(&url).send().await?.status();
        anyhow::ensure!(status == StatusCode::OK, "unhealthy: {status}");
        Ok(())
    };
    answer.await.context(url.clone())
}
