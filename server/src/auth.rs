//! Authentication. One layer in front of every protected route identifies who sends a request and refuses anonymous
//! ones. Handlers receive a [`By`].

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{
        HeaderMap, HeaderValue, Method,
        header::{AUTHORIZATION, COOKIE, REFERER, SET_COOKIE, USER_AGENT, WWW_AUTHENTICATE},
        request::Parts,
    },
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use backend::{
    Viewer,
    accounts::{
        self, Auth, Client, Credentials, HALF_SESSION_MINUTES, Identity, Secret, TOKEN_START,
    },
    hosts::Host,
    openid::Begun,
};
use domain::AuditKind;
use tracing::Span;
use url::{Url, form_urlencoded};

use crate::{
    pages::{accepts_html, function_path},
    peers::Ends,
    problem::{Problem, ProblemKind},
    state::AppState,
    transport::Transport,
};

/// The viewer who sends a request.
#[derive(Debug, Clone)]
pub struct By(pub Viewer);

impl<S: Sync> FromRequestParts<S> for By {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // A route without the layer has no viewer and refuses the request.
        parts
            .extensions
            .get()
            .cloned()
            .ok_or_else(|| Problem::new(ProblemKind::SignInRequired, SIGN_IN))
    }
}

const SIGN_IN: &str = "Sign in, or send an API token: \"Authorization: Bearer bl_…\".";
const INSECURE_TOKEN: &str =
    "API tokens need HTTPS here: anybody on the way could read this one. Revoke it.";
/// For scripts of a page, which show it there.
const SIGNED_OUT: &str = "You are signed out. Reload the page to sign in.";
const INVALID_TOKEN: &str =
    "This API token isn't valid: it may have expired, been revoked or been mistyped.";

/// Lets only signed-in users through, or everybody if sign-in is disabled. For the API: anonymous requests get a 401.
pub async fn require(State(state): State<AppState>, request: Request, next: Next) -> Response {
    pass(&state, request, next)
        .await
        .unwrap_or_else(|refusal| match refusal {
            Refusal::Nobody => unauthorized(
                ProblemKind::SignInRequired,
                SIGN_IN,
                "Bearer realm=\"Batchline\"",
            ),
            Refusal::InvalidToken => invalid_token(),
            Refusal::NoSecondFactor => needs_second_factor(),
            Refusal::Failed(problem) => problem.into_response(),
        })
}

/// Does the same as [`require`] for pages and the targets of their forms: redirects people with a browser to the page
/// for signing in.
pub async fn require_on_page(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let is_person = accepts_html(request.headers());
    let back = match *request.method() {
        Method::GET | Method::HEAD => request.uri().path_and_query().map(ToString::to_string),
        _ => own_referer(&request),
    };
    pass(&state, request, next)
        .await
        .unwrap_or_else(|refusal| match refusal {
            Refusal::Nobody if is_person => {
                let back = back.filter(|back| back != "/");
                Redirect::to(&sign_in_path(back.as_deref())).into_response()
            }
            Refusal::Nobody => signed_out(),
            Refusal::InvalidToken => invalid_token(),
            Refusal::NoSecondFactor if is_person => {
                Redirect::to("/account/second-factor").into_response()
            }
            Refusal::NoSecondFactor => needs_second_factor(),
            Refusal::Failed(problem) => problem.into_response(),
        })
}

/// Why a request is refused.
enum Refusal {
    Nobody,
    InvalidToken,
    /// The user must set up a second factor first.
    NoSecondFactor,
    Failed(Problem),
}

/// What a user may do who has yet to set up the second factor that is required.
const WITHOUT_SECOND_FACTOR: [&str; 4] = [
    "/account/second-factor",
    "/account/second-factor/code",
    "/confirm",
    "/sign-out",
];

fn needs_second_factor() -> Response {
    let sentence = "Set up two-step sign-in on the Account page first. This server requires it.";
    Problem::new(ProblemKind::SecondFactorRequired, sentence).into_response()
}

