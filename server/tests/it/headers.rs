//! Headers of responses, and odd headers and URLs of requests.

use std::collections::HashSet;

use reqwest::{Client, Response, StatusCode, multipart};
use serde_json::json;

use crate::harness::{SAMPLE, TestApp, expect, problem, raw};

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn every_response_has_security_headers() {
    let app = TestApp::start().await;
    let job = app.process(SAMPLE).await;
    let (user, job) = (
        format!("users/{}", job["user_id"]),
        format!("jobs/{}", job["id"]),
    );
    let pages = ["", "formats", &user, &job, "nothing", "users/0"]
        .map(|path| format!("{}/{path}", app.web));
    let data = [
        "health",
        "users",
        &user,
        &job,
        "nothing",
        "users/x",
        "openapi.json",
    ]
    .map(|path| format!("{}/{path}", app.api))
    .into_iter()
    .chain([
        format!("{}/api/users", app.web),
        format!("{}/{job}/results.csv", app.api),
        format!("{}/{job}/transactions", app.api),
    ]);
    let mut nonces = HashSet::new();
    for url in pages.iter().cloned().chain(data) {
        let response = reqwest::get(&url).await.unwrap();
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("x-frame-options", "DENY"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(header(&response, name), value, "{url} {name}");
        }
        assert!(
            header(&response, "permissions-policy").contains("camera=()"),
            "{url}"
        );
        let policy = header(&response, "content-security-policy").to_owned();
        assert!(policy.contains("default-src 'none'"), "{url}: {policy}");
        for closed in ["frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(closed), "{url}: {policy}");
        }
        let kind = header(&response, "content-type").to_owned();
        assert!(
            !kind.starts_with("text/") || kind.contains("charset=utf-8"),
            "{url}: {kind}"
        );
        assert!(
            !policy.replace("'wasm-unsafe-eval'", "").contains("unsafe"),
            "{url}: {policy}"
        );
        if !pages.contains(&url) {
            continue;
        }
        let (_, nonce) = policy.split_once("'nonce-").unwrap();
        let nonce = nonce.split_once('\'').unwrap().0;
        assert!(nonce.len() >= 22, "{nonce}");
        assert!(nonces.insert(nonce.to_owned()), "used twice: {nonce}");
        let html = response.text().await.unwrap();
        let inline = html.matches("<script").count() + html.matches("<style").count();
        assert_eq!(
            html.matches(&format!("nonce=\"{nonce}\"")).count(),
            inline,
            "{url}"
        );
        assert!(
            !html.contains(" style=\"") && !html.contains(" onclick="),
            "{url}"
        );
    }
    for url in ["docs", "problems", "problems/busy", "problems/nothing"]
        .into_iter()
        .flat_map(|path| [format!("{}/{path}", app.api), format!("{}/{path}", app.web)])
        .map(|url| {
            url.replace(
                &format!("{}/docs", app.web),
                &format!("{}/api/docs", app.web),
            )
        })
    {
        let page = reqwest::get(&url).await.unwrap();
        let policy = header(&page, "content-security-policy");
        assert!(
            policy.contains("script-src 'self'; style-src 'self';"),
            "{url}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{url}: {policy}");
    }
}

#[tokio::test]
async fn each_request_gets_an_id_from_us() {
    let app = TestApp::start().await;
    for given in ["abc", "x\u{7f}", &"x".repeat(20_000)] {
        let request = format!(
            "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {given}\r\nX-Request-Id: second\r\n\
             Connection: close\r\n\r\n"
        );
        let answer = raw(&app.api, request).await;
        if answer.status == 400 {
            continue; // hyper takes no control characters
        }
        let id = answer.header("x-request-id").unwrap();
        assert!(id.len() == 36 && !id.contains('x'), "{id}");
        assert_eq!(answer.head.matches("x-request-id").count(), 1);
    }
}

#[tokio::test]
async fn changes_are_logged_with_the_id_of_their_request() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let job_id = app.upload(user_id, SAMPLE).await;
    for path in [format!("/jobs/{job_id}"), format!("/users/{user_id}")] {
        let request = format!(
            "DELETE {path} HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: theirs-{}\r\nConnection: close\r\n\r\n",
            "x".repeat(1000)
        );
        let answer = raw(&app.api, request).await;
        let id = answer.header("x-request-id").unwrap();
        let line = app
            .logged(&[
                "audit",
                &format!("delete_{}", &path[1..path.find("s/").unwrap()]),
                id,
            ])
            .await;
        assert!(line.contains("caller_id=\"theirs-x"), "{line}");
        assert!(!line.contains(&"x".repeat(65)), "{line}");
        app.logged(&["answered status=204", id]).await;
    }
}

#[tokio::test]
async fn a_client_that_refuses_every_encoding_gets_the_plain_response() {
    let app = TestApp::start().await;
    for (number, encodings) in [
        "identity;q=0",
        "*;q=0",
        "gzip;q=0, identity;q=0",
        "zstd, identity;q=0.0",
    ]
    .iter()
    .enumerate()
    {
        let client = Client::builder().no_proxy().build().unwrap();
        let response = client
            .post(format!("{}/users", app.api))
            .header("accept-encoding", *encodings)
            .json(&json!({"name": "Ann", "email": format!("{number}@example.com")}))
            .send()
            .await
            .unwrap();
        assert_eq!(header(&response, "content-encoding"), "");
        expect(response, StatusCode::CREATED).await;
        let page = client
            .get(format!("{}/", app.web))
            .header("accept-encoding", *encodings);
        assert_eq!(page.send().await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(app.get_json("/users").await.as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn odd_paths_are_not_found() {
    let app = TestApp::start().await;
    for path in [
        format!("/{}", "x".repeat(256)),
        format!("/pkg/{}.css", "x".repeat(252)),
        format!("/{}", "%C3%BC".repeat(128)),
        format!("/{}", "a/".repeat(3000)),
        "/a%00b".to_owned(),
        "/favicon.svg%00".to_owned(),
        "/%FF".to_owned(),
        "/users/%FF".to_owned(),
        "/users/+1".to_owned(),
        "/users/%2B1".to_owned(),
        "/users/01".to_owned(),
        "/users/-0".to_owned(),
        "/jobs/%FF".to_owned(),
        "/jobs/1%20".to_owned(),
        "/..%2f..%2fetc/passwd".to_owned(),
    ] {
        let page = Client::builder().no_proxy().build().unwrap();
        let page = page.get(format!("{}{path}", app.web)).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(
            header(&page, "content-type").starts_with("text/html"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn ids_have_a_single_spelling() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    for id in [
        "+1",
        "%2B1",
        "01",
        "-1",
        "-0",
        "1.0",
        "1e0",
        "0x1",
        "%20",
        "1%20",
        "abc",
        "9223372036854775808",
        "%FF",
        "%D9%A1",
    ] {
        let id = id.replace('1', &user_id.to_string());
        for path in [
            format!("/users/{id}"),
            format!("/users/{id}/jobs"),
            format!("/users/{id}/formats"),
            format!("/users/{user_id}/formats/{id}"),
            format!("/jobs/{id}"),
            format!("/jobs/{id}/transactions"),
            format!("/ws/{id}"),
        ] {
            let detail = problem(app.get(&path).await, StatusCode::UNPROCESSABLE_ENTITY).await;
            assert!(
                detail.contains("must be a whole number"),
                "{path}: {detail}"
            );
        }
        let path = format!("/jobs?user_id={id}");
        let upload = app.post_multipart(&path, multipart::Form::new()).await;
        problem(upload, StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    problem(app.get("/users/0").await, StatusCode::NOT_FOUND).await;
}
