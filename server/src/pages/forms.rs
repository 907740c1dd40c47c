//! The pages' forms, which post to server functions. After a plain post, the browser is redirected to the page it came
//! from. Errors travel there in a cookie that lasts a minute, rather than in the URL, where anybody could write them.

use app::{AppError, Notice, PARTS_HEADER, PostedError, Said, Site, Theme, pages};
use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{FromRequest, Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        header::{CONTENT_TYPE, COOKIE, HOST, LOCATION, REFERER, SET_COOKIE},
    },
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use backend::{accounts::Auth, hosts::Host, uploads};
use domain::{InvalidField, UserId};
use leptos::{prelude::provide_context, server_fn};
use url::Url;

use super::accepts_html;
use crate::{
    auth::{self, By},
    bodies,
    problem::{self, Problem, ProblemKind},
    state::AppState,
};

/// Set by server_fn on the response to a failed call.
const FAILED: HeaderName = HeaderName::from_static(server_fn::error::SERVER_FN_ERROR_HEADER);

const ERROR_COOKIE: &str = "form_error";
/// The cookie with the result of a form.
const NOTICE_COOKIE: &str = "notice";
const THEME_COOKIE: &str = "theme";
/// Browsers accept a cookie with this prefix only from an HTTPS page.
const SECURE_PREFIX: &str = "__Secure-";
/// Browsers keep cookies of up to 4,096 bytes, including name and attributes.
const MAX_COOKIE_BYTES: usize = 3500;

/// The maximum size of an error as JSON, in bytes. No error comes near it.
const MAX_ERROR_BYTES: usize = 1 << 20;

/// Returns this path if a server function has it to which forms post.
pub fn function_path(path: &str) -> Option<&'static str> {
    let mut functions = server_fn::axum::server_fn_paths();
    let (known, _) = functions.find(|(known, method)| *known == path && *method == Method::POST)?;
    Some(known)
}

pub async fn server_function(
    State(state): State<AppState>,
    By(viewer): By,
    mut request: Request,
) -> Response {
    let Some(path) = function_path(request.uri().path()) else {
        return problem::no_such_route().await.into_response();
    };
    // `bodies::limit` has checked that a form with a file has a boundary.
    if !app::takes_files(path) {
        let plain = plain_form(request).await;
        request = match plain {
            Ok(request) => request,
            Err(problem) => return problem.into_response(),
        };
    }
    let is_secure = auth::has_secure_cookies(state.auth, request.extensions());
    let came_from = own_page(&request);
    // server_fn redirects to the URL in this header.
    let headers = request.headers_mut();
    match &came_from {
        Some(page) => {
            let page = HeaderValue::try_from(page.as_str()).expect("a URL is ASCII");
            headers.insert(REFERER, page);
        }
        None => {
            headers.remove(REFERER);
        }
    }
    let is_person = accepts_html(headers);
    let backend = state.backend.clone();
    let _turn = if app::takes_files(path) {
        let back = came_from.clone().filter(|_| is_person);
        let length = bodies::content_length(headers);
        let turn = match state.turns.uploads.take(&viewer).await {
            Ok(turn) => turn,
            Err(busy) => return refuse_upload(path, back, busy, is_secure),
        };
        if let Err(error) = uploads::check_intake(&backend, length).await {
            return refuse_upload(path, back, error, is_secure);
        }
        Some(turn)
    } else {
        None
    };
    let headers = request.headers();
    let site = wanted(&state.site, headers).seen_by(&viewer);
    let said = Said::default();
    let told = said.clone();
    let context = move || {
        provide_context(backend.clone());
        provide_context(viewer.clone());
        provide_context(told.clone());
    };
    let response = leptos_axum::handle_server_fns_with_context(context, request)
        .await
        .into_response();
    let has_failed = has_failed(response.headers());
    match came_from {
        Some(page) if is_person => lead_back(response, &page, said.take(), is_secure),
        None if is_person && has_failed => {
            let error = error_in(response).await.1;
            pages::refused(&site, error.kind.status(), &error.message).into_response()
        }
        _ if has_failed => {
            let (response, error) = error_in(response).await;
            let status = error.kind.status();
            (status, response).into_response()
        }
        _ => response,
    }
}

