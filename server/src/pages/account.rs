//! Pages and plain forms for signing in and out, for the account, and for the accounts that admins manage. If sign-in
//! is disabled, none of these pages exists.

use std::{marker::PhantomData, str::FromStr};

use app::{AppError, Notice, Page, pages};
use axum::{
    Extension,
    extract::{Path, Request},
    http::{Extensions, HeaderMap, StatusCode, header::ORIGIN},
    response::{IntoResponse, Redirect, Response},
};
use axum_extra::extract::cookie::CookieJar;
use backend::{
    Viewer,
    accounts::{self, Auth, Identity, Lifetimes, SignedIn},
    hosts::Host,
};
use domain::{AuditKind, InvalidField, NewPassword, NewToken};

use super::{PageQuery, RequestState, Seen, forms, openid, second_factor};
use crate::{
    auth::{self, By},
    peers::Ends,
    problem::Problem,
    state::AppState,
    transport::Transport,
};

pub(super) const NEEDS_HTTPS: &str =
    "Signing in needs HTTPS here: the browser would send your password and session in the clear.";

/// The fields of a form. Unknown and repeated fields are refused, and a missing one reads as empty.
pub struct Fields<F> {
    values: Vec<(String, String)>,
    form: PhantomData<F>,
}

/// The names of a form's fields.
pub trait Form {
    const NAMES: &'static [&'static str];
}

macro_rules! form_fields {
    ($($form:ident: $($name:literal),+;)+) => {$(
        pub struct $form;

        impl Form for $form {
            const NAMES: &'static [&'static str] = &[$($name),+];
        }
    )+};
}

// The email address of some forms tells password managers whose password it is.
form_fields! {
    SignIn: "email", "password", "next";
    NewPasswordByLink: "link", "email", "new_password";
    ChangedPassword: "email", "current_password", "code", "new_password", "revoke_tokens";
    Token: "name", "scope", "days";
    Member: "name", "email";
    NewRole: "role";
    SignInCode: "code", "next";
    FirstCode: "code";
}

impl<F> Fields<F> {
    pub(super) fn get(&self, name: &str) -> &str {
        let field = self.values.iter().find(|(field, _)| field == name);
        field.map_or("", |(_, value)| value)
    }
}

impl<F: Form> axum::extract::FromRequest<AppState> for Fields<F> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let values = forms::fields(request, state, F::NAMES).await?;
        for (at, (name, _)) in values.iter().enumerate() {
            if values[..at].iter().any(|(before, _)| before == name) {
                let sentence = format!("{name} is given more than once.");
                return Err(InvalidField::new(name, &sentence).into());
            }
        }
        let form = PhantomData;
        Ok(Self { values, form })
    }
}

/// What a handler needs from a request besides its form.
pub struct Sender {
    pub(super) headers: HeaderMap,
    pub(super) extensions: Extensions,
}

impl axum::extract::FromRequestParts<AppState> for Sender {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        _: &AppState,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self {
            headers: parts.headers.clone(),
            extensions: parts.extensions.clone(),
        })
    }
}

impl Sender {
    /// Returns the origin of our pages as the posting browser sees it.
    fn origin(&self) -> String {
        let origin = self
            .headers
            .get(ORIGIN)
            .and_then(|origin| origin.to_str().ok());
        let host = self.extensions.get::<Host>();
        let ours = origin.filter(|origin| host.is_some_and(|host| host.is_of_origin(origin)));
        ours.unwrap_or_default().to_owned()
    }

    /// Returns whether a page of another site caused the request (<https://www.w3.org/TR/fetch-metadata/>).
    pub(super) fn is_from_elsewhere(&self) -> bool {
        let site = self.headers.get("sec-fetch-site");
        site.is_some_and(|site| site == "cross-site" || site == "same-site")
    }

    /// Returns how the request reached us.
    pub(super) fn transport(&self) -> Transport {
        let transport = self.extensions.get().copied();
        transport.unwrap_or(Transport::Unknown)
    }
}

/// Returns the lifetimes of sessions. Fails with a 404 page if sign-in is disabled.
pub(super) fn lifetimes(state: &AppState) -> Result<Lifetimes, Page> {
    match state.auth {
        Auth::SignIn(lifetimes) => Ok(lifetimes),
        Auth::Open => Err(pages::not_found(&state.site)),
    }
}

