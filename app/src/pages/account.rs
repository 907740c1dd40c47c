//! `/account`: the user's password, second factor, sessions and API tokens.

use std::time::Duration;

use axum::http::StatusCode;
use backend::{Backend, Means, Viewer, accounts};
use domain::{ApiToken, Quotas, Scope, Session, SessionId, TokenName, format};
use leptos::prelude::*;

use super::{
    failure::failure,
    quotas::{QuotaWarnings, Usage},
    second_factor::{CodeField, TwoSteps},
    sign_in::{NewPasswordField, title},
};
use crate::{
    AppError, Page, Site,
    components::{Copy, FormError, PasswordField, TextField, Time},
};

/// The result of a form on the page.
#[derive(Default)]
pub struct AccountForms {
    pub notice: Option<&'static str>,
    pub password_error: Option<AppError>,
    pub token_error: Option<AppError>,
    /// A newly created token with its secret.
    pub new_token: Option<(ApiToken, String)>,
}

/// `idle` is how long a session lasts without requests.
pub async fn account(
    site: &Site,
    backend: &Backend,
    viewer: &Viewer,
    idle: Duration,
    forms: AccountForms,
) -> Page {
    let read = async {
        let sessions = accounts::sessions(backend, viewer, idle).await?;
        let tokens = accounts::tokens(backend, viewer).await?;
        let factor = match site.has_passwords {
            true => accounts::second_factor(backend, viewer).await?,
            false => None,
        };
        let quotas = match viewer.account() {
            Some(account) => Some(backend::quotas::of(backend, viewer, account.user_id).await?),
            None => None,
        };
        Ok::<_, backend::Error>((sessions, tokens, factor, quotas))
    };
    let (sessions, tokens, factor, quotas) = match read.await {
        Ok(read) => read,
        Err(error) => return failure(site, error.into()),
    };
    let Some(account) = viewer.account() else {
        return super::not_found(site);
    };
    let (name, email) = (account.name.clone(), account.email.clone());
    let present = match account.means {
        Means::Session(id) => Some(id),
        Means::Token { .. } => None,
    };
    let is_admin = viewer.is_admin();
    let needs_code = factor.is_some_and(|factor| factor.is_on);
    let (has_passwords, is_required) = (site.has_passwords, site.requires_second_factor);
    let AccountForms {
        notice,
        password_error,
        token_error,
        new_token,
    } = forms;
    let error = password_error.as_ref().or(token_error.as_ref());
    let status = error.map_or(StatusCode::OK, |error| error.kind.status());
    let title = title("Account", error);
    site.page(status, &title, || {
        view! {
            <div class="page-head">
                <h1>"Account"</h1>
                <p class="muted">
                    <bdi>{name}</bdi>
                    " · "
                    {email.clone()}
                </p>
            </div>
            {notice.map(|notice| view! { <p class="notice" role="status">{notice}</p> })}
            <div class="columns">
                <div class="stack">
                    <Sessions sessions present />
                    <Tokens tokens new_token error=token_error />
                </div>
                <div class="stack">
                    {is_admin.then(administration)}
                    {quotas.map(usage)}
                    {has_passwords.then(|| view! { <Password email needs_code error=password_error /> })}
                    {factor.map(|factor| view! { <TwoSteps factor is_required /> })}
                </div>
            </div>
        }
        .into_any()
    })
}

fn usage(quotas: Quotas) -> impl IntoView {
    view! {
        <section class="panel" aria-labelledby="usage">
            <h2 id="usage">"Usage"</h2>
            <QuotaWarnings quotas />
            <Usage quotas />
        </section>
    }
    .into_any()
}

fn administration() -> impl IntoView {
    view! {
        <section class="panel" aria-labelledby="administration">
            <h2 id="administration">"Administration"</h2>
            <ul class="entries">
                <li>
                    <a href="/accounts">"Users and roles"</a>
                </li>
                <li>
                    <a href="/audit">"Audit"</a>
                </li>
            </ul>
        </section>
    }
    .into_any()
}

#[component]
fn Password(email: String, needs_code: bool, error: Option<AppError>) -> impl IntoView {
    view! {
        <section class="panel" aria-labelledby="password">
            <h2 id="password">"Change password"</h2>
            <form method="post" action="/account/password">
                <FormError error=error.clone() />
                <input type="hidden" name="email" autocomplete="username" value=email />
                <PasswordField
                    id="current-password"
                    name="current_password"
                    label="Current password"
                    autocomplete="current-password"
                    error=error.as_ref()
                />
                {needs_code.then(|| view! { <CodeField name="code" error=error.as_ref() /> })}
                <NewPasswordField error=error.as_ref() />
                <label class="choice">
                    <input type="checkbox" name="revoke_tokens" value="yes" />
                    "Also revoke my API tokens"
                </label>
                <p class="hint">"This signs you out everywhere else."</p>
                <button class="button button-primary" data-under-way="Saving…">
                    "Change password"
                </button>
            </form>
        </section>
    }
    .into_any()
}

#[component]
fn Sessions(sessions: Vec<Session>, present: Option<SessionId>) -> impl IntoView {
    let end_others = (sessions.len() > 1).then(|| {
        view! {
            <form method="post" action="/account/end-other-sessions">
                <button class="button" data-under-way="Ending…">
                    "End all other sessions"
                </button>
            </form>
        }
    });
    view! {
        <section aria-labelledby="sessions">
            <h2 id="sessions">"Sessions"</h2>
            <ul class="cards">
                {sessions
                    .into_iter()
                    .map(|session| {
                        let is_present = present == Some(session.id);
                        one_session(session, is_present)
                    })
                    .collect_view()}
            </ul>
            {end_others}
        </section>
    }
    .into_any()
}