async fn pass(state: &AppState, mut request: Request, next: Next) -> Result<Response, Refusal> {
    if matches!(state.auth, Auth::SignIn(_))
        && token(request.headers()).is_some()
        && !matches!(
            request.extensions().get(),
            Some(Transport::Local | Transport::Https)
        )
    {
        let problem = Problem::new(ProblemKind::Forbidden, INSECURE_TOKEN);
        return Err(Refusal::Failed(problem));
    }
    match identity(state, request.headers(), request.extensions()).await {
        Ok(Identity::Viewer(viewer)) => {
            if state.sign_in.requires_second_factor
                && !WITHOUT_SECOND_FACTOR.contains(&request.uri().path())
                && accounts::lacks_second_factor(&state.backend, &viewer)
                    .await
                    .map_err(|error| Refusal::Failed(error.into()))?
            {
                return Err(Refusal::NoSecondFactor);
            }
            if let Some(account) = viewer.account() {
                Span::current().record("user", account.user_id.get());
            }
            let by = By(viewer);
            request.extensions_mut().insert(by.clone());
            let mut response = next.run(request).await;
            // For an error page that replaces this response.
            response.extensions_mut().insert(by);
            Ok(response)
        }
        Ok(Identity::Nobody) => Err(Refusal::Nobody),
        Ok(Identity::InvalidToken) => {
            note_invalid_token(state, request.headers(), request.extensions()).await;
            Err(Refusal::InvalidToken)
        }
        Err(error) => Err(Refusal::Failed(error.into())),
    }
}

async fn note_invalid_token(
    state: &AppState,
    headers: &HeaderMap,
    extensions: &axum::http::Extensions,
) {
    if let (Some(token), Some(Ends { client, .. })) = (token(headers), extensions.get())
        && state.audited_refusals.allows(AuditKind::UseToken, *client)
    {
        accounts::note_refused_token(&state.backend, token, Some(*client)).await;
    }
}

/// Authenticates a request with these headers.
pub async fn identity(
    state: &AppState,
    headers: &HeaderMap,
    extensions: &axum::http::Extensions,
) -> backend::Result<Identity> {
    let address = extensions.get().map(|Ends { client, .. }| *client);
    let session = session_secret(headers, extensions);
    let credentials = Credentials {
        token: token(headers),
        session: session.as_deref(),
    };
    state
        .auth
        .identify(&state.backend, credentials, address)
        .await
}

fn unauthorized(kind: ProblemKind, sentence: &str, challenge: &'static str) -> Response {
    let mut response = Problem::new(kind, sentence).into_response();
    let challenge = HeaderValue::from_static(challenge);
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}

/// Returns the response to a script of a page whose session has ended.
pub fn signed_out() -> Response {
    unauthorized(
        ProblemKind::SignInRequired,
        SIGNED_OUT,
        "Bearer realm=\"Batchline\"",
    )
}

fn invalid_token() -> Response {
    unauthorized(
        ProblemKind::InvalidToken,
        INVALID_TOKEN,
        "Bearer realm=\"Batchline\", error=\"invalid_token\"",
    )
}

/// Returns the API token of a request (RFC 6750, section 2.1). Other bearer tokens are meant for a proxy in front of
/// us.
fn token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && token.starts_with(TOKEN_START)).then_some(token)
}

/// The name of the cookie. Browsers accept this prefix only from an HTTPS page, for the exact host and all of its
/// paths.
pub const SECURE_COOKIE: &str = "__Host-session";
/// Pages of this machine come over plain HTTP, where not every browser accepts `Secure` cookies.
const LOOPBACK_COOKIE: &str = "session";

fn is_local(extensions: &axum::http::Extensions) -> bool {
    extensions.get() == Some(&Transport::Local)
}

/// Returns whether cookies other than the session's have the attribute `Secure`: whenever the session's would have it.
pub fn has_secure_cookies(auth: Auth, extensions: &axum::http::Extensions) -> bool {
    match extensions.get() {
        Some(Transport::Local) => false,
        Some(Transport::Https) => true,
        // Without sessions, pages also work over plain HTTP, where browsers drop such cookies.
        Some(Transport::Unknown) | None => matches!(auth, Auth::SignIn(_)),
    }
}

/// Returns the secret of the browser's session.
pub fn session_secret(headers: &HeaderMap, extensions: &axum::http::Extensions) -> Option<String> {
    let name = name_of([SECURE_COOKIE, LOOPBACK_COOKIE], extensions);
    value(name, headers)
}

/// Returns the cookie with the secret of a session, or one that deletes it.
pub fn session_cookie(
    auth: Auth,
    extensions: &axum::http::Extensions,
    secret: Option<&Secret>,
) -> Cookie<'static> {
    let longest = match (secret, auth) {
        (Some(_), Auth::SignIn(lifetimes)) => lifetimes.longest.as_secs(),
        _ => 0,
    };
    let secret = secret.map_or("", Secret::as_str).to_owned();
    let name = name_of([SECURE_COOKIE, LOOPBACK_COOKIE], extensions);
    cookie(name, extensions, secret, longest)
}

/// Returns whether these headers of a response set the cookie of a session.
pub fn sets_session(headers: &HeaderMap) -> bool {
    let cookies = headers.get_all(SET_COOKIE).iter();
    let mut names = cookies.filter_map(|cookie| cookie.to_str().ok()?.split('=').next());
    names.any(|name| [SECURE_COOKIE, LOOPBACK_COOKIE].contains(&name))
}

