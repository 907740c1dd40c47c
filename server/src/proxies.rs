//! Reverse proxies that are trusted to say where a request comes from.

use std::{
    net::{AddrParseError, IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The networks of trusted proxies. By default there are none.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// Returns the address of the client that sent a request through a connection from `peer`.
    ///
    /// Each proxy appends the address that it was reached from to `X-Forwarded-For`. So the last one that isn't a trusted
    /// proxy is the client. Whatever precedes it was sent by the client, which can make it up.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let values = headers.get_all(X_FORWARDED_FOR).iter().rev();
        let mut reported = values.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
        let mut client = peer.to_canonical();
        while self.trusts(client) {
            match reported.next().map(|address| parse(address.trim())) {
                Some(Ok(address)) => client = address.to_canonical(),
                _ => break,
            }
        }
        client
    }

    /// Returns whether the trusted proxy `peer` reports that the client uses HTTPS. If there are several proxies, all of
    /// them must.
    pub fn is_https(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        let values = headers.get_all(X_FORWARDED_PROTO).iter();
        let mut schemes = values
            .flat_map(|value| value.to_str().unwrap_or_default().split(','))
            .map(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
            .peekable();
        self.trusts(peer) && schemes.peek().is_some() && schemes.all(|is_https| is_https)
    }

    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Parses an address. Some proxies add the port.
fn parse(text: &str) -> Result<IpAddr, AddrParseError> {
    let with_port = || text.parse().map(|address: SocketAddr| address.ip());
    text.parse().or_else(|_| with_port())
}

impl FromStr for TrustedProxies {
    type Err = String;

    /// Parses addresses and networks, separated by commas.
    fn from_str(list: &str) -> Result<Self, Self::Err> {
        let entries = list.split(',').map(str::trim);
        let networks = entries.filter(|entry| !entry.is_empty()).map(|entry| {
            let network = entry.parse().or_else(|_| entry.parse().map(IpAddr::into));
            network.map_err(|_| {
                format!("{entry:?} is neither an address nor a network, such as 10.0.0.0/8")
            })
        });
        Ok(Self(networks.collect::<Result<_, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(proxies: &str, peer: &str, forwarded: &[&str]) -> String {
        let proxies: TrustedProxies = proxies.parse().unwrap();
        let headers = forwarded
            .iter()
            .map(|value| (X_FORWARDED_FOR, HeaderValue::from_str(value).unwrap()))
            .collect();
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let proxy = "10.0.0.1";
        for (proxies, peer, forwarded, expected) in [
            ("", proxy, &["198.51.100.7"][..], proxy),
            (proxy, "10.0.0.2", &["198.51.100.7"], "10.0.0.2"),
            (proxy, proxy, &[], proxy),
            (proxy, proxy, &["198.51.100.7"], "198.51.100.7"),
            // The client has made up the first one.
            (proxy, proxy, &["192.0.2.1, 198.51.100.7"], "198.51.100.7"),
            (proxy, proxy, &["192.0.2.1", "198.51.100.7"], "198.51.100.7"),
            (
                "10.0.0.0/8",
                proxy,
                &["198.51.100.7, 10.9.9.9"],
                "198.51.100.7",
            ),
            // All are proxies: the request comes from the first of them.
            ("10.0.0.0/8", proxy, &["10.9.9.9"], "10.9.9.9"),
            (
                "::1, 10.0.0.1",
                "::ffff:10.0.0.1",
                &["2001:db8::7"],
                "2001:db8::7",
            ),
            (proxy, proxy, &["198.51.100.7:4711"], "198.51.100.7"),
            (proxy, proxy, &["[2001:db8::7]:4711"], "2001:db8::7"),
            (proxy, proxy, &["198.51.100.7, unknown"], proxy),
            (proxy, proxy, &["198.51.100.7,"], proxy),
        ] {
            let found = client(proxies, peer, forwarded);
            assert_eq!(found, expected, "{proxies} | {peer} | {forwarded:?}");
        }
    }

    #[test]
    fn https_is_what_trusted_proxies_report() {
        let is_https = |peer: &str, reported: &[&'static str]| {
            let proxies: TrustedProxies = "10.0.0.1".parse().unwrap();
            let headers = reported
                .iter()
                .map(|value| (X_FORWARDED_PROTO, HeaderValue::from_static(value)))
                .collect();
            proxies.is_https(peer.parse().unwrap(), &headers)
        };
        assert!(is_https("10.0.0.1", &["https"]));
        assert!(is_https("::ffff:10.0.0.1", &["HTTPS, https"]));
        for reported in [
            &[][..],
            &["http"],
            &["https, http"],
            &["https", "http"],
            &[""],
        ] {
            assert!(!is_https("10.0.0.1", reported), "{reported:?}");
        }
        assert!(!is_https("10.0.0.2", &["https"]));
    }

    #[test]
    fn other_entries_are_refused() {
        for list in ["proxy.example.com", "10.0.0.0/33", "*"] {
            let error = list.parse::<TrustedProxies>().unwrap_err();
            assert!(
                error.starts_with(&format!("{list:?} is neither")),
                "{error}"
            );
        }
    }
}