/// Does the same as [`lifetimes`] for pages that exist only if people sign in with passwords.
pub(super) fn password_lifetimes(state: &AppState) -> Result<Lifetimes, Page> {
    match state.sign_in.has_passwords {
        true => lifetimes(state),
        false => Err(pages::not_found(&state.site)),
    }
}

pub async fn show_sign_in(
    RequestState(state): RequestState,
    from: Sender,
    PageQuery(query): PageQuery,
) -> Response {
    if let Err(page) = lifetimes(&state) {
        return page.into_response();
    }
    let next = auth::local_path(query.get("next"));
    if let Ok(Identity::Viewer(_)) = auth::identity(&state, &from.headers, &from.extensions).await {
        return Redirect::to(&next).into_response();
    }
    let notice = match query.get("after") {
        "sign-out" => Some("You are signed out."),
        "password" => Some("Your password is set. Sign in with it."),
        _ => None,
    };
    let has_signed_out = query.get("after") == "sign-out";
    let shown = pages::SignIn {
        next: &next,
        notice,
        signs_out_at_provider: has_signed_out && openid::has_sign_out(&state).await,
        ..state.sign_in_page()
    };
    pages::sign_in(&state.site, StatusCode::OK, shown).into_response()
}

/// Responds with 204 as long as the browser's session is one of this user, otherwise with 401. An open page asks that, so
/// that it doesn't outlast its session. Asking doesn't keep the session alive.
pub async fn show_session(
    RequestState(state): RequestState,
    from: Sender,
    Path(id): Path<String>,
) -> Result<Response, Page> {
    lifetimes(&state)?;
    let Ok(user_id) = id.parse() else {
        return Err(pages::not_found(&state.site));
    };
    let secret = auth::session_secret(&from.headers, &from.extensions);
    let lasts = state
        .auth
        .is_session_of(&state.backend, secret.as_deref(), user_id);
    Ok(match lasts.await {
        Ok(true) => StatusCode::NO_CONTENT.into_response(),
        Ok(false) => auth::signed_out(),
        Err(error) => Problem::from(error).into_response(),
    })
}

pub async fn sign_in(
    RequestState(state): RequestState,
    from: Sender,
    Extension(Ends { client, .. }): Extension<Ends>,
    form: Fields<SignIn>,
) -> Result<Response, Page> {
    let lifetimes = password_lifetimes(&state)?;
    let (email, next) = (form.get("email"), auth::local_path(form.get("next")));
    let refused = |status: StatusCode, error: AppError| {
        let error = Some(error.with_typed(&[("email", email)]));
        let shown = pages::SignIn {
            next: &next,
            error,
            ..state.sign_in_page()
        };
        pages::sign_in(&state.site, status, shown)
    };
    if from.transport() == Transport::Unknown {
        let status = StatusCode::FORBIDDEN;
        return Ok(refused(status, AppError::forbidden(NEEDS_HTTPS)).into_response());
    }
    if let Err(problem) = state.sign_in_rate.count(client, email) {
        if state.audited_refusals.allows(AuditKind::SignIn, client) {
            accounts::note_too_many_sign_ins(&state.backend, Some(email), Some(client)).await;
        }
        let page = refused(problem.status(), AppError::forbidden(problem.detail()));
        return Ok(problem.with_page(page));
    }
    let client = auth::client(&from.headers, &from.extensions);
    let replaced = auth::session_secret(&from.headers, &from.extensions);
    let begun = accounts::sign_in(
        &state.backend,
        lifetimes,
        email,
        form.get("password"),
        &client,
        replaced.as_deref(),
    );
    match begun.await {
        Ok(Some(SignedIn::NeedsCode(secret))) => {
            let cookie = auth::half_session_cookie(&from.extensions, Some(&secret));
            let jar = CookieJar::new().add(cookie);
            Ok((jar, Redirect::to(&second_factor::code_path(&next))).into_response())
        }
        Ok(Some(SignedIn::Session(session))) => {
            let cookie = auth::session_cookie(state.auth, &from.extensions, Some(&session.secret));
            let jar = CookieJar::new().add(cookie);
            Ok((jar, Redirect::to(&next)).into_response())
        }
        Ok(None) => {
            let sentence = "The email address or the password isn't right.";
            let error = AppError::forbidden(sentence);
            Ok(refused(StatusCode::UNPROCESSABLE_ENTITY, error).into_response())
        }
        Err(error) => {
            let error = AppError::from(error);
            Ok(refused(error.kind.status(), error).into_response())
        }
    }
}