/// Returns the name of a cookie that is called one or the other elsewhere and on this machine.
fn name_of<'a>([secure, loopback]: [&'a str; 2], extensions: &axum::http::Extensions) -> &'a str {
    match is_local(extensions) {
        true => loopback,
        false => secure,
    }
}

/// Returns a cookie for this host only. Scripts can't read it, and requests from other sites don't include it unless
/// they open a page. `seconds` is its lifetime.
fn cookie(
    name: &str,
    extensions: &axum::http::Extensions,
    value: String,
    seconds: u64,
) -> Cookie<'static> {
    let is_local = is_local(extensions);
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    Cookie::build((name.to_owned(), value))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(!is_local)
        .max_age(time::Duration::seconds(seconds))
        .build()
}

/// The names of the cookies for sign-ins through the OpenID Connect provider. Each is followed by a key.
const BEGUN_COOKIES: [&str; 2] = ["__Host-openid", "openid"];
/// How long somebody may stay on the provider's pages.
const BEGUN_SECONDS: u64 = 20 * 60;

/// Returns the cookie with what the browser has to keep during a sign-in, and others that make room for it.
pub fn begun_cookies(
    headers: &HeaderMap,
    extensions: &axum::http::Extensions,
    begun: &Begun,
) -> CookieJar {
    keep(
        BEGUN_COOKIES,
        headers,
        extensions,
        begun.key(),
        begun.to_text(),
    )
}

/// Returns a cookie that deletes that of a sign-in.
pub fn forgotten_begun(extensions: &axum::http::Extensions, begun: &Begun) -> Cookie<'static> {
    forgotten(BEGUN_COOKIES, extensions, begun.key())
}

/// Returns the sign-in that the browser has started with this `state`.
pub fn begun(
    headers: &HeaderMap,
    extensions: &axum::http::Extensions,
    state: &str,
) -> Option<Begun> {
    let name = keyed_name(BEGUN_COOKIES, extensions, Begun::key_of(state));
    Begun::parse(&value(&name, headers)?)
}

/// Returns the value of a cookie that [`cookie`] has made.
fn value(name: &str, headers: &HeaderMap) -> Option<String> {
    let jar = CookieJar::from_headers(headers);
    jar.get(name).map(|cookie| cookie.value().to_owned())
}

/// The maximum number of cookies that differ only in their keys.
const MAX_KEYS: usize = 5;
/// Their maximum size together, in bytes. Some proxies accept heads of requests of no more than 8 KiB.
const MAX_KEYED_BYTES: usize = 4000;

/// Returns the name of the cookie with this key. A browser may have several, for example one for each tab.
fn keyed_name(names: [&str; 2], extensions: &axum::http::Extensions, key: &str) -> String {
    format!("{}-{key}", name_of(names, extensions))
}

/// Returns the cookie with this key, and others that delete the oldest ones beyond the limits. Browsers send the oldest
/// first (RFC 6265, section 5.4).
fn keep(
    names: [&str; 2],
    headers: &HeaderMap,
    extensions: &axum::http::Extensions,
    key: &str,
    value: String,
) -> CookieJar {
    let start = keyed_name(names, extensions, "");
    let kept = cookie(
        &keyed_name(names, extensions, key),
        extensions,
        value,
        BEGUN_SECONDS,
    );
    let size = |bytes: usize| bytes.max(MAX_KEYED_BYTES / MAX_KEYS);
    let mut room = MAX_KEYED_BYTES.saturating_sub(size(kept.value().len()));
    let sent = headers.get_all(COOKIE).iter();
    let sent = sent.filter_map(|cookies| cookies.to_str().ok());
    let sent: Vec<(&str, usize)> = sent
        .flat_map(|cookies| cookies.split("; "))
        .filter_map(|cookie| Some((cookie.split_once('=')?.0, cookie.len())))
        .filter(|(name, _)| name.starts_with(&start) && *name != kept.name())
        .collect();
    let mut jar = CookieJar::new();
    for (name, bytes) in sent.into_iter().rev() {
        match room.checked_sub(size(bytes)) {
            Some(left) => room = left,
            None => jar = jar.add(cookie(name, extensions, String::new(), 0)),
        }
    }
    jar.add(kept)
}

/// Returns a cookie that deletes the one with this key.
fn forgotten(names: [&str; 2], extensions: &axum::http::Extensions, key: &str) -> Cookie<'static> {
    let name = keyed_name(names, extensions, key);
    cookie(&name, extensions, String::new(), 0)
}