/// Returns a request whose body has arrived and is a plain form.
async fn plain_form(request: Request) -> Result<Request, Problem> {
    check_form_type(request.headers())?;
    let (parts, body) = request.into_parts();
    // `bodies::limit` limits it.
    let body = to_bytes(body, usize::MAX).await;
    let body = body.map_err(|_| Problem::broken_body())?;
    Ok(Request::from_parts(parts, body.into()))
}

/// Returns the fields of a form. Refuses those with other names.
pub async fn fields(
    request: Request,
    state: &AppState,
    known: &[&str],
) -> Result<Vec<(String, String)>, Problem> {
    check_form_type(request.headers())?;
    let fields = app::form_fields(&Bytes::from_request(request, state).await?)?;
    match fields.iter().find(|(name, _)| !known.contains(&&**name)) {
        Some((name, _)) => Err(InvalidField::unknown_in_form(name).into()),
        None => Ok(fields),
    }
}

/// Refuses an upload before its body is read, so that nobody sends a file in vain. People are redirected to the page with
/// the form, which shows the reason.
fn refuse_upload<E>(path: &str, came_from: Option<Url>, error: E, is_secure: bool) -> Response
where
    Problem: From<E>,
    AppError: From<E>,
{
    let Some(page) = came_from else {
        return Problem::from(error).into_response();
    };
    let error = PostedError::new(path, AppError::from(error).at("file"));
    let mut response = Redirect::to(&page[url::Position::BeforePath..]).into_response();
    let cookie = error_cookie(error, page.path(), is_secure);
    response.headers_mut().append(SET_COOKIE, cookie);
    response
}

