use std::{str::FromStr, time::Duration};

use domain::NewPassword;
use hyper::{Request, StatusCode};
use sha1::{Digest, Sha1};
use url::Url;

use crate::{
    Error, Result,
    http_client::{HttpClient, chain, is_protected},
};

/// The timeout of a request, for which somebody is waiting.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The number of hexadecimal digits of a hash that the service gets. About a thousand known passwords share them.
const PREFIX: usize = 5;

const UNAVAILABLE: &str = "The password can't be checked against the list of stolen passwords right now, so it hasn't \
                           been set. Try again later.";

/// The setting of the service that knows passwords of breaches. Empty without one.
///
/// Such a *range* service has the interface of <https://haveibeenpwned.com/API/v3#PwnedPasswords>: it is asked for the first
/// five digits of a password's SHA-1 and responds with the rest of all hashes that begin so. So it never learns the password.
#[derive(Debug, Clone, Default)]
pub struct BreachedPasswords(Option<Url>);

impl FromStr for BreachedPasswords {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let mut url = Url::parse(text).map_err(|error| error.to_string())?;
        if !is_protected(&url) || url.query().is_some() || url.fragment().is_some() {
            return Err("use https:// (http:// on a loopback address) and no query".to_owned());
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self(Some(url)))
    }
}

impl BreachedPasswords {
    pub(super) fn service(&self) -> anyhow::Result<Option<RangeService>> {
        let Some(url) = self.0.clone() else {
            return Ok(None);
        };
        let http = HttpClient::new(TIMEOUT)?;
        Ok(Some(RangeService { url, http }))
    }
}

#[derive(Debug, Clone)]
pub(super) struct RangeService {
    url: Url,
    http: HttpClient,
}

impl RangeService {
    /// Returns whether the password is known from a breach. Fails with [`Error::Unavailable`] if the service can't be asked,
    /// so that no password is accepted unchecked.
    pub async fn knows(&self, password: &NewPassword) -> Result<bool> {
        let hash = hex(&Sha1::digest(password.as_str()));
        let (prefix, suffix) = hash.split_at(PREFIX);
        self.ask(prefix, suffix).await.map_err(|error| {
            tracing::error!(
                error,
                "BREACHED_PASSWORDS_URL can't be asked about a password"
            );
            Error::Unavailable(UNAVAILABLE.to_owned())
        })
    }

    async fn ask(&self, prefix: &str, suffix: &str) -> Result<bool, String> {
        let request = Request::get(format!("{}{prefix}", self.url))
            // Without it the length of an encrypted response would reveal the digits.
            .header("add-padding", "true")
            .header("user-agent", "batchline")
            .body(Vec::new());
        let request = request.map_err(|error| chain(&error))?;
        let response = self.http.send(request).await;
        let response = response.map_err(|error| chain(&error))?;
        if response.status() != StatusCode::OK {
            return Err(format!("the response is {}", response.status()));
        }
        let body = String::from_utf8_lossy(response.body());
        contains(&body, suffix).ok_or_else(|| "the response isn't a list of hashes".to_owned())
    }
}

/// Returns whether the lines `SUFFIX:COUNT` contain a suffix in upper case. Lines with the count 0 are padding. Returns `None`
/// if there is anything else, for example the page of a proxy.
fn contains(body: &str, suffix: &str) -> Option<bool> {
    let mut found = false;
    for line in body.lines().filter(|line| !line.is_empty()) {
        let (known, count) = line.split_once(':')?;
        let count: u64 = count.trim_end().parse().ok()?;
        let is_suffix =
            known.len() == suffix.len() && known.bytes().all(|it| it.is_ascii_hexdigit());
        if !is_suffix {
            return None;
        }
        found |= count > 0 && known.eq_ignore_ascii_case(suffix);
    }
    Some(found)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_must_be_protected() {
        for (text, url) in [
            ("", None),
            (
                "https://api.pwnedpasswords.com/range/",
                Some("https://api.pwnedpasswords.com/range/"),
            ),
            ("https://mirror/range", Some("https://mirror/range/")),
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080/")),
        ] {
            let parsed: BreachedPasswords = text.parse().unwrap();
            assert_eq!(parsed.0.as_ref().map(Url::as_str), url, "{text}");
        }
        for text in [
            "api.pwnedpasswords.com/range/",
            "http://api.pwnedpasswords.com/range/",
            "ftp://mirror/range/",
            "https://mirror/range/?mode=ntlm",
        ] {
            assert!(text.parse::<BreachedPasswords>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_a_list_of_hashes_is_an_answer() {
        let suffix = "A".repeat(35);
        let other = "B".repeat(35);
        for (body, expected) in [
            (String::new(), Some(false)),
            (format!("{other}:3\r\n{suffix}:1\r\n"), Some(true)),
            (format!("{}:1", suffix.to_lowercase()), Some(true)),
            (format!("{other}:3\n{suffix}:0\n"), Some(false)),
            (format!("{suffix}:1\n{suffix}:x"), None),
            (format!("{suffix}0:1"), None),
            (format!("{suffix}:-1"), None),
            (suffix.clone(), None),
            ("<html>Sign in to the network: 1</html>".to_owned(), None),
        ] {
            assert_eq!(contains(&body, &suffix), expected, "{body}");
        }
    }
}
