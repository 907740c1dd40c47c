//! Signing in through an OpenID Connect provider. Uses links and redirects rather than forms: browsers apply
//! `form-action` to redirects after a form, and a provider may redirect anywhere.

use std::{net::IpAddr, sync::Arc};

use app::{AppError, ErrorKind, Page, pages};
use axum::{
    Extension,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use axum_extra::extract::cookie::CookieJar;
use backend::{
    Viewer,
    accounts::{self, Identity, SignInAttempt},
    hosts::Host,
    openid::{self, Provider, Refusal},
};
use domain::AuditKind;

use super::{
    PageQuery, RequestState,
    account::{NEEDS_HTTPS, Sender, lifetimes},
    confirm,
};
use crate::{auth, peers::Ends, problem::Problem, state::AppState, transport::Transport};

fn provider(state: &AppState) -> Result<Arc<Provider>, Page> {
    let provider = state.sign_in.provider.clone();
    provider.ok_or_else(|| pages::not_found(&state.site))
}

/// Returns the origin of our pages, to which the provider redirects.
fn origin(from: &Sender) -> String {
    let scheme = match from.transport() {
        Transport::Local => "http",
        Transport::Https | Transport::Unknown => "https",
    };
    let host = from.extensions.get::<Host>();
    host.map(|host| host.origin(scheme)).unwrap_or_default()
}

/// Returns the page for signing in, with the reason why the sign-in failed.
fn refused(state: &AppState, status: StatusCode, next: &str, error: AppError) -> Page {
    let shown = pages::SignIn {
        next,
        error: Some(error),
        ..state.sign_in_page()
    };
    pages::sign_in(&state.site, status, shown)
}

fn refused_by_provider(
    state: &AppState,
    provider: &Provider,
    next: &str,
    refusal: &Refusal,
) -> Page {
    let error = error_of(provider, refusal);
    refused(state, error.kind.status(), next, error)
}

/// Returns the page that refuses a sign-in whose session somebody could read on its way.
fn check_transport(state: &AppState, from: &Sender, next: &str) -> Result<(), Page> {
    match from.transport() {
        Transport::Local | Transport::Https => Ok(()),
        Transport::Unknown => {
            let error = AppError::forbidden(NEEDS_HTTPS);
            Err(refused(state, StatusCode::FORBIDDEN, next, error))
        }
    }
}

/// Refuses a sign-in beyond the limit, and records that in the audit.
async fn too_many(state: &AppState, client: IpAddr, next: &str, problem: Problem) -> Response {
    if state.audited_refusals.allows(AuditKind::SignIn, client) {
        accounts::note_too_many_sign_ins(&state.backend, None, Some(client)).await;
    }
    let error = AppError::unavailable(problem.detail());
    let page = refused(state, problem.status(), next, error);
    problem.with_page(page)
}

fn error_of(provider: &Provider, refusal: &Refusal) -> AppError {
    let kind = match refusal.is_outage() {
        true => ErrorKind::Unavailable,
        false => ErrorKind::Forbidden,
    };
    AppError::new(kind, refusal.sentence(&provider.settings.label))
}

/// Returns the user who is signed in.
async fn viewer(state: &AppState, from: &Sender) -> Option<Viewer> {
    match auth::identity(state, &from.headers, &from.extensions).await {
        Ok(Identity::Viewer(viewer)) => Some(viewer),
        _ => None,
    }
}

/// Redirects to the provider. A signed-in user can confirm there who they are.
pub async fn begin(
    RequestState(state): RequestState,
    from: Sender,
    Extension(Ends { client, .. }): Extension<Ends>,
    PageQuery(query): PageQuery,
) -> Result<Response, Page> {
    lifetimes(&state)?;
    let provider = provider(&state)?;
    let next = auth::local_path(query.get("next"));
    if from.is_from_elsewhere() {
        // A link on another site must not sign anybody in.
        return Ok(Redirect::to(&auth::sign_in_path(Some(&next))).into_response());
    }
    check_transport(&state, &from, &next)?;
    if let Err(problem) = state.sign_in_rate.count_begun(client) {
        return Ok(too_many(&state, client, &next, problem).await);
    }
    let confirms = query.get("confirm") == "yes" && viewer(&state, &from).await.is_some();
    match provider.begin(&origin(&from), &next, confirms).await {
        Ok((url, begun)) => {
            let jar = auth::begun_cookies(&from.headers, &from.extensions, &begun);
            Ok((jar, Redirect::to(url.as_str())).into_response())
        }
        Err(refusal) => Err(refused_by_provider(&state, &provider, &next, &refusal)),
    }
}

/// Handles the provider's redirect back.
pub async fn callback(
    RequestState(state): RequestState,
    from: Sender,
    Extension(Ends { client, .. }): Extension<Ends>,
    PageQuery(query): PageQuery,
) -> Result<Response, Page> {
    let lifetimes = lifetimes(&state)?;
    let provider = provider(&state)?;
    check_transport(&state, &from, "/")?;
    // Each request may send one to the provider and adds to the audit.
    if let Err(problem) = state.sign_in_rate.count_address(client) {
        return Ok(too_many(&state, client, "/", problem).await);
    }
    let begun = auth::begun(&from.headers, &from.extensions, query.get("state"));
    let next = begun.as_ref().map_or("", |begun| begun.next.as_str());
    let next = auth::local_path(next);
    let client = auth::client(&from.headers, &from.extensions);
    let replaced = auth::session_secret(&from.headers, &from.extensions);
    let confirming = match &begun {
        Some(begun) if begun.confirms => viewer(&state, &from).await,
        _ => None,
    };
    let attempt = SignInAttempt {
        origin: &origin(&from),
        begun: begun.as_ref(),
        response: openid::Response {
            code: query.get("code"),
            state: query.get("state"),
            issuer: query.get("iss"),
            error: query.get("error"),
        },
        client: &client,
        replaced: replaced.as_deref(),
        confirming: confirming.as_ref(),
    };
    let forgotten = begun.iter().fold(CookieJar::new(), |jar, begun| {
        jar.add(auth::forgotten_begun(&from.extensions, begun))
    });
    match accounts::sign_in_with(&provider, &state.backend, lifetimes, attempt).await {
        Ok(Ok(session)) => {
            let cookie = auth::session_cookie(state.auth, &from.extensions, Some(&session.secret));
            let jar = forgotten.add(cookie);
            Ok((jar, Redirect::to(&next)).into_response())
        }
        // Somebody who makes the browser request this page must not end the sign-in that it has started.
        Ok(Err(refusal @ Refusal::NotBegunHere)) => {
            Err(refused_by_provider(&state, &provider, &next, &refusal))
        }
        Ok(Err(refusal)) => {
            let page = match &confirming {
                Some(viewer) => {
                    let error = error_of(&provider, &refusal);
                    confirm::refused(&state, viewer, &from, &next, error).await
                }
                None => refused_by_provider(&state, &provider, &next, &refusal),
            };
            Ok((forgotten, page).into_response())
        }
        Err(error) => {
            let error = AppError::from(error);
            let page = refused(&state, error.kind.status(), &next, error);
            Ok((forgotten, page).into_response())
        }
    }
}

/// Returns whether people can sign out at the provider. Returns `false` if it doesn't respond.
pub async fn has_sign_out(state: &AppState) -> bool {
    match &state.sign_in.provider {
        Some(provider) => provider.has_sign_out().await,
        None => false,
    }
}

/// Redirects to the provider's page for signing out.
pub async fn sign_out(RequestState(state): RequestState, from: Sender) -> Result<Redirect, Page> {
    lifetimes(&state)?;
    let provider = provider(&state)?;
    match provider.sign_out(&origin(&from)).await {
        Ok(Some(url)) => Ok(Redirect::to(url.as_str())),
        Ok(None) => Err(pages::not_found(&state.site)),
        Err(refusal) => Err(refused_by_provider(&state, &provider, "/", &refusal)),
    }
}