/// Commands or deletes several jobs. Redirects to the list from which they were chosen, which shows the result.
pub async fn change_jobs(
    State(state): State<AppState>,
    By(viewer): By,
    request: Request,
) -> Response {
    let is_secure = auth::has_secure_cookies(state.auth, request.extensions());
    let came_from = own_page(&request);
    let fields = match fields(request, &state, &["job", "command", "one", "from"]).await {
        Ok(fields) => fields,
        Err(problem) => return problem.into_response(),
    };
    let notice = pages::change_jobs(&state.backend, &viewer, &fields).await;
    let list = came_from.and_then(|page| {
        let named = fields.iter().find(|(name, _)| name == "from");
        let named = named.and_then(|(_, list)| page.join(list).ok());
        Some(named.unwrap_or_else(|| page.clone()))
            .filter(|list| list.origin() == page.origin() && is_list(list))
    });
    let (path, to) = match &list {
        Some(list) => (list.path(), &list[url::Position::BeforePath..]),
        None => ("/", "/"),
    };
    let mut response = Redirect::to(to).into_response();
    if let Some(notice) = notice {
        let cookie = notice_cookie(notice, path, is_secure);
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// Stores the chosen theme in a cookie. Redirects to the page on which it was chosen.
pub async fn choose_theme(State(state): State<AppState>, request: Request) -> Response {
    let is_secure = auth::has_secure_cookies(state.auth, request.extensions());
    // A page in response to a form of a server function can't be fetched again.
    let page = own_page(&request).filter(|page| function_path(page.path()).is_none());
    let fields = match fields(request, &state, &[THEME_COOKIE]).await {
        Ok(fields) => fields,
        Err(problem) => return problem.into_response(),
    };
    let chosen = fields.iter().find(|(name, _)| name == THEME_COOKIE);
    let theme = chosen.map_or(Theme::System, |(_, chosen)| Theme::parse(chosen));
    let seconds = match theme {
        Theme::System => 0,
        // The longest time for which browsers keep a cookie.
        _ => 400 * 24 * 3600,
    };
    // Lax, so that links from other sites open pages in this theme, too.
    let cookie = format!(
        "{}{THEME_COOKIE}={}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{}",
        prefix(is_secure),
        theme.as_str(),
        secure(is_secure)
    );
    let to = page
        .as_ref()
        .map_or("/", |page| &page[url::Position::BeforePath..]);
    ([(SET_COOKIE, cookie)], Redirect::to(to)).into_response()
}

/// Returns the site with the preferences of the browser that sends these headers.
pub fn wanted(site: &Site, headers: &HeaderMap) -> Site {
    let theme = value_of(headers, THEME_COOKIE).map_or(Theme::System, Theme::parse);
    // Other hosts have already been refused.
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    site.asked_for(theme, notice_of(headers), host.unwrap_or_default())
}

/// Returns the URL, within the site, of the list of jobs that the request came from.
pub fn list_before(request: &Request) -> Option<String> {
    let page = own_page(request).filter(is_list)?;
    Some(page[url::Position::BeforePath..url::Position::AfterQuery].to_owned())
}

/// Returns whether the URL is that of a page with a list of jobs.
fn is_list(page: &Url) -> bool {
    let user_id = page.path().strip_prefix("/users/");
    page.path() == "/" || user_id.is_some_and(|id| id.parse::<UserId>().is_ok())
}

/// Refuses a body that isn't a plain form.
fn check_form_type(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let kind = kind.unwrap_or_default().split(|byte| *byte == b';').next();
    match kind.unwrap_or_default().trim_ascii() {
        kind if kind.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") => Ok(()),
        _ => Err(Problem::new(
            ProblemKind::UnsupportedMediaType,
            "The body must be application/x-www-form-urlencoded.",
        )),
    }
}

/// Returns the page that the request came from, if it is one of ours.
pub(super) fn own_page(request: &Request) -> Option<Url> {
    let referer = request.headers().get(REFERER)?.to_str().ok()?;
    let page = Url::parse(referer).ok()?;
    let host = request.extensions().get::<Host>()?;
    host.is_of_origin(&page.origin().ascii_serialization())
        .then_some(page)
}

/// Redirects to a page of ours. A cookie for that page carries the error or the notice.
fn lead_back(
    mut response: Response,
    page: &Url,
    said: Option<Notice>,
    is_secure: bool,
) -> Response {
    let headers = response.headers_mut();
    let Some(location) = headers.get(LOCATION) else {
        return response;
    };
    let target = location.to_str().ok().and_then(|to| page.join(to).ok());
    let mut target = target
        .filter(|target| target.origin() == page.origin())
        .unwrap_or_else(|| page.join("/").expect("every page has a root"));
    let error = PostedError::take_from(&mut target);
    if error.as_ref().is_some_and(PostedError::is_unconfirmed) {
        // The page that asks who the user is replaces it.
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if target.query() == Some("") {
        // server_fn leaves the question mark behind.
        target.set_query(None);
    }
    let path = &target[url::Position::BeforePath..];
    let location = HeaderValue::try_from(path).expect("a URL is ASCII");
    headers.insert(LOCATION, location);
    if let Some(error) = error {
        headers.append(SET_COOKIE, error_cookie(error, target.path(), is_secure));
    } else if let Some(notice) = said {
        headers.append(SET_COOKIE, notice_cookie(notice, target.path(), is_secure));
    }
    response
}

/// Returns whether these are the headers of a server function's response that reports an error.
pub fn has_failed(headers: &HeaderMap) -> bool {
    headers.contains_key(FAILED)
}

/// Returns the error in a failed function's response, and the response.
async fn error_in(response: Response) -> (Response, AppError) {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, MAX_ERROR_BYTES).await.unwrap_or_default();
    let error = serde_json::from_slice(&body).unwrap_or_else(|_| AppError::internal());
    (Response::from_parts(parts, Body::from(body)), error)
}

/// Returns the error of the form that led to this page.
pub fn error_of(headers: &HeaderMap) -> Option<PostedError> {
    PostedError::from_text(shown(headers, ERROR_COOKIE)?)
}

/// Returns the notice of the form that led to this page.
fn notice_of(headers: &HeaderMap) -> Option<Notice> {
    Notice::from_text(shown(headers, NOTICE_COOKIE)?)
}

/// Returns the value of a one-time cookie. Requests that only update parts of an open page don't consume it.
fn shown<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    if headers.contains_key(PARTS_HEADER) {
        return None;
    }
    value_of(headers, name)
}

/// Returns the value of the cookie with this name. If the browser has a session over HTTPS, only one with the prefix counts,
/// which no other host can set.
fn value_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = || {
        let cookies = headers.get_all(COOKIE).iter();
        let cookies = cookies.filter_map(|cookies| cookies.to_str().ok());
        let cookies = cookies.flat_map(|cookies| cookies.split(';'));
        cookies.filter_map(|cookie| cookie.trim().split_once('='))
    };
    let is_secure = cookies().any(|(name, _)| name == auth::SECURE_COOKIE);
    cookies()
        .find(|(found, _)| match found.strip_prefix(SECURE_PREFIX) {
            Some(found) => found == name,
            None => !is_secure && *found == name,
        })
        .map(|(_, value)| value)
}

