//! The pages' forms, posted by browsers without JavaScript, by scripts, and from other sites.

use std::collections::BTreeMap;

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use reqwest::{
    Client, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, COOKIE, LOCATION, REFERER, SET_COOKIE},
    multipart,
    redirect::Policy,
};

use crate::{
    harness::{SAMPLE, TestApp, problem},
    people::{Accounts, By},
};

const FORM: &str = "application/x-www-form-urlencoded";

fn client() -> Client {
    Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .build()
        .unwrap()
}

/// Posts a form as a browser on this page does.
async fn post(app: &TestApp, function: &str, referer: Option<&str>, body: &str) -> Response {
    let mut request = client()
        .post(format!("{}/rpc/{function}", app.web))
        .header(ACCEPT, "text/html,application/xhtml+xml")
        .header(CONTENT_TYPE, FORM)
        .body(body.to_owned());
    if let Some(referer) = referer {
        request = request.header(REFERER, referer);
    }
    request.send().await.unwrap()
}

fn location(response: &Response) -> &str {
    response.headers()[LOCATION].to_str().unwrap()
}

#[tokio::test]
async fn a_form_redirects_only_to_our_pages() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let wrong = "name=&email=nobody";
    let update = format!("user_id={user_id}&name=Ann&email=ann%40example.com");
    for foreign in [
        "https://evil.example/x",
        "http://evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "/users/1",
        "about:blank",
        "http://localhost:1/users/1",
        &format!("{}.evil.example/", app.web),
        &app.web.replace("http://", "http://evil@evil.example/"),
    ] {
        let failed = post(&app, "create-user", Some(foreign), wrong).await;
        assert_eq!(
            failed.status(),
            StatusCode::UNPROCESSABLE_ENTITY,
            "{foreign}"
        );
        assert!(failed.headers().get(LOCATION).is_none(), "{foreign}");
        assert!(failed.text().await.unwrap().contains("Enter a name."));
        let done = post(&app, "update-user", Some(foreign), &update).await;
        assert_eq!(
            (done.status(), location(&done)),
            (StatusCode::FOUND, "/"),
            "{foreign}"
        );
    }
    let own = format!("{}/users/{user_id}?page=2", app.web);
    let done = post(&app, "update-user", Some(&own), &update).await;
    assert_eq!(location(&done), format!("/users/{user_id}?page=2"));
    let plain = format!("{}/users/{user_id}", app.web);
    let done = post(&app, "update-user", Some(&plain), &update).await;
    assert_eq!(location(&done), format!("/users/{user_id}"));
    // A function that redirects elsewhere still does.
    let done = post(
        &app,
        "delete-user",
        Some(&own),
        &format!("user_id={user_id}"),
    )
    .await;
    assert_eq!(location(&done), "/users");
}

#[tokio::test]
async fn a_form_error_is_shown_once_and_cannot_be_forged() {
    let app = TestApp::start().await;
    let home = format!("{}/users", app.web);
    let failed = post(
        &app,
        "create-user",
        Some(&home),
        "name=Zo%C3%AB&email=nobody",
    )
    .await;
    assert_eq!(
        (failed.status(), location(&failed)),
        (StatusCode::FOUND, "/users")
    );
    let cookie = failed.headers()[SET_COOKIE].to_str().unwrap();
    for attribute in ["Path=/users;", "HttpOnly", "SameSite=Strict", "Max-Age=60"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let cookie = cookie.split(';').next().unwrap();
    let page = client()
        .get(&home)
        .header(COOKIE, cookie)
        .send()
        .await
        .unwrap();
    let forgotten = page.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    assert!(forgotten.contains("Max-Age=0"), "{forgotten}");
    let html = page.text().await.unwrap();
    assert!(html.contains("Enter an email address like"), "{html}");
    assert!(html.contains("Zoë"), "what was typed is there");

    // A long text doesn't make the cookie too long for browsers.
    let body = format!("name={}&email=nobody", "%F0%9F%8E%88".repeat(5000));
    let failed = post(&app, "create-user", Some(&home), &body).await;
    let cookie = failed.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.len() < 4096, "{}", cookie.len());

    // {"kind":"Invalid","message":"Call 555-0100 now","fields":[],"typed":[]} in base64.
    let error = "eyJraW5kIjoiSW52YWxpZCIsIm1lc3NhZ2UiOiJDYWxsIDU1NS0wMTAwIG5vdyIsImZpZWxkcyI6W10sInR5cGVkIjpbXX0=";
    for query in [
        format!("__path=/rpc/create-user&__err={error}"),
        format!("__path=%2Frpc%2Fcreate-user&__err={error}&__err={error}"),
        format!("form_error=path%3D%252Frpc%252Fcreate-user%26error%3D{error}"),
    ] {
        let html = app.page(&format!("/users?{query}")).await;
        assert!(!html.contains("555-0100"), "{query}");
    }
}