pub async fn sign_out(
    RequestState(state): RequestState,
    By(viewer): By,
    from: Sender,
) -> Result<Response, Page> {
    lifetimes(&state)?;
    accounts::sign_out(&state.backend, &viewer)
        .await
        .map_err(|error| failed(&state, &viewer, error))?;
    let forgotten = auth::session_cookie(state.auth, &from.extensions, None);
    let jar = CookieJar::new().add(forgotten);
    // Not "cookies", which would include the theme.
    let cleared = [("clear-site-data", "\"cache\", \"storage\"")];
    Ok((jar, cleared, Redirect::to("/sign-in?after=sign-out")).into_response())
}

pub(super) fn failed(state: &AppState, viewer: &Viewer, error: backend::Error) -> Page {
    let error = AppError::from(error);
    let site = state.site.seen_by(viewer);
    pages::refused(&site, error.kind.status(), &error.message)
}

/// Parses an id of a path. Fails with the page for addresses that lead nowhere.
pub(super) fn id_in<T: FromStr>(id: &str, state: &AppState, viewer: &Viewer) -> Result<T, Page> {
    id.parse()
        .map_err(|_| pages::not_found(&state.site.seen_by(viewer)))
}

pub async fn show_set_password(
    RequestState(state): RequestState,
    PageQuery(query): PageQuery,
) -> Result<Page, Page> {
    password_lifetimes(&state)?;
    Ok(pages::set_password(&state.site, &state.backend, query.get("link"), None).await)
}

pub async fn set_password(
    RequestState(state): RequestState,
    from: Sender,
    Extension(Ends { client, .. }): Extension<Ends>,
    form: Fields<NewPasswordByLink>,
) -> Result<Response, Page> {
    password_lifetimes(&state)?;
    if from.transport() == Transport::Unknown {
        return Err(pages::refused(
            &state.site,
            StatusCode::FORBIDDEN,
            NEEDS_HTTPS,
        ));
    }
    let link = form.get("link");
    // Nobody guesses a link, but hashing a password is expensive.
    if let Err(problem) = state.sign_in_rate.count(client, link) {
        if state.audited_refusals.allows(AuditKind::SignIn, client) {
            accounts::note_too_many_sign_ins(&state.backend, None, Some(client)).await;
        }
        return Ok(problem.into_response());
    }
    let client = auth::client(&from.headers, &from.extensions);
    let set = async {
        let new = NewPassword::parse(form.get("new_password"))?;
        accounts::use_link(&state.backend, link, &new, &client).await
    };
    match set.await {
        Ok(()) => Ok(Redirect::to("/sign-in?after=password").into_response()),
        Err(error) => {
            let error = Some(AppError::from(error));
            let page = pages::set_password(&state.site, &state.backend, link, error).await;
            Ok(page.into_response())
        }
    }
}

/// Returns the account's page with the results of its forms.
async fn account_page(
    state: &AppState,
    viewer: &Viewer,
    forms: pages::AccountForms,
) -> Result<Page, Page> {
    let lifetimes = lifetimes(state)?;
    let site = state.site.seen_by(viewer);
    Ok(pages::account(&site, &state.backend, viewer, lifetimes.idle, forms).await)
}

pub async fn show_account(
    RequestState(state): RequestState,
    By(viewer): By,
    PageQuery(query): PageQuery,
) -> Result<Page, Page> {
    let notice = match query.get("after") {
        "password" => Some("Your password is changed. You are signed out everywhere else."),
        "password-and-tokens" => Some(
            "Your password is changed. You are signed out everywhere else, and your API tokens are revoked.",
        ),
        "session" => Some("The session has ended."),
        "sessions" => Some("All other sessions have ended."),
        "second-factor-off" => Some("Two-step sign-in is off. You are signed out everywhere else."),
        "revoke" => Some("The token is revoked."),
        _ => None,
    };
    let forms = pages::AccountForms {
        notice,
        ..Default::default()
    };
    account_page(&state, &viewer, forms).await
}

