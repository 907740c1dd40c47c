//! Requests that are refused because they are too large, too slow or too many.

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::{Client, StatusCode};
use serde_json::json;

use crate::{
    harness::{RawConnection, SAMPLE, TestApp, eventually, expect, generated, problem, raw},
    people::Accounts,
};

fn host(base: &str) -> &str {
    base.strip_prefix("http://").unwrap()
}

/// Begins to post a form. Returns the connection, and the status of the response: 100 if the server waits for the body.
pub async fn begin_form(base: &str, path: &str, headers: &str) -> (RawConnection, u16) {
    let mut connection = RawConnection::open(base).await;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: multipart/form-data; boundary=x\r\n\
         Content-Length: 1000000\r\nExpect: 100-continue\r\n{headers}\r\n",
        host(base)
    );
    connection.send(head).await;
    let response = connection.response().await;
    if response.status == 503 {
        assert_eq!(response.header("retry-after"), Some("2"), "{response:?}");
        assert!(
            response.body.contains("Too many requests of this kind"),
            "{response:?}"
        );
    }
    (connection, response.status)
}

/// Sends a body in pieces until the server stops accepting it. Returns the status of the response.
pub async fn send_endlessly(base: &str, method: &str, path: &str, kind: &str, begin: &str) -> u16 {
    let mut connection = RawConnection::open(base).await;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\nContent-Length: 200000000\r\n\r\n",
        host(base)
    );
    connection.send(head).await;
    connection.send(begin).await;
    connection.send_up_to(8 << 20).await;
    connection.response().await.status
}

#[tokio::test]
async fn large_bodies_are_refused_before_they_are_read() {
    let app = TestApp::start().await;
    let large = json!({"name": "x".repeat(70_000), "email": "a@example.com"});
    problem(
        app.post_json("/users", &large).await,
        StatusCode::PAYLOAD_TOO_LARGE,
    )
    .await;
    // Without a length, the limit applies while the body is read.
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, "x".repeat(1 << 16));
    let mut connection = RawConnection::open(&app.api).await;
    connection
        .send(format!(
            "POST /users HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}",
            host(&app.api)
        ))
        .await;
    assert_eq!(connection.response().await.status, 413);
}

/// The connection would be closed anyway, and the client would lose its next request.
#[tokio::test]
async fn errors_announce_that_an_unread_body_ends_the_connection() {
    let app = TestApp::start().await;
    let host = app.api.strip_prefix("http://").unwrap();
    let form = "Content-Type: multipart/form-data; boundary=x";
    for (path, headers, body, status, is_closed) in [
        ("/jobs?user_id=404", form, "--x", 404, true),
        ("/nowhere", "", "x", 404, true),
        ("/users", "Content-Type: application/json", "{}", 422, false),
        ("/users/404/quotas", "", "", 405, false),
    ] {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n{headers}{}\r\n",
            if headers.is_empty() { "" } else { "\r\n" }
        );
        let response = raw(&app.api, head + body).await;
        assert_eq!(response.status, status, "{path}: {response:?}");
        let connection = response.header("connection");
        assert_eq!(connection == Some("close"), is_closed, "{path}");
    }
}

