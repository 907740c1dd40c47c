//! The other ends of connections: how many connections an address may have, and what is believed of a request that arrives
//! through one.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use prometheus::IntCounter;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    config::ServerConfig,
    metrics::{Limited, Metrics},
    proxies::TrustedProxies,
    rate::whose,
    shares::Shares,
};

/// The maximum number of connections from one address, unless it is set.
const MAX_CONNECTIONS: u32 = 256;

/// Where a request was received and where it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    /// This end of the connection.
    pub local: SocketAddr,
    /// The client's address: the other end of the connection or, if that is a trusted proxy, what the proxy reports.
    pub client: IpAddr,
    /// Whether the other end of the connection is on this machine.
    pub is_peer_local: bool,
    /// Whether a trusted proxy reports that the client uses HTTPS.
    pub is_https: bool,
}

#[derive(Clone)]
pub struct Peers {
    proxies: TrustedProxies,
    /// Whether only this machine can connect, whatever a peer's address: in a container that is published on a loopback
    /// address, connections come from an address of the container's network.
    are_local: bool,
    connections: Shares<IpAddr>,
    /// Whether the limit on connections also applies to this machine. By default it doesn't, because the most likely peer
    /// there is a proxy, through which everybody connects.
    limits_local: bool,
    refused: IntCounter,
}

/// The peer's address has the maximum number of connections.
#[derive(Debug)]
pub struct TooMany;

impl Peers {
    pub fn new(config: &ServerConfig, metrics: &Metrics) -> Self {
        let limit = config.limits.max_connections_per_address;
        Self {
            proxies: config.trusted_proxies.clone(),
            are_local: config
                .published_address
                .is_some_and(|address| address.to_canonical().is_loopback()),
            connections: Shares::new(limit.unwrap_or(MAX_CONNECTIONS) as usize),
            limits_local: limit.is_some(),
            refused: metrics.refused(Limited::Connections),
        }
    }

    /// Admits another connection of this peer. What is returned counts it until it is dropped.
    pub fn admit(&self, peer: IpAddr) -> Result<Option<OwnedSemaphorePermit>, TooMany> {
        if self.proxies.trusts(peer) || (self.is_local(peer) && !self.limits_local) {
            return Ok(None);
        }
        let permit = self.connections.of(whose(peer)).try_acquire_owned();
        permit.map(Some).map_err(|_| {
            self.refused.inc();
            TooMany
        })
    }

    /// Returns where a request with these headers comes from.
    pub fn ends(&self, local: SocketAddr, peer: IpAddr, headers: &HeaderMap) -> Ends {
        Ends {
            local,
            client: self.proxies.client(peer, headers),
            is_peer_local: self.is_local(peer),
            is_https: self.proxies.is_https(peer, headers),
        }
    }

    fn is_local(&self, peer: IpAddr) -> bool {
        self.are_local || peer.to_canonical().is_loopback()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::Cli;

    /// Returns how many of 300 connections from this address are admitted at the same time.
    fn admitted(options: &[&str], address: &str) -> usize {
        let options = ["server"].iter().chain(options);
        let Cli { config, .. } = Cli::try_parse_from(options).unwrap();
        let peers = Peers::new(&config, &Metrics::new().unwrap());
        let peer = address.parse().unwrap();
        let open: Vec<_> = (0..300).map_while(|_| peers.admit(peer).ok()).collect();
        assert!(peers.admit("198.51.100.1".parse().unwrap()).is_ok());
        open.len()
    }

    #[test]
    fn only_addresses_that_others_do_not_share_are_limited() {
        let two = ["--max-connections-per-address", "2"];
        for (options, address, expected) in [
            (&[][..], "198.51.100.7", 256),
            (&two, "198.51.100.7", 2),
            (&[], "127.0.0.1", 300),
            (&two, "127.0.0.1", 2),
            (&["--published-address", "127.0.0.1"], "172.18.0.1", 300),
            (&["--published-address", "192.0.2.1"], "172.18.0.1", 256),
            (&["--trusted-proxies", "10.0.0.1"], "10.0.0.1", 300),
        ] {
            assert_eq!(
                admitted(options, address),
                expected,
                "{options:?} {address}"
            );
        }
        let trusted = [&two[..], &["--trusted-proxies", "10.0.0.1"]].concat();
        assert_eq!(admitted(&trusted, "::ffff:10.0.0.1"), 300);
    }
}