fn one_session(session: Session, is_present: bool) -> impl IntoView {
    let device = session.device();
    let id = format!("session-{}", session.id);
    let end = (!is_present).then(|| {
        view! {
            <form method="post" action=format!("/account/sessions/{}/end", session.id)>
                <button class="button" data-under-way="Ending…" aria-describedby=id.clone()>
                    "End"
                </button>
            </form>
        }
    });
    view! {
        <li class="card card-row">
            <div>
                <p class="card-title" id=id.clone()>
                    {device}
                    {is_present.then_some(" (this one)")}
                </p>
                <p class="muted">
                    {session.address.map(|address| format!("{address} · "))}
                    "Signed in "
                    <Time at=format::machine_time(session.created_at) />
                    " · Last used "
                    <Time at=format::machine_time(session.last_used_at) />
                </p>
            </div>
            {end}
        </li>
    }
    .into_any()
}

#[component]
fn Tokens(
    tokens: Vec<ApiToken>,
    /// Shown once.
    new_token: Option<(ApiToken, String)>,
    error: Option<AppError>,
) -> impl IntoView {
    let created = new_token.map(|(token, secret)| {
        view! {
            <div class="notice" role="status">
                <p>
                    "The token \""
                    <bdi>{token.name}</bdi>
                    "\" is created. Copy it now: it won't be shown again."
                </p>
                <p>
                    <code class="secret" id="new-token">
                        {secret.clone()}
                    </code>
                </p>
                <Copy text=secret name="Copy token" />
            </div>
        }
    });
    let now = chrono::Utc::now();
    let list = match tokens.is_empty() {
        true => {
            view! { <p class="muted">"None yet. Programs use the API with a token."</p> }.into_any()
        }
        false => view! {
            <ul class="cards" aria-label="API tokens">
                {tokens
                    .into_iter()
                    .map(|token| {
                        let has_expired = token.expires_at <= now;
                        one_token(token, has_expired)
                    })
                    .collect_view()}
            </ul>
        }
        .into_any(),
    };
    view! {
        <section aria-labelledby="tokens">
            <h2 id="tokens">"API tokens"</h2>
            {created}
            {list}
            <NewToken error />
        </section>
    }
    .into_any()
}

fn one_token(token: ApiToken, has_expired: bool) -> impl IntoView {
    let id = format!("token-{}", token.id);
    let expires = if has_expired { "Expired " } else { "Expires " };
    let used = match token.last_used_at {
        Some(at) => view! {
            "Last used "
            <Time at=format::machine_time(at) />
        }
        .into_any(),
        None => "Never used".into_any(),
    };
    view! {
        <li class="card card-row">
            <div>
                <p class="card-title" id=id.clone()>
                    <bdi>{token.name}</bdi>
                </p>
                <p class="muted">
                    <code>{format!("{}…", token.prefix)}</code>
                    " · "
                    {token.scope.label()}
                </p>
                <p class="muted">
                    {expires} <Time at=format::machine_time(token.expires_at) /> " · " {used}
                </p>
            </div>
            <form method="post" action=format!("/account/tokens/{}/revoke", token.id)>
                <button class="button" data-under-way="Revoking…" aria-describedby=id>
                    "Revoke"
                </button>
            </form>
        </li>
    }
    .into_any()
}

#[component]
fn NewToken(error: Option<AppError>) -> impl IntoView {
    let typed = |name: &str, default: &str| {
        let typed = error.as_ref().and_then(|error| error.typed(name));
        typed.unwrap_or_else(|| default.to_owned())
    };
    let wrong = |name: &str| error.as_ref().and_then(|error| error.field(name));
    let (scope, days) = (
        typed("scope", Scope::Read.as_str()),
        typed("days", &ApiToken::DEFAULT_DAYS.to_string()),
    );
    let scopes = Scope::ALL
        .iter()
        .map(|choice| {
            let value = choice.as_str();
            view! {
                <option value=value selected=value == scope>
                    {choice.label()}
                </option>
            }
        })
        .collect_view();
    let spans = ApiToken::DAYS
        .map(|choice| {
            let value = choice.to_string();
            let selected = value == days;
            view! {
                <option value=value selected=selected>
                    {format!("{choice} days")}
                </option>
            }
        })
        .collect_view();
    view! {
        <details class="disclosure" open=error.is_some()>
            <summary>"Create a token"</summary>
            <form method="post" action="/account/tokens" class="panel">
                <FormError error=error.clone() />
                <TextField
                    id="token-name"
                    name="name"
                    label="Name"
                    autocomplete="off"
                    maxlength=TokenName::MAX_CHARS
                    error=error.as_ref()
                />
                <div class="field">
                    <label for="token-scope">"Scope"</label>
                    <select id="token-scope" name="scope">
                        {scopes}
                    </select>
                    <p class="field-error">{wrong("scope")}</p>
                </div>
                <div class="field">
                    <label for="token-days">"Valid for"</label>
                    <select id="token-days" name="days">
                        {spans}
                    </select>
                    <p class="field-error">{wrong("days")}</p>
                </div>
                <button class="button button-primary" data-under-way="Creating…">
                    "Create token"
                </button>
            </form>
        </details>
    }
    .into_any()
}