#[tokio::test]
async fn a_form_that_is_not_an_upload_is_refused_early() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let kind = "multipart/form-data; boundary=xyz";
    let part = |header: &str| format!("--xyz\r\n{header}\r\n\r\n");
    let field = part("Content-Disposition: form-data; name=\"format\"");
    let unknown = part("Content-Disposition: form-data; name=\"unknown\"");
    let endless_header = "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"";
    let many = format!("{unknown}\r\n").repeat(100);
    for (base, path) in [
        (&app.api, format!("/jobs?user_id={user_id}")),
        (&app.api, "/check".to_owned()),
        (&app.web, format!("/api/jobs?user_id={user_id}")),
        (&app.web, "/rpc/upload-file".to_owned()),
    ] {
        for (what, begin) in [
            ("no boundary", ""),
            ("an endless header", endless_header),
            ("an endless field", &field),
            ("an endless unknown field", &unknown),
            ("many parts", &many),
        ] {
            // /check accepts at most 17 MiB in any case.
            let path = path.as_str();
            let status = match path {
                "/check" => {
                    let mut connection = RawConnection::open(base).await;
                    let head = format!(
                        "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\n\
                         Content-Length: 10000000\r\n\r\n{begin}",
                        host(base)
                    );
                    connection.send(head).await;
                    connection.send_up_to(8 << 20).await;
                    connection.response().await.status
                }
                _ => send_endlessly(base, "POST", path, kind, begin).await,
            };
            let expected = match what {
                "an endless unknown field" => 422,
                _ => 413,
            };
            assert_eq!(status, expected, "{path}: {what}");
        }
    }
    assert!(app.stored_files().is_empty());
}

/// Whoever reads a form finds the same boundary as whoever watches its limits.
#[tokio::test]
async fn a_form_has_limits_whatever_its_boundary_looks_like() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let header = "--zz\r\nX: filename\r\n\r\n";
    let long = "x".repeat(71);
    let longest = format!("multipart/form-data; boundary={}", &long[1..]);
    let too_long = format!("multipart/form-data; boundary={long}");
    let quoted = "multipart/form-data; boundary=\"zz;yy\"";
    let in_quotes = "multipart/form-data; a=\"; boundary=zz; \"; boundary=xx";
    for (base, path) in [
        (&app.api, format!("/jobs?user_id={user_id}")),
        (&app.api, "/check".to_owned()),
        (&app.web, "/rpc/upload-file".to_owned()),
    ] {
        for (kind, begin, status) in [
            (&*longest, "", 413),
            (&*too_long, "", 415),
            (quoted, header, 413),
            (in_quotes, header, 413),
            ("multipart/mixed; boundary=zz", header, 415),
        ] {
            let mut connection = RawConnection::open(base).await;
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\n\
                 Content-Length: 10000000\r\n\r\n{begin}",
                host(base)
            );
            connection.send(head).await;
            // A form without a boundary isn't read at all.
            if status == 413 {
                connection.send_up_to(8 << 20).await;
            }
            let refused = connection.response().await;
            assert_eq!(refused.status, status, "{path} {kind}: {refused:?}");
        }
    }
    // An ordinary form with a quoted boundary is read.
    let form = "--zz;yy\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n\
                transaction_id,amount,date\r\n--zz;yy--\r\n";
    let head = format!(
        "POST /jobs?user_id={user_id} HTTP/1.1\r\nHost: {}\r\nContent-Type: {quoted}\r\n\
         Content-Length: {}\r\n\r\n",
        host(&app.api),
        form.len()
    );
    assert_eq!(raw(&app.api, head + form).await.status, 201);
}

