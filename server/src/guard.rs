//! Accepts only requests for allowed hosts and from pages of our own origin. One layer on both addresses covers pages,
//! API, server functions and sockets.

use axum::{
    body::Body,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, Response as HttpResponse, StatusCode, Version,
        header::{HOST, ORIGIN, UPGRADE},
        uri::Authority,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use backend::hosts::{AllowedHosts, Host, HostError};
use tower_http::csrf::CsrfLayer;

use crate::{
    peers::Ends,
    problem::{Problem, ProblemKind},
    transport::Transport,
};

/// Refuses methods other than GET, HEAD and OPTIONS from pages of another origin.
pub fn same_origin_changes() -> CsrfLayer<impl Fn(Refusal) -> HttpResponse<Body> + Clone> {
    CsrfLayer::new().with_rejection_response(|_: Refusal| foreign().into_response())
}

type Refusal = tower_http::csrf::ProtectionError;

fn foreign() -> Problem {
    Problem::new(
        ProblemKind::ForeignOrigin,
        "This request comes from a page of another site. Only Batchline's own pages and programs may send it.",
    )
}

/// Refuses requests for other hosts, and sockets that pages of another origin open. Adds the [`Host`] and the
/// [`Transport`] to accepted requests as extensions.
pub async fn check_host(
    State(allowed): State<AllowedHosts>,
    mut request: Request,
    next: Next,
) -> Response {
    let ends = *request
        .extensions()
        .get::<Ends>()
        .expect("every connection says where it is");
    let named = request.headers().get_all(HOST).iter();
    let target = request.uri().authority().map(Authority::as_str);
    match allowed.check(named.map(HeaderValue::as_bytes), target, ends.local.ip()) {
        Ok(host) if opens_foreign_socket(request.headers(), &host) => foreign().into_response(),
        Ok(host) => {
            let transport = Transport::of(&host, &ends, request.headers());
            request.extensions_mut().insert(transport);
            request.extensions_mut().insert(host);
            next.run(request).await
        }
        // Programs from before HTTP/1.1 may omit it; browsers never do.
        Err(HostError::Missing) if request.version() == Version::HTTP_10 => next.run(request).await,
        Err(error) => {
            let status = StatusCode::from_u16(error.status()).expect("it is a status");
            Problem::new(ProblemKind::of(status), error.to_string()).into_response()
        }
    }
}

/// Returns whether a page of another origin opens a socket. Programs send no `Origin`; browsers always do (RFC 6455,
/// section 10.2).
fn opens_foreign_socket(headers: &HeaderMap, host: &Host) -> bool {
    headers.contains_key(UPGRADE)
        && headers.get_all(ORIGIN).iter().any(|origin| {
            !origin
                .to_str()
                .is_ok_and(|origin| host.is_of_origin(origin))
        })
}
