//! The API's description, and what all of its responses have in common.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{TestApp, expect, problem};

#[tokio::test]
async fn the_api_describes_itself() {
    let app = TestApp::start().await;
    let description = app.get_json("/openapi.json").await;
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    for (path, method) in [
        ("/users", "get"),
        ("/users", "post"),
        ("/users/{user_id}", "get"),
        ("/users/{user_id}", "patch"),
        ("/users/{user_id}", "delete"),
        ("/users/{user_id}/jobs", "get"),
        ("/jobs", "post"),
        ("/jobs/{job_id}", "get"),
        ("/jobs/{job_id}", "delete"),
        ("/jobs/{job_id}/start", "post"),
        ("/jobs/{job_id}/pause", "post"),
        ("/jobs/{job_id}/resume", "post"),
        ("/jobs/{job_id}/cancel", "post"),
        ("/jobs/{job_id}/retry", "post"),
        ("/jobs/{job_id}/results.csv", "get"),
        ("/jobs/{job_id}/transactions", "get"),
    ] {
        assert!(
            description["paths"][path][method].is_object(),
            "{method} {path}"
        );
    }
    assert!(description["components"]["schemas"]["JobProgress"].is_object());

    let docs = app.get("/docs/").await.text().await.unwrap();
    assert!(!docs.contains("https://"), "its files are served by us");
    // Without JavaScript there is a list of the operations, and a link back.
    assert!(
        docs.contains("<code>GET /users/{user_id}</code> Get a user"),
        "{docs}"
    );
    assert!(docs.contains(&format!("href=\"{}/\"", app.web)), "{docs}");
    for file in ["swagger-ui.js", "docs.js", "docs.css", "favicon.svg"] {
        assert!(docs.contains(&format!("/docs/{file}")), "{file}");
        let file = app.get(&format!("/docs/{file}")).await;
        assert_eq!(file.status(), StatusCode::OK);
        assert!(file.content_length().unwrap_or(1000) > 100);
    }
}

#[tokio::test]
async fn every_documented_error_has_a_page() {
    let app = TestApp::start().await;
    let description = app.get_json("/openapi.json").await;
    let components = &description["components"];
    let schema = &components["schemas"]["ProblemKind"]["enum"];
    let kinds: BTreeSet<&str> = schema
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| kind.as_str().unwrap())
        .collect();
    let mut documented = BTreeSet::new();
    for operation in description["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|path| path.as_object().unwrap().values())
    {
        for (status, response) in operation["responses"].as_object().unwrap() {
            if !status.starts_with(['4', '5']) {
                continue;
            }
            let response = match response["$ref"].as_str() {
                Some(_) => &components["responses"][status],
                None => response,
            };
            let examples = &response["content"]["application/problem+json"]["examples"];
            for example in examples.as_object().unwrap().values() {
                assert_eq!(example["value"]["status"].to_string(), *status);
                documented.insert(example["value"]["type"].as_str().unwrap());
            }
        }
    }
    // Problems that no operation returns: unknown addresses, wrong methods, and sockets.
    let others = BTreeSet::from([
        "/problems/method-not-allowed",
        "/problems/no-such-address",
        "/problems/upgrade-required",
    ]);
    assert_eq!(
        kinds
            .difference(&documented)
            .copied()
            .collect::<BTreeSet<_>>(),
        others
    );
    for kind in kinds {
        for address in [&app.api, &app.web] {
            let page = reqwest::get(format!("{address}{kind}")).await.unwrap();
            assert_eq!(page.status(), StatusCode::OK, "{kind}");
            let page = page.text().await.unwrap();
            assert!(page.contains(&format!("<code>{kind}</code>")), "{page}");
        }
    }
    let nothing = app.get("/problems/nothing").await;
    assert_eq!(nothing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_api_is_also_served_below_the_pages() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let web = |path: &str| reqwest::get(format!("{}{path}", app.web));
    let user = expect(
        web(&format!("/api/users/{user_id}")).await.unwrap(),
        StatusCode::OK,
    )
    .await;
    assert_eq!(user["id"], user_id);
    let created = reqwest::Client::new()
        .post(format!("{}/api/users", app.web))
        .json(&json!({"name": "Bob", "email": "bob@example.com"}))
        .send()
        .await
        .unwrap();
    let location = created.headers()["location"].to_str().unwrap();
    assert!(location.starts_with("/api/users/"), "{location}");
    let description = expect(web("/api/openapi.json").await.unwrap(), StatusCode::OK).await;
    assert_eq!(description["servers"][0]["url"], "/api");
    problem(web("/api/nothing").await.unwrap(), StatusCode::NOT_FOUND).await;
    let page = web("/").await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(
        web("/nothing").await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        web("/users/0").await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        web("/jobs/0").await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn every_response_has_an_id_and_every_error_is_a_problem() {
    let app = TestApp::start().await;
    let health = app.get("/health").await;
    assert!(!health.headers()["x-request-id"].is_empty());
    assert_eq!(
        expect(health, StatusCode::OK).await,
        json!({"status": "ok", "postgres": true, "temporal": true})
    );
    problem(app.get("/nothing").await, StatusCode::NOT_FOUND).await;
    for (method, base, path, allowed) in [
        (Method::DELETE, &app.api, "/users", "GET,HEAD,POST"),
        (Method::OPTIONS, &app.api, "/health", "GET,HEAD"),
        (Method::POST, &app.api, "/docs", "GET,HEAD"),
        (Method::POST, &app.api, "/openapi.json", "GET,HEAD"),
        (Method::POST, &app.api, "/favicon.ico", "GET,HEAD"),
        (Method::POST, &app.api, "/ws", "GET,HEAD"),
        (Method::HEAD, &app.web, "/theme", "POST"),
        (Method::DELETE, &app.web, "/api/users", "GET,HEAD,POST"),
        (Method::POST, &app.web, "/api/docs", "GET,HEAD"),
        (Method::POST, &app.web, "/favicon.ico", "GET,HEAD"),
        (Method::PUT, &app.web, "/nothing", "GET,HEAD"),
    ] {
        let what = format!("{method} {path}");
        let request = reqwest::Client::new().request(method.clone(), format!("{base}{path}"));
        let refused = request.send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED, "{what}");
        assert_eq!(refused.headers()["allow"], allowed, "{what}");
        if method != Method::HEAD {
            problem(refused, StatusCode::METHOD_NOT_ALLOWED).await;
        }
    }
    // Only GET opens a WebSocket.
    let head = reqwest::Client::new().head(format!("{}/ws", app.api));
    assert_eq!(
        head.send().await.unwrap().status(),
        StatusCode::UPGRADE_REQUIRED
    );

    // A multipart form without a boundary can't be parsed.
    let form = reqwest::Client::new()
        .post(format!("{}/rpc/upload-file", app.web))
        .header("content-type", "multipart/form-data")
        .send()
        .await
        .unwrap();
    problem(form, StatusCode::UNSUPPORTED_MEDIA_TYPE).await;

    // Internal errors, here from the database, are not shown.
    sqlx::raw_sql("alter table users rename column name to broken")
        .execute(&app.pool)
        .await
        .unwrap();
    let detail = problem(app.get("/users").await, StatusCode::INTERNAL_SERVER_ERROR).await;
    assert!(!detail.contains("column"), "{detail}");
}
