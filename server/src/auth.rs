//! Who a request comes from. One layer in front of every route that isn't for everybody finds it out, and refuses the
//! request of nobody; the handlers take a [`By`].

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{
        HeaderMap, HeaderValue, Method,
        header::{AUTHORIZATION, REFERER, USER_AGENT, WWW_AUTHENTICATE},
        request::Parts,
    },
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use backend::{
    Viewer,
    accounts::{Auth, Client, Credentials, Identity, Secret, TOKEN_START},
    hosts::Host,
    openid::Begun,
};
use url::{Url, form_urlencoded};

use crate::{
    pages::accepts_html,
    problem::{Problem, ProblemKind},
    serve::Ends,
    state::AppState,
};

/// Who a request comes from.
#[derive(Debug, Clone)]
pub struct By(pub Viewer);

impl<S: Sync> FromRequestParts<S> for By {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Routes without the layer have no viewer, and refuse the request.
        parts
            .extensions
            .get()
            .cloned()
            .ok_or_else(|| Problem::new(ProblemKind::SignInRequired, SIGN_IN))
    }
}

const SIGN_IN: &str = "Sign in, or send an API token: \"Authorization: Bearer bl_…\".";
/// For a script of a page that shows it.
const SIGNED_OUT: &str = "You are signed out. Reload the page to sign in.";
const INVALID_TOKEN: &str =
    "This API token isn't valid: it may have expired, been revoked or been mistyped.";

/// Lets only those through who have signed in, or everybody where nobody has to. For the API: nobody gets a 401.
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
            Refusal::Failed(problem) => problem.into_response(),
        })
}

/// As [`require`], for pages and what their forms post to: somebody who looks at pages is led to sign in.
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
            Refusal::Nobody => unauthorized(
                ProblemKind::SignInRequired,
                SIGNED_OUT,
                "Bearer realm=\"Batchline\"",
            ),
            Refusal::InvalidToken => invalid_token(),
            Refusal::Failed(problem) => problem.into_response(),
        })
}

/// Why a request isn't let through.
enum Refusal {
    Nobody,
    InvalidToken,
    Failed(Problem),
}

async fn pass(state: &AppState, mut request: Request, next: Next) -> Result<Response, Refusal> {
    match identity(state, request.headers(), request.extensions()).await {
        Ok(Identity::Viewer(viewer)) => {
            let by = By(viewer);
            request.extensions_mut().insert(by.clone());
            let mut response = next.run(request).await;
            // For a page that is shown in place of this answer.
            response.extensions_mut().insert(by);
            Ok(response)
        }
        Ok(Identity::Nobody) => Err(Refusal::Nobody),
        Ok(Identity::InvalidToken) => Err(Refusal::InvalidToken),
        Err(error) => Err(Refusal::Failed(error.into())),
    }
}

/// Who a request with these headers comes from.
pub async fn identity(
    state: &AppState,
    headers: &HeaderMap,
    extensions: &axum::http::Extensions,
) -> backend::Result<Identity> {
    let address = extensions.get().map(|Ends { peer, .. }| peer.ip());
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

fn invalid_token() -> Response {
    unauthorized(
        ProblemKind::InvalidToken,
        INVALID_TOKEN,
        "Bearer realm=\"Batchline\", error=\"invalid_token\"",
    )
}

/// The API token of a request (RFC 6750, 2.1). Other bearer tokens are meant for something in front of us.
fn token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && token.starts_with(TOKEN_START)).then_some(token)
}

/// The cookie's name. Browsers take one that starts so only from an HTTPS page, for this very host and all of it.
const SECURE_COOKIE: &str = "__Host-session";
/// On a loopback address pages come by plain HTTP, where not every browser takes a `Secure` cookie.
const LOOPBACK_COOKIE: &str = "session";

fn is_loopback(extensions: &axum::http::Extensions) -> bool {
    extensions.get::<Host>().is_some_and(Host::is_loopback)
}

/// The secret of the browser's session.
pub fn session_secret(headers: &HeaderMap, extensions: &axum::http::Extensions) -> Option<String> {
    let name = match is_loopback(extensions) {
        true => LOOPBACK_COOKIE,
        false => SECURE_COOKIE,
    };
    let jar = CookieJar::from_headers(headers);
    jar.get(name).map(|cookie| cookie.value().to_owned())
}

/// The cookie with the secret of a session, or one that has the browser forget it.
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
    cookie(
        [SECURE_COOKIE, LOOPBACK_COOKIE],
        extensions,
        secret,
        longest,
    )
}

/// A cookie for this host alone, that no script reads and no request from another site brings, except for one that opens
/// a page. `names` are those on any host and on a loopback address; `seconds` is for how long it is kept.
fn cookie(
    [secure, loopback]: [&'static str; 2],
    extensions: &axum::http::Extensions,
    value: String,
    seconds: u64,
) -> Cookie<'static> {
    let is_loopback = is_loopback(extensions);
    let name = match is_loopback {
        true => loopback,
        false => secure,
    };
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    Cookie::build((name, value))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(!is_loopback)
        .max_age(time::Duration::seconds(seconds))
        .build()
}

/// The cookies of a sign-in that was begun with the OpenID Connect provider.
const BEGUN_COOKIES: [&str; 2] = ["__Host-openid", "openid"];
/// For how long somebody may be at the provider's pages.
const BEGUN_SECONDS: u64 = 20 * 60;

/// The cookie with what the browser has to keep of a sign-in that was begun, or one that has it forget that.
pub fn begun_cookie(extensions: &axum::http::Extensions, begun: Option<&Begun>) -> Cookie<'static> {
    let (value, seconds) = match begun {
        Some(begun) => (begun.to_text(), BEGUN_SECONDS),
        None => (String::new(), 0),
    };
    cookie(BEGUN_COOKIES, extensions, value, seconds)
}

/// What the browser has kept.
pub fn begun(headers: &HeaderMap, extensions: &axum::http::Extensions) -> Option<Begun> {
    let [secure, loopback] = BEGUN_COOKIES;
    let name = match is_loopback(extensions) {
        true => loopback,
        false => secure,
    };
    let jar = CookieJar::from_headers(headers);
    Begun::parse(jar.get(name)?.value())
}

/// Where somebody signs in from.
pub fn client(headers: &HeaderMap, extensions: &axum::http::Extensions) -> Client {
    let agent = headers
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    Client {
        address: extensions.get().map(|Ends { peer, .. }| peer.ip()),
        user_agent: agent.map(str::to_owned),
    }
}

/// The address of the page where somebody signs in, and that leads on to `next`.
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

/// A path of ours, for a redirect. Whatever leads elsewhere is the first page.
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

/// Path and query of the page of ours that a form was posted from.
fn own_referer(request: &Request) -> Option<String> {
    let referer = request.headers().get(REFERER)?.to_str().ok()?;
    let page = Url::parse(referer).ok()?;
    let host = request.extensions().get::<Host>()?;
    host.is_of_origin(&page.origin().ascii_serialization())
        .then(|| page[url::Position::BeforePath..url::Position::AfterQuery].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_here() {
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
    fn tokens_are_ours() {
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
