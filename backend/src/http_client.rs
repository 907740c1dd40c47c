//! Requests to services that somebody waits for: the OpenID Connect provider, and the list of stolen passwords.

use std::{error::Error, time::Duration};

use anyhow::Context;
use hyper::{Request, Response};
use reqwest::{Client, redirect::Policy};
use url::{Host, Url};

/// How long an idle connection is kept, which covers one sign-in. Providers close older ones, perhaps just when a code
/// is sent, and a code can't be sent twice.
const CONNECTION_KEPT: Duration = Duration::from_secs(2);
/// The maximum size of a response, in bytes. Keys, claims and ranges of passwords take some thousands.
const MAX_BYTES: usize = 1 << 20;

/// An HTTP client. Doesn't follow redirects, which could lead to hosts that only this machine can reach.
#[derive(Debug, Clone)]
pub struct HttpClient(Client);

#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error(transparent)]
    Request(reqwest::Error),
    #[error("the response has more than {MAX_BYTES} bytes")]
    TooLong,
}

impl From<reqwest::Error> for HttpError {
    fn from(error: reqwest::Error) -> Self {
        // The URL may contain what the log must not, such as a part of a password's hash.
        Self::Request(error.without_url())
    }
}

impl HttpClient {
    /// Returns a client whose requests take at most this long.
    pub fn new(timeout: Duration) -> anyhow::Result<Self> {
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(timeout)
            .pool_idle_timeout(CONNECTION_KEPT);
        Ok(Self(client.build().context("HTTP client")?))
    }

    pub async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
        let mut response = self.0.execute(request.try_into()?).await?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(HttpError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// Returns whether nobody on the way to this URL can read or change what is sent: `https`, or `http` on a loopback address.
pub fn is_protected(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback)
}

/// Returns an error with its sources, for the log.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
