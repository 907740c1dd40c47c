//! Headers of every response, and request headers that are simplified before anything reads them.

use axum::{
    extract::Request,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{
            ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
            STRICT_TRANSPORT_SECURITY,
        },
    },
    middleware::Next,
    response::Response,
};

use crate::peers::Ends;

/// Restrictions on what browsers may do with any of our responses.
const ALWAYS: [(&str, &str); 6] = [
    ("x-content-type-options", "nosniff"),
    // Our forms redirect back to the page from which they were posted.
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-frame-options", "DENY"),
    (
        "permissions-policy",
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), hid=(), magnetometer=(), \
         microphone=(), midi=(), payment=(), publickey-credentials-get=(), serial=(), usb=(), xr-spatial-tracking=()",
    ),
];

/// The policy for everything that isn't a page: data that a browser may save, and nothing else.
const NOTHING: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Adds missing headers. Pages have their own policy, and files their own caching.
pub async fn protect(request: Request, next: Next) -> Response {
    let is_https = request
        .extensions()
        .get()
        .is_some_and(|ends: &Ends| ends.is_https);
    let mut response = next.run(request).await;
    let is_unchanged = response.status() == StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    if let Some(kind) = headers.get(CONTENT_TYPE).and_then(in_utf_8) {
        headers.insert(CONTENT_TYPE, kind);
    }
    let mut add = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    for (name, value) in ALWAYS {
        add(HeaderName::from_static(name), value);
    }
    add(CONTENT_SECURITY_POLICY, NOTHING);
    // Over plain HTTP, anybody on the way could have added it (RFC 6797, section 7.2).
    if is_https {
        add(
            STRICT_TRANSPORT_SECURITY,
            "max-age=31536000; includeSubDomains",
        );
    }
    // A 304 must not change how long the browser keeps the file.
    if !is_unchanged {
        add(CACHE_CONTROL, "no-store");
    }
    response
}

/// Returns the media type of a text with its charset, if it lacks one.
fn in_utf_8(kind: &HeaderValue) -> Option<HeaderValue> {
    let kind = kind.to_str().ok()?;
    let is_text = kind.starts_with("text/") || kind == "image/svg+xml";
    (is_text && !kind.contains("charset="))
        .then(|| HeaderValue::try_from(format!("{kind}; charset=utf-8")).ok())
        .flatten()
}

/// Removes encodings that we don't support from `Accept-Encoding`. A client that refuses even an unencoded response
/// (`identity;q=0`) receives one anyway (RFC 9110, section 12.5.3), rather than an error after the request has taken
/// effect.
pub async fn simplify_encodings(mut request: Request, next: Next) -> Response {
    if let Some(encodings) = encodings(request.headers()) {
        request.headers_mut().insert(ACCEPT_ENCODING, encodings);
    } else {
        request.headers_mut().remove(ACCEPT_ENCODING);
    }
    next.run(request).await
}

fn encodings(headers: &HeaderMap) -> Option<HeaderValue> {
    let accepted: Vec<String> = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|encoding| encoding.trim().to_ascii_lowercase())
        .filter(|encoding| {
            let (name, parameters) = encoding.split_once(';').unwrap_or((encoding, ""));
            let quality = parameters.trim().strip_prefix("q=").unwrap_or("1");
            let is_refused = !quality.parse::<f32>().is_ok_and(|quality| quality > 0.0);
            matches!(name.trim_end(), "gzip" | "br" | "*") && !is_refused
        })
        .collect();
    let accepted = accepted.join(", ");
    (!accepted.is_empty())
        .then(|| HeaderValue::try_from(accepted).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_supported_encodings_remain() {
        let left = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, value.parse().unwrap());
            encodings(&headers).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(
            left("gzip, deflate, BR;q=0.5").as_deref(),
            Some("gzip, br;q=0.5")
        );
        assert_eq!(left("*;q=0.1").as_deref(), Some("*;q=0.1"));
        assert_eq!(left("gzip, identity;q=0").as_deref(), Some("gzip"));
        for none in [
            "identity;q=0",
            "*;q=0",
            "identity; q=0.0, gzip;q=0",
            "zstd",
            "",
            "gzip;q=x",
        ] {
            assert_eq!(left(none), None, "{none}");
        }
    }
}
