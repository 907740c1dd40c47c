//! The server's settings.

mod openid;

use std::{
    env,
    net::{AddrParseError, IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::bail;
use backend::{
    BackendConfig,
    accounts::{Auth, BreachedPasswords, Lifetimes},
    openid::Settings as OpenIdSettings,
};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use self::openid::OpenIdOptions;
use crate::{limits::Limits, proxies::TrustedProxies};

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
    /// Run a health check of the server with these settings; exit with 0 or 1
    Healthcheck,

    /// Bring the database up to date as its owner, and grant the role of DATABASE_URL what the server and the worker need
    Migrate {
        /// The same database as in DATABASE_URL, with the role that owns it
        #[arg(long, env = "DATABASE_OWNER_URL", hide_env_values = true)]
        database_owner_url: String,
    },

    /// Create an admin, or promote the user with this email address. Asks for the password, or reads it as a line from
    /// standard input
    CreateAdmin {
        #[arg(long)]
        email: String,
        #[arg(long)]
        name: String,
    },

    /// After a restore: list files that belong to nothing, and jobs with missing files
    CheckStorage {
        /// Also remove the files that belong to nothing
        #[arg(long)]
        remove: bool,
        /// Skip files that have changed within this number of hours
        #[arg(long, default_value_t = 24)]
        min_age_hours: u32,
    },
}

/// Who may use this installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuthMode {
    /// Anybody who can reach it
    Open,
    /// Users who sign in, with a password or through the OpenID Connect provider, if there is one
    Password,
    /// Users who sign in through the OpenID Connect provider
    Oidc,
}

/// Whether users with a password have a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SecondFactorMode {
    /// Those who set one up
    Optional,
    /// All; without one, they can do nothing but set one up
    Required,
}

#[derive(Debug, Clone, Args)]
pub struct ServerConfig {
    #[command(flatten)]
    pub backend: BackendConfig,

    /// Address of the pages, with the API under /api; port 0 picks a free port
    #[arg(long, env = "WEB_ADDR", default_value = "127.0.0.1:3000")]
    pub web_addr: SocketAddr,

    /// Address of the API at the root; port 0 picks a free port
    #[arg(long, env = "API_ADDR", default_value = "127.0.0.1:8000")]
    pub api_addr: SocketAddr,

    /// Address of the Prometheus metrics under /metrics and the health checks under /healthz and /readyz; port 0 picks
    /// a free port
    #[arg(long, env = "SERVER_METRICS_ADDR", default_value = "127.0.0.1:9465")]
    pub server_metrics_addr: SocketAddr,

    /// Who may use this installation. Without it anybody may, as long as only this machine can reach WEB_ADDR and
    /// API_ADDR
    #[arg(long, env = "AUTH")]
    pub auth: Option<AuthMode>,

    /// In a container: the host's address at which WEB_ADDR and API_ADDR are published. It replaces them in deciding
    /// whether other machines can reach them
    #[arg(long, env = "PUBLISHED_ADDRESS", value_parser = parse_address)]
    pub published_address: Option<IpAddr>,

    /// Addresses and networks of reverse proxies, separated by commas. The client of a request from one of them is the last
    /// address in X-Forwarded-For that isn't one of them. X-Forwarded-Proto says whether the client uses HTTPS
    #[arg(long, env = "TRUSTED_PROXIES", default_value = "")]
    pub trusted_proxies: TrustedProxies,

    /// Minutes without a request after which a session ends
    #[arg(long, env = "SESSION_IDLE_MINUTES", default_value_t = 12 * 60, value_parser = clap::value_parser!(u64).range(1..=365 * 24 * 60))]
    pub session_idle_minutes: u64,

    /// Hours after which a session always ends
    #[arg(long, env = "SESSION_HOURS", default_value_t = 7 * 24, value_parser = clap::value_parser!(u64).range(1..=365 * 24))]
    pub session_hours: u64,

    /// Whether users with a password must have a second factor
    #[arg(long, env = "SECOND_FACTOR", default_value = "optional")]
    pub second_factor: SecondFactorMode,

    /// Service that knows the passwords of breaches: `https://api.pwnedpasswords.com/range/` or a mirror. It gets the first five
    /// digits of the SHA-1 of each new password. Without it, new passwords are checked against a list in the program
    #[arg(
        long,
        env = "BREACHED_PASSWORDS_URL",
        default_value = "",
        hide_env_values = true
    )]
    pub breached_passwords_url: BreachedPasswords,

    /// Whether a request continues the trace in its traceparent. By default, it begins its own trace with a link. The
    /// collector is set by OTEL_EXPORTER_OTLP_ENDPOINT
    #[arg(long, env = "TRUST_TRACEPARENT", default_value_t = false, action = ArgAction::Set)]
    pub trust_traceparent: bool,

    /// Directory of the compiled style sheet, script and WebAssembly
    /// [default: `site` beside the directory of this program]
    #[arg(long, env = "SITE_ROOT", default_value_os_t = default_site_root(), hide_default_value = true)]
    pub site_root: PathBuf,

    #[command(flatten)]
    pub limits: Limits,

    #[command(flatten)]
    pub openid: OpenIdOptions,
}

/// Returns `site` beside `bin` in a release, and `target/site` in a checkout.
fn default_site_root() -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    let beside = program.parent().and_then(Path::parent);
    beside.unwrap_or(Path::new("")).join("site")
}

/// Parses an address. Accepts the brackets that an IPv6 address has before a port.
fn parse_address(text: &str) -> Result<IpAddr, AddrParseError> {
    let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    bare.unwrap_or(text).parse()
}

impl ServerConfig {
    /// Returns who may use this installation. Fails if other machines can reach it and `AUTH` isn't set.
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
                 sign in, or AUTH=open to let in anybody who can reach it"
            ),
        }
    }

    /// Returns whether people who sign in may use passwords.
    pub fn has_passwords(&self) -> bool {
        self.auth != Some(AuthMode::Oidc)
    }

    /// Returns whether users with a password must have a second factor. Fails if nobody has a password.
    pub fn requires_second_factor(&self) -> anyhow::Result<bool> {
        match (self.second_factor, self.auth) {
            (SecondFactorMode::Optional, _) => Ok(false),
            (SecondFactorMode::Required, Some(AuthMode::Password)) => Ok(true),
            (SecondFactorMode::Required, _) => bail!(
                "SECOND_FACTOR=required needs AUTH=password. With AUTH=oidc, require it at the provider, and set OIDC_ACR_VALUES"
            ),
        }
    }

    /// Returns the settings of the OpenID Connect provider, if people sign in through one.
    pub fn openid(&self) -> anyhow::Result<Option<OpenIdSettings>> {
        let settings = self.openid.settings()?;
        match (self.auth, &settings) {
            (Some(AuthMode::Oidc), None) => {
                bail!("AUTH=oidc needs OIDC_ISSUER and OIDC_CLIENT_ID")
            }
            (None | Some(AuthMode::Open), Some(_)) => bail!(
                "OIDC_ISSUER is set, but sign-in is disabled. Set AUTH=oidc, or AUTH=password to allow passwords as well"
            ),
            _ => Ok(settings),
        }
    }
}
