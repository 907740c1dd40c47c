//! Requests from pages of other sites, and for host names that aren't ours.

use reqwest::StatusCode;

use crate::harness::{TestApp, raw};

/// Returns a request with these headers for this path.
fn request(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n")
}

fn authority(base: &str) -> &str {
    base.strip_prefix("http://").unwrap()
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let job_id = app.upload(user_id, "id,amount,date\n").await;
    let json = "Content-Type: application/json\r\nContent-Length: 2\r\n";
    let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n";
    let multipart = "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 0\r\n";
    let on_api = [
        ("POST", "/users".to_owned(), json),
        ("PATCH", format!("/users/{user_id}"), json),
        ("DELETE", format!("/users/{user_id}"), ""),
        ("POST", format!("/jobs?user_id={user_id}"), multipart),
        ("POST", "/check".to_owned(), multipart),
        ("POST", format!("/jobs/{job_id}/start"), ""),
        ("DELETE", format!("/jobs/{job_id}"), ""),
        ("PUT", "/nothing".to_owned(), ""),
    ];
    let on_web = [
        ("POST", "/rpc/create-user".to_owned(), form),
        ("POST", "/rpc/delete-user".to_owned(), form),
        ("POST", "/rpc/upload-file".to_owned(), multipart),
        ("POST", format!("/jobs/{job_id}/answers"), form),
        ("POST", "/nothing".to_owned(), form),
    ];
    let below = on_api
        .iter()
        .map(|(method, path, body)| (*method, format!("/api{path}"), *body));
    let on_web: Vec<_> = on_web.into_iter().chain(below).collect();
    for (base, requests) in [(&app.api, &on_api[..]), (&app.web, &on_web[..])] {
        let host = authority(base);
        let foreign = [
            "Sec-Fetch-Site: cross-site".to_owned(),
            "Sec-Fetch-Site: same-site".to_owned(),
            "Origin: https://evil.example".to_owned(),
            "Origin: null".to_owned(),
            "Origin: http://localhost:1".to_owned(),
            format!("Origin: http://{host}.evil.example"),
            format!("Sec-Fetch-Site: cross-site\r\nOrigin: http://{host}"),
        ];
        for (method, path, body) in requests {
            for foreign in &foreign {
                let headers = format!("Host: {host}\r\n{foreign}\r\n{body}");
                let answer = raw(base, request(method, path, &headers)).await;
                assert_eq!(answer.status, 403, "{method} {path} {foreign}: {answer:?}");
                assert_eq!(
                    answer.header("content-type"),
                    Some("application/problem+json")
                );
            }
            for own in [
                "Accept: */*".to_owned(),
                "Sec-Fetch-Site: same-origin".to_owned(),
                "Sec-Fetch-Site: none".to_owned(),
                format!("Origin: http://{host}"),
            ] {
                // Omits the body, because only whether the request is refused matters here.
                let headers = format!("Host: {host}\r\n{own}\r\nContent-Length: 0\r\n");
                let path = path.replace(&user_id.to_string(), "0");
                let path = path.replace(&job_id.to_string(), "0");
                let answer = raw(base, request(method, &path, &headers)).await;
                assert_ne!(answer.status, 403, "{method} {path} {own}: {answer:?}");
            }
        }
        // The server allows reads from anywhere. The browser keeps other pages from seeing the response.
        let headers = format!("Host: {host}\r\nSec-Fetch-Site: cross-site\r\n");
        let answer = raw(base, request("GET", "/health", &headers)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(
        app.get_json(&format!("/jobs/{job_id}")).await["status"],
        "pending"
    );
}

#[tokio::test]
async fn a_page_of_another_origin_opens_no_socket() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (base, prefix) in [(&app.api, ""), (&app.web, "/api")] {
        let host = authority(base);
        let open = async |origin: &str| {
            let request = format!(
                "GET {prefix}/ws/{user_id} HTTP/1.1\r\nHost: {host}\r\n{upgrade}{origin}\r\n"
            );
            raw(base, request).await.status
        };
        for foreign in [
            "https://evil.example",
            "null",
            "http://localhost:1",
            "http://127.0.0.1",
            "",
            "file://",
            &format!("http://{host}/"),
            &format!("http://{host}.evil.example"),
            &format!("ftp://{host}"),
        ] {
            assert_eq!(
                open(&format!("Origin: {foreign}\r\n")).await,
                403,
                "{foreign}"
            );
        }
        assert_eq!(open("").await, 101);
        assert_eq!(open(&format!("Origin: http://{host}\r\n")).await, 101);
        assert_eq!(open(&format!("Origin: https://{host}\r\n")).await, 101);
    }
}

#[tokio::test]
async fn only_our_own_hosts_are_served() {
    let app =
        TestApp::start_set(&[("ALLOWED_HOSTS", "batchline.example.com, *.example.org")]).await;
    let metrics = app.metrics_url().replace("/metrics", "");
    for (base, path) in [
        (&app.api, "/health"),
        (&app.web, "/"),
        (&app.web, "/api/users"),
        (&app.web, "/favicon.svg"),
        (&metrics, "/metrics"),
        (&app.monitoring, "/metrics"),
        (&app.monitoring, "/readyz"),
    ] {
        let status = async |host: &str| {
            let answer = raw(base, request("GET", path, &format!("Host: {host}\r\n"))).await;
            answer.status
        };
        let port = base.rsplit(':').next().unwrap();
        for ours in [
            "localhost",
            "LOCALHOST:1",
            "app.localhost:3000",
            "localhost.",
            "127.0.0.1",
            "127.1.2.3:80",
            "[::1]",
            "[::1]:3000",
            "batchline.example.com",
            "Batchline.Example.Com:443",
            "a.b.example.org",
        ] {
            let found = status(ours).await;
            assert!(![400, 421].contains(&found), "{base}{path} {ours}: {found}");
        }
        for other in [
            "evil.example",
            &format!("evil.example:{port}"),
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "example.org",
            "example.com",
            "10.0.0.1",
            "0.0.0.0",
            "[::]",
            "[2001:db8::1]:80",
        ] {
            assert_eq!(status(other).await, 421, "{base}{path} {other}");
        }
        for malformed in [
            "",
            "a b",
            "ann@localhost",
            "localhost:x",
            "localhost:99999",
            "localhost:1:2",
            "http://localhost",
            "localhost/",
            "[::1",
            "127.1",
            "local%68ost",
            "a..b",
        ] {
            assert_eq!(status(malformed).await, 400, "{base}{path} {malformed}");
        }
        let answer = raw(base, request("GET", path, "")).await;
        assert_eq!(answer.status, 400, "no Host: {answer:?}");
        let twice = "Host: localhost\r\nHost: localhost\r\n";
        let answer = raw(base, request("GET", path, twice)).await;
        assert_eq!(answer.status, 400, "two Hosts: {answer:?}");
    }
    // The host in the URL takes precedence.
    let absolute = request("GET", "http://evil.example/health", "Host: localhost\r\n");
    assert_eq!(raw(&app.api, absolute).await.status, 421);

    let refused = reqwest::Client::new()
        .get(format!("{}/users", app.api))
        .header("host", "evil.example")
        .send()
        .await
        .unwrap();
    crate::harness::problem(refused, StatusCode::MISDIRECTED_REQUEST).await;
}