#[tokio::test]
async fn an_upload_beyond_the_limit_is_refused_at_once_and_receives_its_response() {
    let app = TestApp::start_set(&[("MAX_UPLOAD_BYTES", "1000000")]).await;
    let user_id = app.user().await;
    for (base, path) in [
        (&app.api, format!("/jobs?user_id={user_id}")),
        (&app.web, "/rpc/upload-file".to_owned()),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: multipart/form-data; boundary=x\r\n\
             Content-Length: 11000000000\r\n\r\n",
            host(base)
        );
        let answer = raw(base, &head).await;
        assert_eq!(answer.status, 413, "{answer:?}");
        // A client that sends a lot before it reads the response still receives it.
        let mut connection = RawConnection::open(base).await;
        connection.send(&head).await;
        connection.send_up_to(64 << 20).await;
        assert_eq!(connection.response().await.status, 413);
        connection.closed().await;
    }
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let app = TestApp::start_set(&[
        ("HEADER_TIMEOUT_SECONDS", "1"),
        ("BODY_TIMEOUT_SECONDS", "1"),
    ])
    .await;
    let user_id = app.user().await;
    for base in [&app.api, &app.web] {
        let host = host(base);
        // No bytes at all, half a head, and nothing after a response.
        let mut idle = RawConnection::open(base).await;
        let mut half = RawConnection::open(base).await;
        half.send(format!("GET /health HTTP/1.1\r\nHost: {host}\r\n"))
            .await;
        let mut kept = RawConnection::open(base).await;
        kept.send(format!("GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await;
        assert_eq!(kept.response().await.status, 200);
        for connection in [&mut idle, &mut half, &mut kept] {
            connection.closed().await;
        }
    }
    let owner =
        format!("--x\r\nContent-Disposition: form-data; name=\"user_id\"\r\n\r\n{user_id}\r\n");
    for (base, path, begin) in [
        (&app.api, format!("/jobs?user_id={user_id}"), ""),
        (&app.web, "/rpc/upload-file".to_owned(), &*owner),
    ] {
        let mut stalled = RawConnection::open(base).await;
        stalled
            .send(format!(
                "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: multipart/form-data; boundary=x\r\n\
                 Content-Length: 1000000\r\n\r\n{begin}--x\r\nContent-Disposition: form-data; name=\"file\"; \
                 filename=\"a.csv\"\r\n\r\nid,amount",
                host(base)
            ))
            .await;
        assert_eq!(stalled.response().await.status, 408);
        stalled.closed().await;
    }
    let mut stalled = RawConnection::open(&app.api).await;
    stalled
        .send(format!(
            "POST /users HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{{",
            host(&app.api)
        ))
        .await;
    assert_eq!(stalled.response().await.status, 408);
    eventually("the file to be removed", async || {
        app.stored_files().is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn clients_that_stop_reading_are_dropped() {
    let app = TestApp::start_set(&[("WRITE_TIMEOUT_SECONDS", "1"), ("MAX_DOWNLOADS", "1")]).await;
    let job = app.process(generated(300_000).0).await;
    let path = format!("/jobs/{}/results.csv", job["id"]);
    let mut stalled = RawConnection::open(&app.api).await;
    stalled
        .send(format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n",
            host(&app.api)
        ))
        .await;
    // The server drops the stalled download by itself.
    eventually("the stalled download to be dropped", async || {
        (app.get(&path).await.status() == StatusCode::OK).then_some(())
    })
    .await;
    drop(stalled);
}

#[tokio::test]
async fn connections_are_limited() {
    let app =
        TestApp::start_set(&[("MAX_CONNECTIONS", "2"), ("HEADER_TIMEOUT_SECONDS", "3")]).await;
    // Each connection waits for its turn, which comes when one of the earlier ones has timed out.
    let began = Instant::now();
    let mut idle = Vec::new();
    for _ in 0..4 {
        idle.push(RawConnection::open(&app.api).await);
    }
    let request = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", host(&app.api));
    assert_eq!(raw(&app.api, request).await.status, 200);
    assert!(
        began.elapsed() > Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    for connection in &mut idle {
        connection.closed().await;
    }
}

#[tokio::test]
async fn connections_from_one_address_are_limited() {
    let app = TestApp::start_set(&[("MAX_CONNECTIONS_PER_ADDRESS", "2")]).await;
    let request = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", host(&app.api));
    let mut open = Vec::new();
    for base in [&app.api, &app.web] {
        let mut connection = RawConnection::open(base).await;
        connection.send(&request).await;
        assert_eq!(connection.response().await.status, 200);
        open.push(connection);
    }
    let http = Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/health", app.api);
    http.get(&url).send().await.unwrap_err();
    drop(open);
    eventually("a connection", async || http.get(&url).send().await.ok()).await;
}

#[tokio::test]
async fn sockets_and_their_messages_are_limited() {
    let app = TestApp::start_set(&[
        ("MAX_SOCKETS_PER_USER", "2"),
        ("MAX_SOCKETS_PER_ADDRESS", "3"),
    ])
    .await;
    let (ann, bob) = (app.user().await, app.user().await);
    let first = app.socket(ann).await;
    let mut second = app.socket(ann).await;
    let upgrade = async |user_id: i64| {
        let request = format!(
            "GET /ws/{user_id} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            host(&app.api)
        );
        raw(&app.api, request).await
    };
    let refused = upgrade(ann).await;
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(refused.header("retry-after").is_some());
    let third = app.socket(bob).await;
    assert_eq!(upgrade(bob).await.status, 429, "one too many from here");
    drop((first, third));
    eventually("the sockets to be counted out", async || {
        (upgrade(ann).await.status == 101).then_some(())
    })
    .await;

    second.send(&"x".repeat(1000)).await;
    second.send("ping").await;
    assert_eq!(second.text().await, "pong");
    second.send(&"x".repeat(2000)).await;
    second.closed().await;
}

#[tokio::test]
async fn searches_and_downloads_take_turns() {
    let app = TestApp::start_set(&[("MAX_DOWNLOADS", "1")]).await;
    let job = app.process(generated(300_000).0).await;
    let path = format!("/jobs/{}/results.csv", job["id"]);
    // The response isn't read, so the download continues.
    let first = app.get(&path).await;
    let second = app.get(&path).await;
    assert!(second.headers().contains_key("retry-after"));
    problem(second, StatusCode::SERVICE_UNAVAILABLE).await;
    drop(first);
    eventually("the next turn", async || {
        (app.get(&path).await.status() == StatusCode::OK).then_some(())
    })
    .await;
    let found = app.rows(&job["id"], "q=Monthly&size=1").await;
    assert!(found.1 > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_search_takes_a_turn() {
    let app = TestApp::start_set(&[("MAX_SEARCHES", "1")]).await;
    let job = app.process(SAMPLE).await;
    let (job_id, user_id) = (&job["id"], &job["user_id"]);
    // Its maintenance would wait, too.
    app.stop_worker();
    // The first search waits for this lock.
    let mut tx = app.pool.begin().await.unwrap();
    sqlx::raw_sql("lock table jobs in access exclusive mode")
        .execute(&mut *tx)
        .await
        .unwrap();
    let first = app.get("/jobs?q=payments");
    let others = async {
        app.waiting("relation", 1).await;
        let operations = [
            "/jobs?q=payments".to_owned(),
            format!("/jobs/{job_id}/transactions?q=payments"),
        ];
        let operations = join_all(operations.iter().map(async |path| {
            let refused = app.get(path).await;
            assert_eq!(refused.headers()["retry-after"], "2", "{path}");
            problem(refused, StatusCode::SERVICE_UNAVAILABLE).await;
        }));
        let pages = [
            "/?q=payments".to_owned(),
            "/find?q=payments".to_owned(),
            "/users?q=ann".to_owned(),
            format!("/users/{user_id}?q=payments"),
            format!("/jobs/{job_id}?q=payments"),
        ];
        let pages = join_all(pages.iter().map(async |path| {
            let refused = app.page_response(path).await;
            assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
            let page = refused.text().await.unwrap();
            assert!(page.contains("Too many requests of this kind"), "{page}");
        }));
        tokio::join!(operations, pages);
        tx.rollback().await.unwrap();
    };
    let (first, ()) = tokio::join!(first, others);
    expect(first, StatusCode::OK).await;
}

#[tokio::test]
async fn every_check_takes_a_turn() {
    let app = TestApp::start_set(&[("MAX_CHECKS", "1")]).await;
    let (first, status) = begin_form(&app.api, "/check", "").await;
    assert_eq!(status, 100);
    let (operation, page_operation) = tokio::join!(
        begin_form(&app.api, "/check", ""),
        begin_form(&app.web, "/api/check", "")
    );
    assert_eq!((operation.1, page_operation.1), (503, 503));
    drop(first);
    eventually("the next turn", async || {
        let (_, status) = begin_form(&app.api, "/check", "").await;
        (status == 100).then_some(())
    })
    .await;
}

#[tokio::test]
async fn nobody_takes_more_than_half_of_the_turns() {
    let accounts = Accounts::start_set(&[("MAX_CHECKS", "3"), ("MAX_UPLOADS", "3")]).await;
    let ann = accounts.member("ann").await;
    let upload = format!("/jobs?user_id={}", ann.id);
    let (api, admin) = (&accounts.app.api, &accounts.admin);
    for path in ["/check", upload.as_str()] {
        let begin = async |session: &str| {
            let cookie = format!("Cookie: session={session}\r\n");
            begin_form(api, path, &cookie).await
        };
        let first = begin(&ann.session).await;
        assert_eq!(first.1, 100, "{path}");
        let (second, of_admin) = tokio::join!(begin(&ann.session), begin(&admin.session));
        assert_eq!((second.1, of_admin.1), (503, 100), "{path}");
        drop(first);
        eventually("the user's next turn", async || {
            (begin(&ann.session).await.1 == 100).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn changes_per_address_can_be_limited() {
    let app = TestApp::start_set(&[("MAX_CHANGES_PER_MINUTE", "3")]).await;
    for number in 0..3 {
        let user = json!({"name": "Ann", "email": format!("{number}@example.com")});
        expect(app.post_json("/users", &user).await, StatusCode::CREATED).await;
    }
    let refused = app.post("/jobs/1/start").await;
    let wait = refused.headers()["retry-after"].to_str().unwrap();
    assert!((1..=60).contains(&wait.parse::<u32>().unwrap()), "{wait}");
    problem(refused, StatusCode::TOO_MANY_REQUESTS).await;
    // Reading still works.
    app.get_json("/users").await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_changes_are_counted_per_client() {
    let http = Client::builder().no_proxy().build().unwrap();
    let refused = async |app: &TestApp, forwarded: &str| {
        let request = http.post(format!("{}/jobs/1/start", app.api));
        let response = request.header("x-forwarded-for", forwarded).send().await;
        response.unwrap().status() == StatusCode::TOO_MANY_REQUESTS
    };
    let one = ("MAX_CHANGES_PER_MINUTE", "1");
    let trusting = TestApp::start_set(&[one, ("TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1")]).await;
    assert!(!refused(&trusting, "198.51.100.1").await);
    assert!(!refused(&trusting, "198.51.100.2, 10.1.2.3").await);
    assert!(refused(&trusting, "198.51.100.1").await);
    // What the client claims doesn't count.
    assert!(refused(&trusting, "198.51.100.9, 198.51.100.2").await);
    let others = TestApp::start_set(&[one]).await;
    assert!(!refused(&others, "198.51.100.1").await);
    assert!(refused(&others, "198.51.100.2").await);
}

#[tokio::test]
async fn slow_statements_are_cancelled() {
    let app = TestApp::start_set(&[("STATEMENT_TIMEOUT_SECONDS", "1")]).await;
    let user_id = app.user().await;
    // Another transaction locks the row.
    let mut tx = app.pool.begin().await.unwrap();
    sqlx::query("select id from users where id = $1 for update")
        .bind(user_id)
        .execute(&mut *tx)
        .await
        .unwrap();
    let change = json!({"name": "Anna"});
    let response = app.patch_json(&format!("/users/{user_id}"), &change).await;
    problem(response, StatusCode::SERVICE_UNAVAILABLE).await;
    tx.rollback().await.unwrap();
    let response = app.patch_json(&format!("/users/{user_id}"), &change).await;
    expect(response, StatusCode::OK).await;
    app.upload(user_id, SAMPLE).await;
}
