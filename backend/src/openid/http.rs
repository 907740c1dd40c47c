use std::{pin::Pin, time::Duration};

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};

use crate::http_client::{HttpClient, HttpError};

/// The timeout of a request to the provider, for which somebody is waiting.
const TIMEOUT: Duration = Duration::from_secs(8);

/// An HTTP client for the provider.
#[derive(Debug, Clone)]
pub struct Http(HttpClient);

impl Http {
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self(HttpClient::new(TIMEOUT)?))
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.0.send(request))
    }
}