#[tokio::test]
async fn client_errors_are_never_internal_errors() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let too_large = "9223372036854775808";
    let id = user_id.to_string();
    for (function, body, status) in [
        ("create-user", String::new(), 422),
        ("create-user", "name=Ann".to_owned(), 422),
        ("create-user", "name=&email=".to_owned(), 422),
        ("create-user", "name[]=a&email[x]=b".to_owned(), 422),
        ("create-user", "%ff=%fe&name=%zz".to_owned(), 422),
        (
            "update-user",
            "user_id=abc&name=a&email=a%40b.co".to_owned(),
            422,
        ),
        (
            "update-user",
            format!("user_id={too_large}&name=a&email=a%40b.co"),
            422,
        ),
        (
            "update-user",
            "user_id=0&name=a&email=a%40b.co".to_owned(),
            404,
        ),
        ("delete-user", String::new(), 422),
        ("delete-user", "user_id=".to_owned(), 422),
        ("delete-user", format!("user_id={too_large}"), 422),
        ("delete-user", "user_id=0".to_owned(), 404),
        ("delete-job", format!("job_id=x&user_id={id}"), 422),
        ("delete-job", format!("job_id=0&user_id={id}"), 404),
        ("command-job", "job_id=1&command=fly".to_owned(), 422),
        ("command-job", "job_id=0&command=start".to_owned(), 404),
        ("create-demo-job", "user_id=-".to_owned(), 422),
        ("create-demo-job", "user_id=0".to_owned(), 404),
        ("import-format", format!("user_id={id}&json=no"), 422),
        ("update-format", format!("user_id={id}&format_id=x"), 422),
    ] {
        let response = client()
            .post(format!("{}/rpc/{function}", app.web))
            .header(CONTENT_TYPE, FORM)
            .body(body.clone())
            .send()
            .await
            .unwrap();
        let (found, text) = (response.status(), response.text().await.unwrap());
        assert_eq!(found.as_u16(), status, "{function} {body}: {text}");
        let error: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(
            error["message"].as_str().unwrap().ends_with(['.', 'd']),
            "{error}"
        );
        // A person is redirected back, or sees a message.
        let home = format!("{}/users", app.web);
        let shown = post(&app, function, Some(&home), &body).await;
        assert_eq!(shown.status(), StatusCode::FOUND, "{function} {body}");
    }
    // Bytes that aren't text, also in a field.
    let body = "name=%ff&email=ann%40example.com";
    let refused = post(&app, "create-user", None, body).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let page = refused.text().await.unwrap().replace("&quot;", "\"");
    assert!(
        page.contains("The field \"name\" isn't UTF-8 text."),
        "{page}"
    );
    let response = client()
        .post(format!("{}/rpc/create-user", app.web))
        .header(CONTENT_TYPE, FORM)
        .body(vec![0xff, 0xfe])
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn server_functions_check_the_media_type() {
    let app = TestApp::start().await;
    for (function, kind) in [
        ("upload-file", "multipart/form-data"),
        ("upload-file", "multipart/form-data; boundary="),
        ("upload-file", "multipart/mixed; boundary=x"),
        ("upload-file", FORM),
        ("upload-file", ""),
        ("create-user", "application/json"),
        ("create-user", "text/plain"),
        ("create-user", "multipart/form-data; boundary=x"),
        ("create-user", ""),
    ] {
        let mut request = client().post(format!("{}/rpc/{function}", app.web));
        if !kind.is_empty() {
            request = request.header(CONTENT_TYPE, kind);
        }
        let response = request.send().await.unwrap();
        problem(response, StatusCode::UNSUPPORTED_MEDIA_TYPE).await;
    }
    let unknown = client()
        .post(format!("{}/rpc/nothing", app.web))
        .send()
        .await;
    problem(unknown.unwrap(), StatusCode::NOT_FOUND).await;
    let got = client()
        .get(format!("{}/rpc/create-user", app.web))
        .send()
        .await;
    problem(got.unwrap(), StatusCode::METHOD_NOT_ALLOWED).await;
    // A person sees a page.
    let page = post(&app, "nothing", None, "").await;
    assert_eq!(page.status(), StatusCode::NOT_FOUND);
    assert!(page.text().await.unwrap().contains("Page not found"));
}

