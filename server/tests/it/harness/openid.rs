//! An OpenID Connect provider, and a person's actions on its pages.

use std::{collections::BTreeMap, path::Path, sync::Mutex};

use reqwest::{Client, Response, StatusCode, redirect::Policy};
use serde_json::Value;
use url::Url;

use super::process::Process;

/// A real provider (`oidc-provider`) in a separate process.
pub struct OpenIdProvider {
    pub issuer: String,
    http: Client,
    process: Mutex<Option<Process>>,
}

impl OpenIdProvider {
    pub fn start(settings: &[(&'static str, &str)]) -> Self {
        let provider = Self {
            issuer: String::new(),
            http: client(),
            process: Mutex::default(),
        };
        let issuer = provider.launch(settings);
        Self { issuer, ..provider }
    }

    fn launch(&self, settings: &[(&'static str, &str)]) -> String {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../end2end/openid-provider.mjs");
        let settings: Vec<_> = settings
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        let (process, ready) = Process::start(&program, &settings, "provider ready: ");
        *self.process.lock().unwrap() = Some(process);
        ready.replace("provider ready: ", "").trim().to_owned()
    }

    pub fn stop(&self) {
        *self.process.lock().unwrap() = None;
    }

    /// Restarts it at the same address, with new keys and without the people it knew.
    pub fn restart(&self) {
        self.stop();
        let port = Url::parse(&self.issuer).unwrap().port().unwrap();
        self.launch(&[("PORT", &port.to_string())]);
    }

    /// Returns the settings with which Batchline uses it.
    pub fn settings(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("OIDC_ISSUER", self.issuer.as_str()),
            ("OIDC_CLIENT_ID", "batchline"),
            ("OIDC_CLIENT_SECRET", "quite secret: 100% +"),
            ("OIDC_LABEL", "Example"),
        ]
    }

    /// Adds a person with these claims.
    pub async fn knows(&self, subject: &str, claims: Value) {
        let url = format!("{}/people/{subject}", self.issuer);
        let response = self.http.put(url).json(&claims).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }

    /// Makes it sign ID tokens with this flaw from now on. With the flaw `none` they are good.
    pub async fn has_flaw(&self, flaw: &str) {
        let url = format!("{}/flaw/{flaw}", self.issuer);
        let response = self.http.put(url).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }

    /// Signs in on the provider's pages, to which Batchline has redirected. Returns the URL to which the provider
    /// redirects back.
    pub async fn sign_in(&self, address: &str, subject: &str) -> String {
        let mut browser = Browser::default();
        let mut page = location(&browser.get(address).await);
        // The second page asks for consent to pass on who they are.
        for form in [
            format!("prompt=login&login={subject}&password=x"),
            "prompt=consent".to_owned(),
        ] {
            let answered = browser.post(&self.absolute(&page), form).await;
            page = location(&browser.get(&location(&answered)).await);
        }
        page
    }

    /// Cancels on the provider's page.
    pub async fn cancel(&self, address: &str) -> String {
        let mut browser = Browser::default();
        let page = browser.get(address).await;
        let page = self.absolute(&location(&page));
        let cancelled = browser.get(&format!("{page}/abort")).await;
        let led_back = browser.get(&location(&cancelled)).await;
        location(&led_back)
    }

    /// Signs out on the provider's page.
    pub async fn sign_out(&self, address: &str) -> String {
        let mut browser = Browser::default();
        let page = browser.get(address).await.text().await.unwrap();
        let (_, rest) = page.split_once("name=\"xsrf\" value=\"").unwrap();
        let xsrf = rest.split('"').next().unwrap();
        let form = format!("xsrf={xsrf}&logout=yes");
        let confirm = self.absolute("/session/end/confirm");
        location(&browser.post(&confirm, form).await)
    }

    fn absolute(&self, path: &str) -> String {
        let base = Url::parse(&self.issuer).unwrap();
        base.join(path).unwrap().to_string()
    }
}

/// A browser without JavaScript, on a single host.
#[derive(Clone)]
pub struct Browser {
    http: Client,
    pub cookies: BTreeMap<String, String>,
}

impl Default for Browser {
    fn default() -> Self {
        Self {
            http: client(),
            cookies: BTreeMap::new(),
        }
    }
}

impl Browser {
    pub async fn get(&mut self, url: &str) -> Response {
        self.send(self.http.get(url)).await
    }

    pub async fn post(&mut self, url: &str, form: String) -> Response {
        let request = self.http.post(url).body(form);
        let kind = "application/x-www-form-urlencoded";
        self.send(request.header("content-type", kind)).await
    }

    pub async fn send(&mut self, request: reqwest::RequestBuilder) -> Response {
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = request.header("accept", "text/html");
        let response = request.header("cookie", cookies.join("; ")).send().await;
        let response = response.unwrap();
        for cookie in response.headers().get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let (name, rest) = cookie.split_once('=').unwrap();
            match rest.split(';').next().unwrap() {
                "" => self.cookies.remove(name),
                value => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        response
    }

    pub fn http(&self) -> &Client {
        &self.http
    }
}

fn client() -> Client {
    // Sets the TLS provider of the client. An error means that one is already set.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        // The provider restarts at the same address.
        .pool_max_idle_per_host(0)
        .build()
        .unwrap()
}

fn location(response: &Response) -> String {
    let location = response.headers().get("location");
    let location = location.unwrap_or_else(|| panic!("no redirect: {}", response.status()));
    location.to_str().unwrap().to_owned()
}
