//! State shared by the handlers.

use std::{path::PathBuf, sync::Arc, time::Duration};

use app::{Site, pages};
use axum::{extract::FromRef, http::StatusCode};
use backend::{Backend, ProgressHub, accounts::Auth, hosts::AllowedHosts, openid::Provider};
use domain::AuditKind;
use tokio_util::sync::CancellationToken;

use crate::{
    busy::Turns,
    config::ServerConfig,
    limits::Limits,
    metrics::Metrics,
    rate::{ChangeRate, RecordRate, SignInRate},
    repeats::Repeats,
    websocket::Sockets,
};

#[derive(Clone, FromRef)]
pub struct AppState {
    pub backend: Backend,
    pub auth: Auth,
    pub sign_in: SignInWays,
    pub hub: ProgressHub,
    pub site: Site,
    /// The directory of the site's files.
    pub site_root: PathBuf,
    pub pages: PagesPort,
    /// Cancelled when the server begins to shut down.
    pub shutdown: CancellationToken,
    pub allowed_hosts: AllowedHosts,
    pub limits: Arc<Limits>,
    pub metrics: Metrics,
    pub trace_parents: TraceParents,
    pub turns: Turns,
    pub sockets: Sockets,
    pub change_rate: ChangeRate,
    pub sign_in_rate: SignInRate,
    pub repeats: Repeats,
    /// Refusals in the audit.
    pub audited_refusals: RecordRate<AuditKind>,
    /// Refusals in the log.
    pub logged_refusals: RecordRate<StatusCode>,
}

/// The ways to sign in.
#[derive(Clone)]
pub struct SignInWays {
    pub has_passwords: bool,
    /// Whether users with a password must have a second factor.
    pub requires_second_factor: bool,
    /// The OpenID Connect provider.
    pub provider: Option<Arc<Provider>>,
}

/// The port on which the pages are served.
#[derive(Debug, Clone, Copy)]
pub struct PagesPort(pub u16);

/// What is done with the trace that a request says it is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceParents {
    /// The request continues it.
    Trusted,
    /// The request begins its own trace with a link, so that strangers decide neither what is sampled nor which ids exist.
    Linked,
}

impl AppState {
    pub fn new(
        backend: Backend,
        hub: ProgressHub,
        config: &ServerConfig,
        auth: Auth,
        sign_in: SignInWays,
        shutdown: CancellationToken,
    ) -> prometheus::Result<Self> {
        let metrics = Metrics::new()?;
        let site = Site::new(&config.site_root);
        Ok(Self {
            backend,
            auth,
            hub,
            site: site
                .with_sign_in(sign_in.has_passwords, sign_in.provider.is_some())
                .with_second_factor(sign_in.requires_second_factor),
            sign_in,
            site_root: config.site_root.clone(),
            pages: PagesPort(config.web_addr.port()),
            allowed_hosts: config.backend.allowed_hosts.clone(),
            limits: Arc::new(config.limits.clone()),
            turns: Turns::new(&config.limits, &metrics),
            sockets: Sockets::new(&config.limits, &metrics),
            change_rate: ChangeRate::new(&config.limits, &metrics),
            sign_in_rate: SignInRate::new(&config.limits, &metrics),
            repeats: Repeats::default(),
            audited_refusals: RecordRate::new(Duration::from_secs(60)),
            logged_refusals: RecordRate::new(Duration::from_secs(1)),
            metrics,
            trace_parents: match config.trust_traceparent {
                true => TraceParents::Trusted,
                false => TraceParents::Linked,
            },
            shutdown,
        })
    }

    /// Returns the page for signing in, without any errors.
    pub fn sign_in_page(&self) -> pages::SignIn<'_> {
        let provider = self.sign_in.provider.as_deref();
        pages::SignIn {
            provider: provider.map(|provider| provider.settings.label.as_str()),
            ..Default::default()
        }
    }
}
