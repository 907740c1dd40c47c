//! Asks signed-in users who they are, before a change that `backend` refuses with [`backend::Error::Unconfirmed`]. The page
//! has the fields of the form, and posts them to the same path with the password. While somebody is at the OpenID Connect
//! provider, the fields are in a cookie, one for each form.

use app::{
    AppError, Page, Query,
    pages::{self, Confirmation, PendingForm, ProviderLink},
};
use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE, REFERER},
        request::Parts,
    },
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use axum_extra::extract::cookie::CookieJar;
use backend::{
    Viewer,
    accounts::{self, Secret},
};
use domain::{InvalidField, UserId};
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use super::{
    PageQuery, RequestState, accepts_html,
    account::{Sender, lifetimes},
    forms,
};
use crate::{
    auth::{self, By},
    peers::Ends,
    problem::Problem,
    state::AppState,
};

const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// Passes a form on. If the change has to be confirmed first, responds with the page that asks who the user is. Checks
/// the password from that page.
pub async fn ask(
    State(state): State<AppState>,
    By(viewer): By,
    request: Request,
    next: Next,
) -> Response {
    let is_form = request.headers().get(CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.as_bytes().split(|byte| *byte == b';').next();
        kind.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(FORM))
    });
    if viewer.account().is_none() || !accepts_html(request.headers()) {
        return next.run(request).await;
    }
    let came_from = forms::own_page(&request);
    let (mut parts, body) = request.into_parts();
    let body = match is_form {
        // The layer around this one limits it, and responds with 413 or 408 in place of this.
        true => match to_bytes(body, usize::MAX).await {
            Ok(body) => body,
            Err(_) => return Problem::broken_body().into_response(),
        },
        // Such as a form without fields that a program sends.
        false => Bytes::new(),
    };
    let fields = match app::form_fields(&body) {
        Ok(fields) => fields.into_iter(),
        Err(error) => return Problem::from(error).into_response(),
    };
    let (ours, fields): (Vec<_>, Vec<_>) =
        fields.partition(|(name, _)| PendingForm::OWN.contains(&&**name));
    let ours = |wanted| {
        let found = ours.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.as_str())
    };
    let page = match (ours(PendingForm::PAGE), &came_from) {
        (Some(page), _) => auth::local_path(page),
        (None, Some(page)) => page[url::Position::BeforePath..].to_owned(),
        (None, None) => "/".to_owned(),
    };
    let form = PendingForm {
        action: parts.uri.path().to_owned(),
        page,
        fields,
    };
    // Where nobody signs in with a password, an old one doesn't replace the provider.
    let password = ours(PendingForm::PASSWORD).filter(|_| state.sign_in.has_passwords);
    let secret = match password {
        Some(password) => match confirm_with_password(
            &state,
            &viewer,
            &parts,
            password,
            ours(PendingForm::CODE).unwrap_or_default(),
        )
        .await
        {
            Ok(secret) => Some(secret),
            Err(Refused::Limited(problem)) => {
                let error = AppError::unavailable(problem.detail());
                let page = confirm_page(&state, &viewer, &parts, problem.status(), form, error);
                return problem.with_page(page.await);
            }
            Err(Refused::Failed(error)) => {
                let status = error.kind.status();
                let page = confirm_page(&state, &viewer, &parts, status, form, error);
                return page.await.into_response();
            }
        },
        None => None,
    };
    // Handlers see the form as its page sent it.
    let body = match (is_form, ours(PendingForm::PAGE)) {
        (true, Some(_)) => {
            let mut sent = form_urlencoded::Serializer::new(String::new());
            sent.extend_pairs(&form.fields);
            let sent = sent.finish();
            parts.headers.insert(CONTENT_LENGTH, sent.len().into());
            if let Some(referer) = referer_of(&form.page, came_from) {
                parts.headers.insert(REFERER, referer);
            }
            Bytes::from(sent)
        }
        _ => body,
    };
    let request = Request::from_parts(parts.clone(), Body::from(body));
    let mut response = next.run(request).await;
    if response.status() == StatusCode::UNAUTHORIZED {
        response = ask_for(&state, &viewer, &parts, form).await;
    }
    match secret {
        Some(secret) => {
            let cookie = auth::session_cookie(state.auth, &parts.extensions, Some(&secret));
            (CookieJar::new().add(cookie), response).into_response()
        }
        None => response,
    }
}

