//! The host names that a process accepts. In a DNS rebinding attack, a page whose name points at this machine sends
//! that name in `Host`, so requests with foreign names are refused.
//!
//! ```
//! use std::net::Ipv4Addr;
//!
//! use backend::hosts::{AllowedHosts, HostError};
//!
//! let allowed: AllowedHosts = "batchline.example.com, *.example.org".parse()?;
//! let check = |host: &str| {
//!     let headers = [host.as_bytes()].into_iter();
//!     allowed.check(headers, None, Ipv4Addr::LOCALHOST.into())
//! };
//!
//! assert!(check("batchline.example.com:8443").is_ok());
//! assert!(check("a.example.org").is_ok() && check("localhost").is_ok());
//! assert_eq!(check("rebound.example.net"), Err(HostError::Foreign));
//! # Ok::<(), String>(())
//! ```

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

/// A parsed `Host` header (RFC 9112, section 3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    name: Name,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Address(IpAddr),
    /// In lower case, without a trailing dot.
    Domain(String),
}

impl Host {
    /// Parses a host. Returns `None` for text that names no host. White space, user names and percent signs are
    /// malformed here.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                let address: Ipv6Addr = address.parse().ok()?;
                (Name::Address(IpAddr::V6(address).to_canonical()), port)
            }
            None => {
                let end = text.find(':').unwrap_or(text.len());
                (Name::parse(&text[..end])?, &text[end..])
            }
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            None => return None,
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            Some(_) => return None,
        };
        Some(Self { name, port })
    }

    /// Returns whether the host is the machine that the browser runs on.
    pub fn is_loopback(&self) -> bool {
        self.name.is_loopback()
    }

    /// Returns the address of this host at the port `other`, if the request arrived directly at the port `reached`.
    /// Returns `None` behind a proxy that listens on another port, because the address isn't known.
    pub fn at_other_port(&self, reached: u16, other: u16) -> Option<String> {
        (self.port == Some(reached)).then(|| format!("http://{}:{other}/", self.name))
    }

    /// Returns the origin of this host's pages, such as `https://batchline.example.com`.
    pub fn origin(&self, scheme: &str) -> String {
        match self.port {
            Some(port) => format!("{scheme}://{}:{port}", self.name),
            None => format!("{scheme}://{}", self.name),
        }
    }

    /// Returns whether a page of this origin, such as `http://localhost:3000`, came from this host.
    pub fn is_of_origin(&self, origin: &str) -> bool {
        let (default_port, rest) = match origin.split_once("://") {
            Some(("http", rest)) => (80, rest),
            Some(("https", rest)) => (443, rest),
            _ => return false,
        };
        // Without a port, the scheme determines it.
        Self::parse(rest).is_some_and(|other| {
            other.name == self.name
                && other.port.unwrap_or(default_port) == self.port.unwrap_or(default_port)
        })
    }
}

impl Name {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Some(Self::Address(address.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        let last = name.rsplit('.').next()?;
        // A name that ends in a number would have to be an address
        // (https://url.spec.whatwg.org/#ends-in-a-number-checker).
        let ends_in_number = last.bytes().all(|byte| byte.is_ascii_digit());
        (name.len() <= 253 && name.split('.').all(is_label) && !ends_in_number)
            .then(|| Self::Domain(name.to_ascii_lowercase()))
    }

    fn is_loopback(&self) -> bool {
        match self {
            Self::Address(address) => address.is_loopback(),
            Self::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(address) => address.fmt(f),
            Self::Domain(name) => f.write_str(name),
        }
    }
}

/// The hosts to serve besides the loopback names and the address that a connection arrived at.
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts(Arc<[Pattern]>);

#[derive(Debug, PartialEq, Eq)]
enum Pattern {
    /// `*`
    Any,
    /// `batchline.example.com`, with or without a port.
    Exactly(Host),
    /// `*.example.com`
    Below(String),
}

/// Why a request is refused for its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostError {
    Missing,
    Repeated,
    Malformed,
    /// Not one of the allowed hosts.
    Foreign,
}

impl HostError {
    /// Returns the HTTP status (RFC 9112, section 3.2; RFC 9110, section 15.5.20).
    pub const fn status(self) -> u16 {
        match self {
            Self::Missing | Self::Repeated | Self::Malformed => 400,
            Self::Foreign => 421,
        }
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "The Host header is missing.",
            Self::Repeated => "There is more than one Host header.",
            Self::Malformed => "The Host header is malformed.",
            Self::Foreign => {
                "This server doesn't serve that host name. ALLOWED_HOSTS lists the names that it serves."
            }
        })
    }
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let Some(domain) = text.strip_prefix("*.") else {
            return Host::parse(text).map(Self::Exactly);
        };
        match Host::parse(domain)? {
            Host {
                name: Name::Domain(name),
                port: None,
            } => Some(Self::Below(name)),
            _ => None,
        }
    }
}

