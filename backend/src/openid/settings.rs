use std::fmt;

use domain::Email;
use openidconnect::{ClientId, ClientSecret, IssuerUrl, Scope};
use url::Url;

use crate::http_client::is_protected;

/// How to reach the provider, and whom to let in.
#[derive(Clone)]
pub struct Settings {
    pub(super) issuer: IssuerUrl,
    pub(super) client_id: ClientId,
    /// `None` for a public client, which is protected by PKCE alone.
    pub(super) client_secret: Option<ClientSecret>,
    /// The provider's name as people know it.
    pub label: String,
    /// In addition to `openid`.
    pub(super) scopes: Vec<Scope>,
    /// The accepted ways to authenticate, such as with a second factor. Empty accepts any.
    pub acr_values: Vec<String>,
    /// Decides at each sign-in who is an admin.
    pub admin: Option<AdminClaim>,
    /// In lower case. Empty if any domain is allowed.
    pub email_domains: Vec<String>,
    /// Whether unknown people become new users. Otherwise an admin has to create them first.
    pub creates_users: bool,
    /// Whether a user has authenticated only when the provider says so in `auth_time`. Otherwise, when they come back from
    /// there.
    pub checks_auth_time: bool,
}

/// A claim that makes somebody an admin if it equals or contains one of the values.
#[derive(Debug, Clone)]
pub struct AdminClaim {
    pub name: String,
    pub values: Vec<String>,
}

impl Settings {
    /// Returns the settings for a client of this issuer, which lets in only users whom an admin has created. Fails with
    /// a sentence if others could impersonate the issuer.
    pub fn new(
        issuer: &str,
        client_id: &str,
        client_secret: Option<String>,
    ) -> Result<Self, String> {
        let url = Url::parse(issuer).map_err(|error| format!("{issuer:?} isn't a URL: {error}"))?;
        // OpenID Connect Discovery 1.0, section 4.3.
        if !is_protected(&url) || url.query().is_some() || url.fragment().is_some() {
            return Err(format!(
                "{issuer:?} isn't an issuer: use https:// (http:// on a loopback address) and no query"
            ));
        }
        let issuer = IssuerUrl::new(issuer.to_owned()).map_err(|error| error.to_string())?;
        Ok(Self {
            issuer,
            client_id: ClientId::new(client_id.to_owned()),
            client_secret: client_secret.map(ClientSecret::new),
            label: "OpenID Connect".to_owned(),
            scopes: Vec::new(),
            acr_values: Vec::new(),
            admin: None,
            email_domains: Vec::new(),
            creates_users: false,
            checks_auth_time: true,
        })
    }

    pub(crate) fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    /// Returns whether people with this address may sign in.
    pub(crate) fn allows(&self, email: &Email) -> bool {
        let (_, domain) = email.as_str().split_once('@').unwrap_or_default();
        let domain = domain.to_ascii_lowercase();
        self.email_domains.is_empty() || self.email_domains.contains(&domain)
    }

    /// Sets the scopes. `openid` is always included.
    pub fn with_scopes<'a>(mut self, scopes: impl IntoIterator<Item = &'a str>) -> Self {
        let scopes = scopes.into_iter().filter(|scope| *scope != "openid");
        self.scopes = scopes.map(|scope| Scope::new(scope.to_owned())).collect();
        self
    }
}

/// Omits the secret.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("issuer", &self.issuer.as_str())
            .field("client_id", &self.client_id.as_str())
            .finish_non_exhaustive()
    }
}