/// Returns the address of the form's page on this site, from that of the page that asked.
fn referer_of(page: &str, asked: Option<url::Url>) -> Option<HeaderValue> {
    let referer = asked?.join(page).ok()?;
    HeaderValue::try_from(referer.as_str()).ok()
}

/// Asks who the user is, and keeps the form for their way back from the provider.
async fn ask_for(state: &AppState, viewer: &Viewer, parts: &Parts, form: PendingForm) -> Response {
    let mut jar = CookieJar::new();
    if let Some(account) = viewer
        .account()
        .filter(|_| state.sign_in.provider.is_some())
        && let Some(text) = to_text(account.user_id, &form)
    {
        let key = key(&text);
        jar = auth::pending_form_cookies(&parts.headers, &parts.extensions, &key, text);
    }
    let status = StatusCode::UNAUTHORIZED;
    let page = page(state, viewer, &parts.headers, status, form, None).await;
    (jar, page).into_response()
}

async fn confirm_page(
    state: &AppState,
    viewer: &Viewer,
    parts: &Parts,
    status: StatusCode,
    form: PendingForm,
    error: AppError,
) -> Page {
    page(state, viewer, &parts.headers, status, form, Some(error)).await
}

async fn page(
    state: &AppState,
    viewer: &Viewer,
    headers: &HeaderMap,
    status: StatusCode,
    form: PendingForm,
    error: Option<AppError>,
) -> Page {
    let site = forms::wanted(&state.site, headers).seen_by(viewer);
    let ways = match accounts::confirmation_ways(&state.backend, viewer).await {
        Ok(ways) => ways,
        Err(error) => return pages::failure(&site, error.into()),
    };
    let provider = state.sign_in.provider.as_deref().zip(viewer.account());
    let provider = provider.map(|(provider, account)| ProviderLink {
        label: provider.settings.label.clone(),
        path: provider_path(account.user_id, &form),
    });
    let confirmation = Confirmation {
        ways,
        provider,
        error,
    };
    pages::confirm(&site, status, form, confirmation)
}

enum Refused {
    Limited(Problem),
    Failed(AppError),
}

async fn confirm_with_password(
    state: &AppState,
    viewer: &Viewer,
    parts: &Parts,
    password: &str,
    code: &str,
) -> Result<Secret, Refused> {
    if let (Some(account), Some(Ends { client, .. })) = (viewer.account(), parts.extensions.get()) {
        state
            .sign_in_rate
            .count_confirmation(*client, account.user_id)
            .map_err(Refused::Limited)?;
    }
    match accounts::confirm_with_password(&state.backend, viewer, password, code).await {
        Ok(Some(secret)) => Ok(secret),
        Ok(None) => {
            let ways = accounts::confirmation_ways(&state.backend, viewer).await;
            let sentence = match ways {
                Ok(ways) if ways.has_second_factor => "The password or the code isn't right.",
                _ => "That isn't your password.",
            };
            let wrong = InvalidField::new(PendingForm::PASSWORD, sentence);
            Err(Refused::Failed(wrong.into()))
        }
        Err(error) => Err(Refused::Failed(error.into())),
    }
}

/// The page to which users come back from the provider.
pub async fn show(
    RequestState(state): RequestState,
    By(viewer): By,
    from: Sender,
    PageQuery(query): PageQuery,
) -> Result<Response, Page> {
    lifetimes(&state)?;
    let key = query.get(FORM_KEY);
    let Some(form) = pending(&viewer, &from, key) else {
        return Ok(Redirect::to("/account").into_response());
    };
    let site = state.site.seen_by(&viewer);
    let forgotten = auth::forgotten_pending_form(&from.extensions, key);
    let page = pages::confirmed(&site, form);
    Ok((CookieJar::new().add(forgotten), page).into_response())
}