impl AllowedHosts {
    /// Returns the host that a request is for. `named` yields the values of its `Host` headers. `target` is the host in
    /// the request line, which takes precedence (RFC 9112, section 3.2.2). `local` is the address that the connection
    /// arrived at.
    pub fn check<'a>(
        &self,
        mut named: impl Iterator<Item = &'a [u8]>,
        target: Option<&str>,
        local: IpAddr,
    ) -> Result<Host, HostError> {
        let header = match (named.next(), named.next()) {
            (None, _) => return Err(HostError::Missing),
            (Some(_), Some(_)) => return Err(HostError::Repeated),
            (Some(host), None) => std::str::from_utf8(host).ok().and_then(Host::parse),
        };
        let header = header.ok_or(HostError::Malformed)?;
        let target = match target {
            Some(target) => Host::parse(target).ok_or(HostError::Malformed)?,
            None => header.clone(),
        };
        match self.allow(&header, local) && self.allow(&target, local) {
            true => Ok(target),
            false => Err(HostError::Foreign),
        }
    }

    /// Returns whether the host may be served. `local` is the address that the connection arrived at.
    pub fn allow(&self, host: &Host, local: IpAddr) -> bool {
        host.name.is_loopback()
            || host.name == Name::Address(local.to_canonical())
            || self.0.iter().any(|pattern| match (pattern, &host.name) {
                (Pattern::Any, _) => true,
                (Pattern::Exactly(allowed), name) => {
                    allowed.name == *name && (allowed.port.is_none() || allowed.port == host.port)
                }
                (Pattern::Below(domain), Name::Domain(name)) => name
                    .strip_suffix(domain.as_str())
                    .is_some_and(|sub| sub.ends_with('.')),
                (Pattern::Below(_), Name::Address(_)) => false,
            })
    }
}

impl FromStr for AllowedHosts {
    type Err = String;

    /// Parses a list such as `batchline.example.com:8443, *.example.org`.
    fn from_str(list: &str) -> Result<Self, Self::Err> {
        list.split(',')
            .map(str::trim)
            .filter(|host| !host.is_empty())
            .map(|host| {
                Pattern::parse(host).ok_or_else(|| {
                    format!(
                        "{host:?} isn't a host: use names such as batchline.example.com, *.example.com or 192.0.2.7, \
                         separated by commas"
                    )
                })
            })
            .collect::<Result<Vec<_>, _>>()
            .map(|patterns| Self(patterns.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for good in [
            "localhost",
            "LocalHost:3000",
            "localhost.",
            "127.0.0.1:8000",
            "[::1]:8000",
            "[::ffff:127.0.0.1]",
            "a-b.example.com:",
            "xn--mnchen-3ya.de",
        ] {
            assert!(Host::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            " ",
            ":80",
            ".",
            "a..b",
            "a b",
            "ann@localhost",
            "localhost:80:90",
            "localhost:99999",
            "localhost:-1",
            "localhost:+80",
            "[::1",
            "::1",
            "[::1]x",
            "http://localhost",
            "localhost/",
            "loc%61lhost",
            "127.1",
            "127.0.0.256",
            "münchen.de",
            "a,b",
        ] {
            assert_eq!(Host::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn loopback_own_and_listed_hosts_are_allowed() {
        let local = IpAddr::from([10, 0, 0, 5]);
        let allows = |list: &str, host: &str| {
            let allowed: AllowedHosts = list.parse().unwrap();
            allowed.allow(&Host::parse(host).unwrap(), local)
        };
        for host in [
            "localhost:3000",
            "app.localhost",
            "127.8.8.8",
            "[::1]:1",
            "10.0.0.5:80",
        ] {
            assert!(allows("", host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "notlocalhost",
            "10.0.0.6",
            "0.0.0.0",
            "[::]",
        ] {
            assert!(!allows("", host), "{host}");
        }
        let list = "batchline.example.com, *.example.org,one.example:8443";
        assert!(allows(list, "Batchline.Example.com:3000"));
        assert!(allows(list, "a.b.example.org"));
        assert!(allows(list, "one.example:8443") && !allows(list, "one.example:80"));
        assert!(!allows(list, "example.org") && !allows(list, "notexample.org"));
        assert!(allows("*", "evil.example"));
        assert!("http://x".parse::<AllowedHosts>().is_err());
    }

    #[test]
    fn origins() {
        let host = Host::parse("localhost:3000").unwrap();
        assert!(host.is_of_origin("http://localhost:3000"));
        for other in [
            "null",
            "",
            "http://localhost",
            "http://localhost:3001",
            "http://localhost:3000.evil.example",
            "ftp://localhost:3000",
            "http://localhost:3000/",
        ] {
            assert!(!host.is_of_origin(other), "{other}");
        }
        let host = Host::parse("batchline.example.com").unwrap();
        assert!(host.is_of_origin("https://batchline.example.com"));
        assert!(host.is_of_origin("https://batchline.example.com:443"));
    }

    #[test]
    fn the_origin_of_a_host() {
        for (host, origin) in [
            ("Batchline.example.com", "https://batchline.example.com"),
            (
                "batchline.example.com:8443",
                "https://batchline.example.com:8443",
            ),
            ("192.0.2.7", "https://192.0.2.7"),
            ("[2001:db8::1]:3000", "https://[2001:db8::1]:3000"),
            ("localhost:3000", "http://localhost:3000"),
            ("[::1]", "http://[::1]"),
        ] {
            let host = Host::parse(host).unwrap();
            let (scheme, _) = origin.split_once(':').unwrap();
            assert_eq!(host.origin(scheme), origin);
            assert!(host.is_of_origin(origin));
        }
    }
}