/// Deletes the cookies of messages that the page has shown, so that they are shown once.
pub async fn forget_shown(State(auth): State<Auth>, request: Request, next: Next) -> Response {
    let is_secure = auth::has_secure_cookies(auth, request.extensions());
    let is_page = request.method() == Method::GET;
    let path = request.uri().path().to_owned();
    let shown = [ERROR_COOKIE, NOTICE_COOKIE].map(|name| shown(request.headers(), name).is_some());
    let mut response = next.run(request).await;
    for (name, is_shown) in [ERROR_COOKIE, NOTICE_COOKIE].into_iter().zip(shown) {
        if is_page && is_shown {
            let forgotten = cookie(name, "", &path, 0, is_secure);
            response.headers_mut().append(SET_COOKIE, forgotten);
        }
    }
    response
}

/// Redirects to a fragment of the page at this path, which shows the notice.
pub fn redirect_with(
    notice: Notice,
    path: &str,
    fragment: &str,
    has_secure_cookies: bool,
) -> Response {
    let cookie = notice_cookie(notice, path, has_secure_cookies);
    (
        [(SET_COOKIE, cookie)],
        Redirect::to(&format!("{path}{fragment}")),
    )
        .into_response()
}

/// Returns the cookie with the error of a form for the page at this path.
fn error_cookie(error: PostedError, path: &str, is_secure: bool) -> HeaderValue {
    cookie(
        ERROR_COOKIE,
        &error.to_text(MAX_COOKIE_BYTES),
        path,
        60,
        is_secure,
    )
}

/// Returns the cookie with a notice for the page at this path.
fn notice_cookie(notice: Notice, path: &str, is_secure: bool) -> HeaderValue {
    cookie(
        NOTICE_COOKIE,
        &notice.to_text(MAX_COOKIE_BYTES),
        path,
        60,
        is_secure,
    )
}

fn prefix(is_secure: bool) -> &'static str {
    if is_secure { SECURE_PREFIX } else { "" }
}

fn secure(is_secure: bool) -> &'static str {
    if is_secure { "; Secure" } else { "" }
}

/// Returns a cookie for the page at this path.
fn cookie(name: &str, value: &str, path: &str, seconds: u32, is_secure: bool) -> HeaderValue {
    // A semicolon would start another attribute.
    let path = if path.contains(';') { "/" } else { path };
    HeaderValue::try_from(format!(
        "{}{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{}",
        prefix(is_secure),
        secure(is_secure)
    ))
    .expect("its parts are ASCII")
}
