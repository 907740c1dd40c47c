//! How a request reached us, which decides about signing in and about cookies.

use axum::http::{HeaderMap, header::ORIGIN};
use backend::hosts::Host;

use crate::peers::Ends;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// From this machine, without a proxy. Nobody can listen.
    Local,
    /// Over HTTPS, as a trusted proxy reports.
    Https,
    /// In any other way, so perhaps in the clear.
    Unknown,
}

impl Transport {
    /// The `Host` alone proves nothing: many proxies send the address at which they reach us.
    pub fn of(host: &Host, ends: &Ends, headers: &HeaderMap) -> Self {
        let is_forwarded = headers.keys().any(|name| {
            let name = name.as_str();
            name == "forwarded" || name.starts_with("x-forwarded-")
        });
        if ends.is_https {
            Self::Https
        } else if host.is_loopback()
            && ends.is_peer_local
            && !is_forwarded
            && !is_for_other_machine(headers)
        {
            Self::Local
        } else {
            Self::Unknown
        }
    }
}

/// Returns whether the page that sends the request has the name of another machine.
fn is_for_other_machine(headers: &HeaderMap) -> bool {
    headers.get_all(ORIGIN).iter().any(|origin| {
        let host = origin.to_str().ok().and_then(|it| it.split_once("://"));
        let host = host.and_then(|(_, host)| Host::parse(host));
        host.is_some_and(|host| !host.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn only_a_direct_request_from_this_machine_is_local() {
        let none = &[][..];
        for (host, is_peer_local, headers, expected) in [
            ("localhost:3000", true, none, Transport::Local),
            (
                "127.0.0.1",
                true,
                &[("origin", "http://127.0.0.1")],
                Transport::Local,
            ),
            ("[::1]:3000", true, &[("origin", "null")], Transport::Local),
            ("localhost:3000", false, none, Transport::Unknown),
            ("batchline.example.com", true, none, Transport::Unknown),
            (
                "127.0.0.1:3000",
                true,
                &[("x-forwarded-for", "::1")],
                Transport::Unknown,
            ),
            (
                "127.0.0.1:3000",
                true,
                &[("x-forwarded-host", "x")],
                Transport::Unknown,
            ),
            (
                "127.0.0.1:3000",
                true,
                &[("x-forwarded-proto", "https")],
                Transport::Unknown,
            ),
            (
                "127.0.0.1:3000",
                true,
                &[("forwarded", "for=_a")],
                Transport::Unknown,
            ),
            (
                "127.0.0.1:3000",
                true,
                &[("origin", "https://batchline.example.com")],
                Transport::Unknown,
            ),
        ] {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| {
                    (
                        HeaderName::from_static(name),
                        HeaderValue::from_static(value),
                    )
                })
                .collect();
            let of = |is_https| {
                let ends = Ends {
                    local: ([127, 0, 0, 1], 3000).into(),
                    client: [127, 0, 0, 1].into(),
                    is_peer_local,
                    is_https,
                };
                Transport::of(&Host::parse(host).unwrap(), &ends, &headers)
            };
            assert_eq!(of(false), expected, "{host} {is_peer_local} {headers:?}");
            assert_eq!(
                of(true),
                Transport::Https,
                "{host} {is_peer_local} {headers:?}"
            );
        }
    }
}
