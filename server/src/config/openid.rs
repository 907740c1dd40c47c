use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use backend::openid::{AdminClaim, Settings};
use clap::{ArgAction, Args};

/// The OpenID Connect provider for signing in.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "OpenID Connect")]
pub struct OpenIdOptions {
    /// The provider's issuer, exactly as in its discovery document: https://…
    #[arg(long, env = "OIDC_ISSUER", hide_env_values = true)]
    oidc_issuer: Option<String>,

    /// Client id at the provider. The client's redirect URI is https://…/sign-in/openid/callback
    #[arg(long, env = "OIDC_CLIENT_ID", hide_env_values = true)]
    oidc_client_id: Option<String>,

    /// The client's secret, if it has one
    #[arg(long, env = "OIDC_CLIENT_SECRET", hide_env_values = true)]
    oidc_client_secret: Option<Secret>,

    /// File with the client's secret; replaces OIDC_CLIENT_SECRET
    #[arg(long, env = "OIDC_CLIENT_SECRET_FILE")]
    oidc_client_secret_file: Option<PathBuf>,

    /// The provider's name for people: the button says "Sign in with …"
    #[arg(long, env = "OIDC_LABEL", default_value = "OpenID Connect")]
    oidc_label: String,

    /// Scopes to request, separated by spaces
    #[arg(long, env = "OIDC_SCOPES", default_value = "openid email profile")]
    oidc_scopes: String,

    /// Domains of email addresses that may sign in, separated by commas. Without it, any may
    #[arg(long, env = "OIDC_EMAIL_DOMAINS", default_value = "")]
    oidc_email_domains: String,

    /// Whether unknown people become users at their first sign-in. Otherwise an admin has to create them
    #[arg(long, env = "OIDC_CREATE_USERS", default_value_t = false, action = ArgAction::Set)]
    oidc_create_users: bool,

    /// Whether the provider must say when a user authenticated (auth_time) before they make a change that asks who they are.
    /// Otherwise coming back from the provider is enough
    #[arg(long, env = "OIDC_CHECK_AUTH_TIME", default_value_t = true, action = ArgAction::Set)]
    oidc_check_auth_time: bool,

    /// Accepted values of the provider's acr claim, separated by spaces, for example those for a second factor. By default,
    /// any is accepted
    #[arg(long, env = "OIDC_ACR_VALUES", default_value = "")]
    oidc_acr_values: String,

    /// Claim that decides at each sign-in who is an admin. Without it, admins decide
    #[arg(long, env = "OIDC_ADMIN_CLAIM")]
    oidc_admin_claim: Option<String>,

    /// Values of the claim, or of a list in it, that make somebody an admin, separated by commas
    #[arg(long, env = "OIDC_ADMIN_VALUES", default_value = "")]
    oidc_admin_values: String,
}

/// A secret that is never printed.
#[derive(Clone)]
struct Secret(String);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl OpenIdOptions {
    /// Returns the provider's settings, if a provider is configured.
    pub fn settings(&self) -> anyhow::Result<Option<Settings>> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (issuer, client_id) = match (given(&self.oidc_issuer), given(&self.oidc_client_id)) {
            (Some(issuer), Some(client_id)) => (issuer, client_id),
            (None, None) => return Ok(None),
            (Some(_), None) => bail!("OIDC_ISSUER needs OIDC_CLIENT_ID, too"),
            (None, Some(_)) => bail!("OIDC_CLIENT_ID needs OIDC_ISSUER, too"),
        };
        let mut settings = Settings::new(&issuer, &client_id, self.secret()?)
            .map_err(|sentence| anyhow!("OIDC_ISSUER: {sentence}"))?
            .with_scopes(self.oidc_scopes.split_whitespace());
        let domains = listed(&self.oidc_email_domains);
        let values = listed(&self.oidc_admin_values);
        let admin = match (given(&self.oidc_admin_claim), values.is_empty()) {
            (None, true) => None,
            (Some(name), false) => Some(AdminClaim { name, values }),
            _ => bail!("OIDC_ADMIN_CLAIM and OIDC_ADMIN_VALUES must be set together"),
        };
        settings.label = self.oidc_label.trim().to_owned();
        settings.email_domains = domains.iter().map(|it| it.to_ascii_lowercase()).collect();
        settings.creates_users = self.oidc_create_users;
        let acr_values = self.oidc_acr_values.split_whitespace();
        settings.acr_values = acr_values.map(str::to_owned).collect();
        settings.checks_auth_time = self.oidc_check_auth_time;
        settings.admin = admin;
        Ok(Some(settings))
    }

    fn secret(&self) -> anyhow::Result<Option<String>> {
        let secret = match (&self.oidc_client_secret, &self.oidc_client_secret_file) {
            (Some(_), Some(_)) => {
                bail!("set either OIDC_CLIENT_SECRET or OIDC_CLIENT_SECRET_FILE, not both")
            }
            (Some(Secret(secret)), None) => secret.clone(),
            (None, Some(file)) => std::fs::read_to_string(file)
                .with_context(|| format!("OIDC_CLIENT_SECRET_FILE {}", file.display()))?
                .trim_end_matches(['\r', '\n'])
                .to_owned(),
            (None, None) => return Ok(None),
        };
        Ok(Some(secret).filter(|secret| !secret.is_empty()))
    }
}

fn listed(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}