/// Returns the page that asks again, after the provider has not confirmed who the user is. `next` is the path to which they
/// would have come back.
pub(super) async fn refused(
    state: &AppState,
    viewer: &Viewer,
    from: &Sender,
    next: &str,
    error: AppError,
) -> Page {
    let (_, query) = next.split_once('?').unwrap_or_default();
    let form =
        pending(viewer, from, Query::parse(query).get(FORM_KEY)).unwrap_or_else(|| PendingForm {
            action: "/account".to_owned(),
            page: "/account".to_owned(),
            fields: Vec::new(),
        });
    let status = error.kind.status();
    page(state, viewer, &from.headers, status, form, Some(error)).await
}

/// The field of the query of `/confirm` with the key of the form.
const FORM_KEY: &str = "form";

/// Returns the key of a form's cookie: the start of its hash, so that the same form has the same one.
fn key(text: &str) -> String {
    let hash = Sha256::digest(text);
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the path that leads to the provider, and from there back to the form.
fn provider_path(user_id: UserId, form: &PendingForm) -> String {
    let key = to_text(user_id, form).map(|text| key(&text));
    let next = format!("/confirm?{FORM_KEY}={}", key.unwrap_or_default());
    let mut query = form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("confirm", "yes")
        .append_pair("next", &next);
    format!("/sign-in/openid?{}", query.finish())
}

/// Returns the viewer's form that the browser keeps under this key.
fn pending(viewer: &Viewer, from: &Sender, key: &str) -> Option<PendingForm> {
    let text = auth::pending_form(&from.headers, &from.extensions, key)?;
    from_text(viewer.account()?.user_id, &text)
}

/// The names of the cookie's own fields, which precede those of the form.
const OWN: [&str; 3] = ["user", "action", "page"];
/// The maximum size of the cookie, within what browsers keep.
const MAX_COOKIE_BYTES: usize = 3500;

/// Returns the form of this user as text for a cookie, unless it is too long.
fn to_text(user_id: UserId, form: &PendingForm) -> Option<String> {
    let mut text = form_urlencoded::Serializer::new(String::new());
    let own = [&user_id.to_string(), &form.action, &form.page];
    text.extend_pairs(OWN.into_iter().zip(own));
    text.extend_pairs(&form.fields);
    Some(text.finish()).filter(|text| text.len() <= MAX_COOKIE_BYTES)
}

/// Parses the output of [`to_text`]. Returns `None` if the form is another user's.
fn from_text(user_id: UserId, text: &str) -> Option<PendingForm> {
    let mut fields = form_urlencoded::parse(text.as_bytes()).into_owned();
    let mut own = |wanted| {
        let (name, value) = fields.next()?;
        (name == wanted).then_some(value)
    };
    let [user, action, page] = [own(OWN[0])?, own(OWN[1])?, own(OWN[2])?];
    if user != user_id.to_string() {
        return None;
    }
    Some(PendingForm {
        action: auth::local_path(&action),
        page: auth::local_path(&page),
        fields: fields.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_survives_the_cookie() {
        let form = |value: &str| PendingForm {
            action: "/account/tokens".to_owned(),
            page: "/account?after=session".to_owned(),
            fields: vec![
                ("name".to_owned(), value.to_owned()),
                ("action".to_owned(), "x".to_owned()),
            ],
        };
        let (ann, ben) = (UserId::from(1), UserId::from(2));
        let kept = to_text(ann, &form("a=b&c; ä")).unwrap();
        assert_eq!(from_text(ann, &kept), Some(form("a=b&c; ä")));
        assert_eq!(from_text(ben, &kept), None);
        assert_eq!(to_text(ann, &form(&"x".repeat(5000))), None);
        for broken in ["", "!", "user=1", "user=1&page=%2F&action=%2F"] {
            assert_eq!(from_text(ann, broken), None, "{broken}");
        }
        // It leads nowhere else.
        let elsewhere = PendingForm {
            action: "//evil.example".to_owned(),
            ..form("")
        };
        let kept = to_text(ann, &elsewhere).unwrap();
        assert_eq!(from_text(ann, &kept).unwrap().action, "/");
    }
}