/// A form that responds with a page leaves the browser at the form's own URL. A reload, a link or the choice of a theme
/// then requests that URL.
#[tokio::test]
async fn the_url_of_a_form_redirects_to_the_page_above_it() {
    let app = TestApp::start().await;
    for (form, page) in [
        ("/account/password", "/account"),
        ("/account/tokens", "/account"),
        ("/account/sessions/7/end", "/account"),
        ("/users/1/password-link", "/users/1"),
        ("/jobs/7/answers", "/jobs/7"),
    ] {
        let asked = client().get(format!("{}{form}", app.web)).send().await;
        let asked = asked.unwrap();
        assert_eq!(
            (asked.status(), location(&asked)),
            (StatusCode::SEE_OTHER, page)
        );
    }
}

/// The server functions and their fields.
const FUNCTIONS: [(&str, &[&str]); 11] = [
    ("create-user", &["name", "email"]),
    ("update-user", &["user_id", "name", "email"]),
    (
        "set-quotas",
        &["user_id", "jobs", "bytes", "active_jobs", "retention_days"],
    ),
    ("delete-user", &["user_id"]),
    ("create-demo-job", &["user_id"]),
    ("command-job", &["job_id", "command"]),
    ("delete-job", &["job_id", "user_id"]),
    ("update-format", &["user_id", "format_id", "name", "format"]),
    ("delete-format", &["user_id", "format_id"]),
    ("import-format", &["user_id", "json"]),
    (
        "upload-file",
        &[
            "user_id",
            "format",
            "format_name",
            "corrects",
            "then",
            "file",
        ],
    ),
];

/// Posts a file with these fields around it, `None` being the file.
async fn upload(app: &TestApp, fields: &[Option<(&str, &str)>]) -> Response {
    let mut form = multipart::Form::new();
    for field in fields {
        form = match field {
            Some((name, value)) => form.text((*name).to_owned(), (*value).to_owned()),
            None => form.part(
                "file",
                multipart::Part::bytes(SAMPLE.as_bytes()).file_name("a.csv"),
            ),
        };
    }
    let request = client().post(format!("{}/rpc/upload-file", app.web));
    request.multipart(form).send().await.unwrap()
}

#[tokio::test]
async fn unknown_fields_are_refused_by_name() {
    let accounts = Accounts::start().await;
    let admin = By::from(&accounts.admin);
    const SENTENCE: &str = "This form has no field \"colour\".";
    let functions = FUNCTIONS.iter().filter(|it| it.0 != "upload-file");
    let functions = functions.map(|(function, fields)| (format!("/rpc/{function}"), *fields));
    let pages: [(&str, &[&str]); 9] = [
        ("/sign-in", &["email", "password", "next"]),
        ("/set-password", &["link", "email", "new_password"]),
        (
            "/account/password",
            &["email", "current_password", "new_password", "revoke_tokens"],
        ),
        ("/account/tokens", &["name", "scope", "days"]),
        ("/accounts", &["name", "email"]),
        ("/users/1/role", &["role"]),
        ("/theme", &["theme"]),
        ("/jobs/commands", &["command", "job"]),
        ("/jobs/1/answers", &["decimal"]),
    ];
    let pages = pages.map(|(path, fields)| (path.to_owned(), fields));
    for (path, fields) in functions.chain(pages) {
        let mut fields: Vec<_> = fields.iter().map(|name| (*name, "1")).collect();
        fields.insert(0, ("colour", "red"));
        let refused = accounts.form(&path, &fields, &admin).await;
        let (status, text) = (refused.status(), refused.text().await.unwrap());
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {text}");
        let text = text.replace("&quot;", "\"");
        assert!(text.contains(SENTENCE), "{path}: {text}");
    }

    let app = TestApp::start().await;
    let id = app.user().await.to_string();
    let (user, colour) = (Some(("user_id", &*id)), Some(("colour", "red")));
    for (fields, sentence) in [
        (&[user, colour, None][..], SENTENCE),
        (&[user, None, colour], SENTENCE),
        (
            &[user, None, Some(("format", "{}"))],
            "format must precede the file.",
        ),
        (&[user, user, None], "user_id is given more than once."),
        (&[user, None, None], "file is given more than once."),
    ] {
        let refused = upload(&app, fields).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let error: serde_json::Value = refused.json().await.unwrap();
        assert_eq!(error["message"], sentence, "{fields:?}");
    }
    // Nothing is left of them.
    app.emptied().await;
    let started = upload(&app, &[user, None, Some(("then", "start"))]).await;
    let job_id = started.json::<i64>().await.unwrap();
    assert_eq!(app.finished(job_id).await["status"], "completed");
}