pub async fn change_password(
    RequestState(state): RequestState,
    By(viewer): By,
    from: Sender,
    form: Fields<ChangedPassword>,
) -> Result<Response, Page> {
    password_lifetimes(&state)?;
    let revokes_tokens = form.get("revoke_tokens") == "yes";
    let refused = async |error: AppError| {
        let forms = pages::AccountForms {
            password_error: Some(error),
            ..Default::default()
        };
        account_page(&state, &viewer, forms).await
    };
    // Somebody with a stolen session must not find out the password by trying.
    if let Some(account) = viewer.account()
        && let Err(problem) = state.sign_in_rate.count_password_change(account.user_id)
    {
        let mut page = refused(AppError::unavailable(problem.detail())).await?;
        page.status = problem.status();
        return Ok(problem.with_page(page));
    }
    let changed = async {
        let new = NewPassword::parse(form.get("new_password"))?;
        let current = form.get("current_password");
        let code = form.get("code");
        let changed =
            accounts::change_password(&state.backend, &viewer, current, code, &new, revokes_tokens);
        changed.await
    };
    match changed.await {
        Ok(secret) => {
            let cookie = auth::session_cookie(state.auth, &from.extensions, Some(&secret));
            let jar = CookieJar::new().add(cookie);
            let page = match revokes_tokens {
                true => "/account?after=password-and-tokens",
                false => "/account?after=password",
            };
            Ok((jar, Redirect::to(page)).into_response())
        }
        Err(error) => Ok(refused(error.into()).await?.into_response()),
    }
}

pub async fn end_session(
    RequestState(state): RequestState,
    By(viewer): By,
    Path(id): Path<String>,
) -> Result<Redirect, Page> {
    lifetimes(&state)?;
    let session_id = id_in(&id, &state, &viewer)?;
    accounts::end_session(&state.backend, &viewer, session_id)
        .await
        .map_err(|error| failed(&state, &viewer, error))?;
    Ok(Redirect::to("/account?after=session"))
}

pub async fn end_other_sessions(
    RequestState(state): RequestState,
    By(viewer): By,
) -> Result<Redirect, Page> {
    lifetimes(&state)?;
    accounts::end_other_sessions(&state.backend, &viewer)
        .await
        .map_err(|error| failed(&state, &viewer, error))?;
    Ok(Redirect::to("/account?after=sessions"))
}

pub async fn create_token(
    RequestState(state): RequestState,
    By(viewer): By,
    form: Fields<Token>,
) -> Result<Response, Page> {
    lifetimes(&state)?;
    let (name, scope, days) = (form.get("name"), form.get("scope"), form.get("days"));
    let created = async {
        let new = NewToken::parse(name, scope, days).map_err(AppError::invalid)?;
        Ok::<_, AppError>(accounts::create_token(&state.backend, &viewer, &new).await?)
    };
    let (status, forms) = match created.await {
        Ok((token, secret)) => {
            let forms = pages::AccountForms {
                new_token: Some((token, secret.as_str().to_owned())),
                ..Default::default()
            };
            (Some(StatusCode::CREATED), forms)
        }
        Err(error) => {
            let typed = [("name", name), ("scope", scope), ("days", days)];
            let forms = pages::AccountForms {
                token_error: Some(error.with_typed(&typed)),
                ..Default::default()
            };
            (None, forms)
        }
    };
    let mut page = account_page(&state, &viewer, forms).await?;
    if let Some(status) = status.filter(|_| page.status == StatusCode::OK) {
        page.status = status;
    }
    Ok(page.into_response())
}

pub async fn revoke_token(
    RequestState(state): RequestState,
    By(viewer): By,
    Path(id): Path<String>,
) -> Result<Redirect, Page> {
    lifetimes(&state)?;
    let token_id = id_in(&id, &state, &viewer)?;
    accounts::revoke_token(&state.backend, &viewer, token_id)
        .await
        .map_err(|error| failed(&state, &viewer, error))?;
    Ok(Redirect::to("/account?after=revoke"))
}