/// The names of the cookies with forms that wait until their sender has confirmed who they are. Each is followed by a
/// key.
const PENDING_FORM_COOKIES: [&str; 2] = ["__Host-form", "form"];

/// Returns the cookie with a form that waits, and others that make room for it.
pub fn pending_form_cookies(
    headers: &HeaderMap,
    extensions: &axum::http::Extensions,
    key: &str,
    form: String,
) -> CookieJar {
    keep(PENDING_FORM_COOKIES, headers, extensions, key, form)
}

/// Returns a cookie that deletes that of a form.
pub fn forgotten_pending_form(extensions: &axum::http::Extensions, key: &str) -> Cookie<'static> {
    forgotten(PENDING_FORM_COOKIES, extensions, key)
}

/// Returns the form that waits in the browser under this key.
pub fn pending_form(
    headers: &HeaderMap,
    extensions: &axum::http::Extensions,
    key: &str,
) -> Option<String> {
    value(&keyed_name(PENDING_FORM_COOKIES, extensions, key), headers)
}

/// The names of the cookie with the secret of a half session.
const HALF_SESSION_COOKIES: [&str; 2] = ["__Host-half-session", "half-session"];

/// Returns the cookie with the secret of a half session, or one that deletes it.
pub fn half_session_cookie(
    extensions: &axum::http::Extensions,
    secret: Option<&Secret>,
) -> Cookie<'static> {
    let (value, minutes) = match secret {
        Some(secret) => (secret.as_str(), HALF_SESSION_MINUTES),
        None => ("", 0),
    };
    let seconds = u64::from(minutes) * 60;
    let name = name_of(HALF_SESSION_COOKIES, extensions);
    cookie(name, extensions, value.to_owned(), seconds)
}

/// Returns the secret of the browser's half session.
pub fn half_session(headers: &HeaderMap, extensions: &axum::http::Extensions) -> Option<String> {
    value(name_of(HALF_SESSION_COOKIES, extensions), headers)
}

/// Describes the client that somebody signs in from.
pub fn client(headers: &HeaderMap, extensions: &axum::http::Extensions) -> Client {
    let agent = headers
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    Client {
        address: extensions.get().map(|Ends { client, .. }| *client),
        user_agent: agent.map(str::to_owned),
    }
}

/// Returns the path of the page for signing in that continues to `next`.
pub fn sign_in_path(next: Option<&str>) -> String {
    match next {
        Some(next) => {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("next", next);
            format!("/sign-in?{}", query.finish())
        }
        None => "/sign-in".to_owned(),
    }
}

/// Returns a path on this site for a redirect. Anything that leads elsewhere becomes the home page.
pub fn local_path(next: &str) -> String {
    let base = Url::parse("http://localhost/").expect("it is a URL");
    let path = Some(next)
        .filter(|next| next.starts_with('/'))
        .and_then(|next| base.join(next).ok())
        .filter(|url| url.origin() == base.origin())
        .map(|url| url[url::Position::BeforePath..].to_owned());
    // A path that begins with two slashes would name a host.
    path.filter(|path| !path.starts_with("//"))
        .unwrap_or_else(|| "/".to_owned())
}

/// Returns the path and query of the page of ours from which a form was posted.
fn own_referer(request: &Request) -> Option<String> {
    let referer = request.headers().get(REFERER)?.to_str().ok()?;
    let page = Url::parse(referer).ok()?;
    let host = request.extensions().get::<Host>()?;
    // A page in response to a form of a server function can't be fetched again.
    let is_page = function_path(page.path()).is_none();
    (is_page && host.is_of_origin(&page.origin().ascii_serialization()))
        .then(|| page[url::Position::BeforePath..url::Position::AfterQuery].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_on_this_site() {
        for here in ["/", "/jobs/7?filter=valid#rows", "/a%2F%2Fb", "/..//x"] {
            assert!(local_path(here).starts_with('/'), "{here}");
            assert!(!local_path(here).starts_with("//"), "{here}");
        }
        assert_eq!(local_path("/jobs/7?q=a b"), "/jobs/7?q=a%20b");
        for elsewhere in [
            "",
            "jobs/7",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "///evil.example",
            "/.//evil.example",
            "https://evil.example",
            "javascript:alert(1)",
        ] {
            assert_eq!(local_path(elsewhere), "/", "{elsewhere:?}");
        }
    }

    #[test]
    fn only_our_tokens_are_recognised() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            token(&headers).map(str::to_owned)
        };
        assert_eq!(of("Bearer bl_abc").as_deref(), Some("bl_abc"));
        assert_eq!(of("bearer  bl_abc").as_deref(), Some("bl_abc"));
        for other in ["Basic YTpi", "Bearer eyJ.x.y", "Bearer", "bl_abc"] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