/// Values that a field may not expect, percent-encoded.
const ODD: &[&str] = &[
    "",
    "0",
    "1",
    "-1",
    "9223372036854775807",
    "9223372036854775808",
    "1e9",
    "start",
    "retry",
    "pause",
    "%00",
    "%",
    "%ff",
    "%F0%9F%92%B8",
    "+",
    "a%40example.com",
    "{}",
    "[]",
    "null",
    "%7B%22decimal%22%3A%22.%22%7D",
    "%7B%22name%22%3A%22a%22%2C%22format%22%3A%7B%7D%7D",
    "%7B%22name%22%3A%22%5Cu0000%22%2C%22format%22%3A%7B%7D%7D",
];

/// Generates the text of a field, percent-encoded or not.
fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => prop::sample::select(ODD).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => Just(b"[".repeat(3000)),
    ]
}

/// Generates a form that has most of these fields once, as its content type and body.
fn form(fields: &'static [&'static str]) -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let values = || prop::collection::vec((text(), 0..20u8), fields.len());
    let urlencoded = values().prop_map(move |values| {
        let pair = |(name, (value, odds)): (&&str, (Vec<u8>, u8))| match odds {
            0 => Vec::new(),
            1 => [name.as_bytes(), b"=1&", name.as_bytes(), b"=", &value, b"&"].concat(),
            2 => [name.as_bytes(), b"[a][]=", &value, b"&"].concat(),
            _ => [name.as_bytes(), b"=", &value, b"&"].concat(),
        };
        (FORM, fields.iter().zip(values).flat_map(pair).collect())
    });
    let multipart = values().prop_map(move |values| {
        let part = |(name, (value, odds)): (&&str, (Vec<u8>, u8))| {
            let filename = if *name == "file" || odds == 0 {
                "; filename=\"a.csv\""
            } else {
                ""
            };
            let header = format!(
                "--xyz\r\nContent-Disposition: form-data; name=\"{name}\"{filename}\r\n\r\n"
            );
            let end: &[u8] = if odds == 1 { b"" } else { b"\r\n" };
            [header.as_bytes(), &value, end].concat()
        };
        let mut body: Vec<u8> = fields.iter().zip(values).flat_map(part).collect();
        body.extend_from_slice(b"--xyz--\r\n");
        ("multipart/form-data; boundary=xyz", body)
    });
    let any_bytes = prop::collection::vec(any::<u8>(), 0..100).prop_map(|bytes| (FORM, bytes));
    match fields.contains(&"file") {
        true => prop_oneof![1 => urlencoded, 8 => multipart, 1 => any_bytes].boxed(),
        false => prop_oneof![8 => urlencoded, 1 => multipart, 1 => any_bytes].boxed(),
    }
}

/// A server function accepts or refuses any form, but never fails with an internal error.
#[tokio::test]
async fn server_functions_refuse_what_they_cannot_read() {
    let app = TestApp::start_set(&[("MAX_CHANGES_PER_MINUTE", "0")]).await;
    app.user().await;
    let client = client();
    let mut runner = TestRunner::default();
    // Deletes the user last, because the other functions need one.
    let (last, others): (Vec<_>, Vec<_>) = FUNCTIONS
        .into_iter()
        .partition(|(function, _)| *function == "delete-user");
    for (function, fields) in others.into_iter().chain(last) {
        let forms = form(fields);
        let mut answers = BTreeMap::<_, u32>::new();
        for _ in 0..60 {
            let (kind, body) = forms.new_tree(&mut runner).unwrap().current();
            for accept in ["text/html", "application/json"] {
                let request = client.post(format!("{}/rpc/{function}", app.web));
                let request = request.header(ACCEPT, accept).header(CONTENT_TYPE, kind);
                let response = request.body(body.clone()).send().await.unwrap();
                let status = response.status();
                assert!(
                    !status.is_server_error(),
                    "{function} answers {status} to {kind} {:?}",
                    String::from_utf8_lossy(&body)
                );
                *answers.entry(status.as_u16()).or_default() += 1;
            }
        }
        // Some of the forms have reached the function.
        let reached = answers.keys().any(|status| ![404, 415].contains(status));
        assert!(reached, "{function}: {answers:?}");
    }
}
