use std::{error::Error, pin::Pin, time::Duration};

use anyhow::Context;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::{Client, Request, redirect::Policy};

/// The timeout of a request to the provider, for which somebody is waiting.
const TIMEOUT: Duration = Duration::from_secs(8);
/// How long an idle connection is kept, which covers one sign-in. Providers close older ones, perhaps just when a code
/// is sent, and a code can't be sent twice.
const CONNECTION_KEPT: Duration = Duration::from_secs(2);
/// The maximum size of a response, in bytes. Keys and claims take a few thousand.
const MAX_BYTES: usize = 1 << 20;

/// An HTTP client for the provider. Doesn't follow redirects, which could lead to hosts that only this machine can
/// reach.
#[derive(Debug, Clone)]
pub struct Http(Client);

#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error(transparent)]
    Request(#[from] reqwest::Error),
    #[error("the response has more than {MAX_BYTES} bytes")]
    TooLong,
}

impl Http {
    pub fn new() -> anyhow::Result<Self> {
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .pool_idle_timeout(CONNECTION_KEPT);
        Ok(Self(client.build().context("HTTP client")?))
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let mut response = self.0.execute(Request::try_from(request)?).await?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(HttpError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut response = HttpResponse::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
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