pub async fn show_members(
    RequestState(state): RequestState,
    Seen { site, viewer }: Seen,
    PageQuery(query): PageQuery,
) -> Result<Page, Page> {
    lifetimes(&state)?;
    Ok(pages::members(&site, &state.backend, &viewer, &query, None).await)
}

pub async fn create_member(
    RequestState(state): RequestState,
    Seen { site, viewer }: Seen,
    from: Sender,
    form: Fields<Member>,
) -> Result<Page, Page> {
    lifetimes(&state)?;
    let (name, email) = (form.get("name"), form.get("email"));
    Ok(pages::create_member(&site, &state.backend, &viewer, &from.origin(), name, email).await)
}

pub async fn create_password_link(
    RequestState(state): RequestState,
    Seen { site, viewer }: Seen,
    from: Sender,
    Path(id): Path<String>,
) -> Result<Page, Page> {
    password_lifetimes(&state)?;
    Ok(pages::password_link(&site, &state.backend, &viewer, &from.origin(), &id).await)
}

pub async fn forget_provider(
    RequestState(state): RequestState,
    By(viewer): By,
    Path(id): Path<String>,
) -> Result<Redirect, Page> {
    lifetimes(&state)?;
    let user_id = id_in(&id, &state, &viewer)?;
    accounts::forget_provider(&state.backend, &viewer, user_id)
        .await
        .map_err(|error| failed(&state, &viewer, error))?;
    Ok(Redirect::to(&format!("/users/{user_id}#sign-in")))
}

pub async fn end_access(
    RequestState(state): RequestState,
    By(viewer): By,
    from: Sender,
    Path(id): Path<String>,
) -> Result<Response, Page> {
    lifetimes(&state)?;
    let user_id = id_in(&id, &state, &viewer)?;
    accounts::sign_out_everywhere(&state.backend, &viewer, user_id)
        .await
        .map_err(|error| failed(&state, &viewer, error))?;
    let notice =
        Notice::new("The user is signed out everywhere, and their API tokens are revoked.");
    let user = format!("/users/{user_id}");
    Ok(back_to_sign_in_of(&user, notice, &state, &from))
}

/// Redirects to how a user signs in, on the page of the user at this path.
pub(super) fn back_to_sign_in_of(
    user: &str,
    notice: Notice,
    state: &AppState,
    from: &Sender,
) -> Response {
    let is_secure = auth::has_secure_cookies(state.auth, &from.extensions);
    forms::redirect_with(notice, user, "#sign-in", is_secure)
}

pub async fn lock(
    RequestState(state): RequestState,
    Seen { site, viewer }: Seen,
    from: Sender,
    Path(id): Path<String>,
) -> Result<Response, Page> {
    lifetimes(&state)?;
    let user = pages::lock_user(&site, &state.backend, &viewer, &id).await?;
    let notice = Notice::new("The user is locked.");
    Ok(back_to_sign_in_of(&user, notice, &state, &from))
}

pub async fn unlock(
    RequestState(state): RequestState,
    Seen { site, viewer }: Seen,
    from: Sender,
    Path(id): Path<String>,
) -> Result<Response, Page> {
    lifetimes(&state)?;
    let user = pages::unlock_user(&site, &state.backend, &viewer, &id).await?;
    let notice = Notice::new("The user can sign in again.");
    Ok(back_to_sign_in_of(&user, notice, &state, &from))
}

pub async fn set_role(
    RequestState(state): RequestState,
    Seen { site, viewer }: Seen,
    Path(id): Path<String>,
    form: Fields<NewRole>,
) -> Result<Redirect, Page> {
    lifetimes(&state)?;
    let user = pages::set_role(&site, &state.backend, &viewer, &id, form.get("role")).await?;
    Ok(Redirect::to(&format!("{user}#sign-in")))
}

pub async fn show_audit(
    RequestState(state): RequestState,
    Seen { site, viewer }: Seen,
    PageQuery(query): PageQuery,
) -> Result<Page, Page> {
    lifetimes(&state)?;
    Ok(pages::audit(&site, &state.backend, &viewer, &query).await)
}
