//! The server's settings.

mod openid;

use std::{
    net::{AddrParseError, IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::bail;
use backend::{
    BackendConfig,
    accounts::{Auth, Lifetimes},
    openid::Settings as OpenIdSettings,
};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use self::openid::OpenIdOptions;
use crate::limits::Limits;

/// Batchline's server: the pages, the REST API and the live updates.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(flatten)]
    pub config: ServerConfig,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask the server that runs with these settings whether it is well; exit with 0 or 1
    Healthcheck,

    /// Create an admin, or make one of the user with this email address; asks for the password, or reads it as a line
    /// from standard input
    CreateAdmin {
        #[arg(long)]
        email: String,
        #[arg(long)]
        name: String,
    },

    /// After a restore: list the files that belong to nothing and the jobs whose files are missing
    CheckStorage {
        /// Also remove the files that belong to nothing
        #[arg(long)]
        remove: bool,
        /// Leave files alone that have changed within this many hours
        #[arg(long, default_value_t = 24)]
        min_age_hours: u32,
    },
}

/// Who may use this Batchline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuthMode {
    /// Anybody who reaches it
    Open,
    /// Who signs in, with a password or with the OpenID Connect provider if there is one
    Password,
    /// Who signs in with the OpenID Connect provider
    Oidc,
}

#[derive(Debug, Clone, Args)]
pub struct ServerConfig {
    #[command(flatten)]
    pub backend: BackendConfig,

    /// Where the pages are served, and the API under /api; port 0 picks a free port
    #[arg(long, env = "WEB_ADDR", default_value = "127.0.0.1:3000")]
    pub web_addr: SocketAddr,

    /// Where the API is served at the root; port 0 picks a free port
    #[arg(long, env = "API_ADDR", default_value = "127.0.0.1:8000")]
    pub api_addr: SocketAddr,

    /// Where Prometheus metrics are served, under /metrics, and health checks, under /healthz and /readyz; port 0 picks
    /// a free port
    #[arg(long, env = "SERVER_METRICS_ADDR", default_value = "127.0.0.1:9465")]
    pub server_metrics_addr: SocketAddr,

    /// Who may use this Batchline. Without it anybody may, as long as only this machine reaches WEB_ADDR and API_ADDR
    #[arg(long, env = "AUTH")]
    pub auth: Option<AuthMode>,

    /// In a container: the address of its host at which WEB_ADDR and API_ADDR are published. It decides, in their place,
    /// whether other machines reach them
    #[arg(long, env = "PUBLISHED_ADDRESS", value_parser = parse_address)]
    pub published_address: Option<IpAddr>,

    /// Minutes without a request after which a session ends
    #[arg(long, env = "SESSION_IDLE_MINUTES", default_value_t = 12 * 60, value_parser = clap::value_parser!(u64).range(1..=365 * 24 * 60))]
    pub session_idle_minutes: u64,

    /// Hours after which a session ends in any case
    #[arg(long, env = "SESSION_HOURS", default_value_t = 7 * 24, value_parser = clap::value_parser!(u64).range(1..=365 * 24))]
    pub session_hours: u64,

    /// Whether a request is part of the trace that its traceparent names. Else, and by default, it begins one of its own,
    /// with a link. Where traces go is set by OTEL_EXPORTER_OTLP_ENDPOINT
    #[arg(long, env = "TRUST_TRACEPARENT", default_value_t = false, action = ArgAction::Set)]
    pub trust_traceparent: bool,

    /// Directory with the built style sheet, script and WebAssembly
    #[arg(long, env = "SITE_ROOT", default_value = "target/site")]
    pub site_root: PathBuf,

    #[command(flatten)]
    pub limits: Limits,

    #[command(flatten)]
    pub openid: OpenIdOptions,
}

/// Parses an address, with the brackets that an IPv6 address has before a port.
fn parse_address(text: &str) -> Result<IpAddr, AddrParseError> {
    let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    bare.unwrap_or(text).parse()
}

impl ServerConfig {
    /// Who may use this Batchline. Other machines get nothing unless somebody has said what they may get.
    pub fn auth(&self) -> anyhow::Result<Auth> {
        let is_reachable = |address: IpAddr| !address.to_canonical().is_loopback();
        let reachable = match self.published_address {
            Some(address) => {
                is_reachable(address).then(|| ("PUBLISHED_ADDRESS", address.to_string()))
            }
            None => [("WEB_ADDR", self.web_addr), ("API_ADDR", self.api_addr)]
                .into_iter()
                .find(|(_, address)| is_reachable(address.ip()))
                .map(|(variable, address)| (variable, address.to_string())),
        };
        match (self.auth, reachable) {
            (Some(AuthMode::Password | AuthMode::Oidc), _) => Ok(Auth::SignIn(Lifetimes {
                idle: Duration::from_secs(self.session_idle_minutes * 60),
                longest: Duration::from_secs(self.session_hours * 3600),
            })),
            (Some(AuthMode::Open), _) | (None, None) => Ok(Auth::Open),
            (None, Some((variable, address))) => bail!(
                "{variable} is {address}, which other machines can reach. Set AUTH=password or AUTH=oidc to have everybody \
                 sign in, or AUTH=open to let anybody in who reaches it"
            ),
        }
    }

    /// Whether people sign in with passwords, where they sign in.
    pub fn has_passwords(&self) -> bool {
        self.auth != Some(AuthMode::Oidc)
    }

    /// The OpenID Connect provider, if people sign in with one.
    pub fn openid(&self) -> anyhow::Result<Option<OpenIdSettings>> {
        let settings = self.openid.settings()?;
        match (self.auth, &settings) {
            (Some(AuthMode::Oidc), None) => {
                bail!("AUTH=oidc needs OIDC_ISSUER and OIDC_CLIENT_ID")
            }
            (None | Some(AuthMode::Open), Some(_)) => bail!(
                "OIDC_ISSUER is set, but nobody signs in. Set AUTH=oidc, or AUTH=password to have passwords beside it"
            ),
            _ => Ok(settings),
        }
    }
}
