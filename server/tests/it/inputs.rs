//! Parameters, bodies and names that can't be accepted, and pages of lists.

use reqwest::{StatusCode, multipart};
use serde_json::{Value, json};

use crate::harness::{RawConnection, SAMPLE, TestApp, eventually, expect, problem, raw};

const UNPROCESSABLE: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

/// Checks that a sentence contains none of the parsers' terms, which people should never see.
fn is_plain(sentence: &str) -> bool {
    [
        "serde",
        "deserialize",
        "invalid type",
        "ParseInt",
        "invalid digit",
        "expected",
        "EOF",
        "ailed to",
        "did not",
        "incomplete",
        "payload",
        "`",
    ]
    .iter()
    .all(|word| !sentence.contains(word))
}

#[tokio::test]
async fn unknown_and_wrong_parameters_are_refused_by_name() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let job_id = app.upload(user_id, SAMPLE).await;
    let rows = format!("/jobs/{job_id}/transactions");
    for (path, field, sentence) in [
        (
            format!("{rows}?page=-1"),
            "page",
            "page must be a whole number from 1 to 4294967295.",
        ),
        (
            format!("{rows}?page=abc"),
            "page",
            "page must be a whole number from 1",
        ),
        (
            format!("{rows}?page="),
            "page",
            "page must be a whole number from 1",
        ),
        (
            format!("{rows}?page=%2B1"),
            "page",
            "page must be a whole number from 1",
        ),
        (
            format!("{rows}?page=99999999999999999999"),
            "page",
            "page must be a whole number from 1",
        ),
        (
            format!("{rows}?size=0"),
            "size",
            "size must be a whole number from 1 to 1000.",
        ),
        (
            format!("{rows}?size=1.5"),
            "size",
            "size must be a whole number from 1 to 1000.",
        ),
        (
            format!("{rows}?row=x"),
            "row",
            "row must be a whole number from 1",
        ),
        (
            format!("{rows}?page=1&page=2"),
            "page",
            "page is given more than once.",
        ),
        (
            format!("{rows}?filter=nothing"),
            "filter",
            "filter is one of",
        ),
        (
            format!("{rows}?pages=2"),
            "pages",
            "There is no parameter \"pages\"",
        ),
        (
            format!("/jobs/{job_id}/results.csv?Filter=valid"),
            "Filter",
            "only filter and excel.",
        ),
        ("/users?limit=5".to_owned(), "limit", "only page and size."),
        (
            "/users?page=0".to_owned(),
            "page",
            "page must be a whole number from 1",
        ),
        (
            format!("/users/{user_id}?x=1"),
            "x",
            "There is no parameter \"x\"",
        ),
        (
            format!("/users/{user_id}/jobs?sort=name"),
            "sort",
            "There is no parameter \"sort\"",
        ),
        (
            format!("/users/{user_id}/formats?x"),
            "x",
            "There is no parameter \"x\"",
        ),
        (
            format!("/jobs/{job_id}?x=1"),
            "x",
            "There is no parameter \"x\"",
        ),
        (
            format!("/jobs/{job_id}/report?x=1"),
            "x",
            "There is no parameter \"x\"",
        ),
        (
            format!("/ws/{user_id}?x=1"),
            "x",
            "There is no parameter \"x\"",
        ),
        ("/ws?x=1".to_owned(), "x", "There is no parameter \"x\""),
        (format!("{rows}?filter="), "filter", "filter is empty."),
        ("/jobs?from=%20".to_owned(), "from", "from is empty."),
        ("/jobs?status=".to_owned(), "status", "status is empty."),
    ] {
        let body = expect(app.get(&path).await, UNPROCESSABLE).await;
        assert_eq!(body["errors"][0]["field"], field, "{path}: {body}");
        let found = body["errors"][0]["message"].as_str().unwrap();
        assert!(
            found.contains(sentence) && is_plain(found),
            "{path}: {found}"
        );
    }
    let send_form = async |path: &str| {
        let request = reqwest::Client::new().post(format!("{}{path}", app.api));
        let request = request.header("content-type", "multipart/form-data; boundary=x");
        request.send().await.unwrap()
    };
    for path in [
        format!("/jobs?user_id={user_id}&name=x"),
        "/jobs?user=1".to_owned(),
        "/jobs".to_owned(),
        "/check?format=x".to_owned(),
        format!("/jobs/{job_id}/start?force=true"),
        format!("/jobs/{job_id}/pause?x"),
    ] {
        let detail = problem(send_form(&path).await, UNPROCESSABLE).await;
        assert!(is_plain(&detail), "{path}: {detail}");
    }
    let detail = problem(send_form("/jobs").await, UNPROCESSABLE).await;
    assert_eq!(
        detail,
        "user_id is missing. Add it to the address: ?user_id=7"
    );
    let deleted = app.delete(&format!("/jobs/{job_id}?dry_run=true")).await;
    problem(deleted, UNPROCESSABLE).await;
    app.get_json(&format!("/jobs/{job_id}")).await;
}

#[tokio::test]
async fn unknown_and_wrong_fields_are_refused_by_name() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let job_id = app.upload(user_id, SAMPLE).await;
    let user = json!({"name": "Ann", "email": "ann@example.com"});
    let with = |name: &str, value: Value| {
        let mut body = user.clone();
        body[name] = value;
        body
    };
    let formats = format!("/users/{user_id}/formats");
    for (path, body, field) in [
        ("/users".to_owned(), with("admin", json!(true)), "admin"),
        ("/users".to_owned(), with("Name", json!("x")), "Name"),
        ("/users".to_owned(), with("name", json!(5)), "name"),
        ("/users".to_owned(), with("name", Value::Null), "name"),
        ("/users".to_owned(), with("email", json!(["a"])), "email"),
        ("/users".to_owned(), json!({"name": "Ann"}), "email"),
        ("/users".to_owned(), json!([]), "body"),
        ("/users".to_owned(), json!("text"), "body"),
        (
            formats.clone(),
            json!({"name": "a", "format": {}, "colour": 1}),
            "colour",
        ),
        (
            formats.clone(),
            json!({"name": "a", "format": {}, "header": "x"}),
            "header",
        ),
        (formats, json!({"name": "a"}), "format"),
        (
            format!("/jobs/{job_id}/start"),
            json!({"fromat": {}}),
            "fromat",
        ),
        (
            format!("/jobs/{job_id}/start"),
            json!({"format_name": 1}),
            "format_name",
        ),
    ] {
        let answer = expect(app.post_json(&path, &body).await, UNPROCESSABLE).await;
        assert_eq!(
            answer["errors"][0]["field"], field,
            "{path} {body}: {answer}"
        );
        let sentence = answer["errors"][0]["message"].as_str().unwrap();
        assert!(is_plain(sentence), "{path} {body}: {sentence}");
    }
    let change = json!({"nmae": "Ann"});
    let answer = app.patch_json(&format!("/users/{user_id}"), &change).await;
    assert_eq!(
        expect(answer, UNPROCESSABLE).await["errors"][0]["field"],
        "nmae"
    );
    for (kind, body, status) in [
        ("application/json", "{", 422),
        ("application/json", "", 422),
        ("application/json", "{\"name\": \"\u{0}\"}", 422),
        ("application/json", "{'name': 'x'}", 422),
        ("text/plain", "{}", 415),
        ("", "{}", 415),
    ] {
        let mut request = reqwest::Client::new()
            .post(format!("{}/users", app.api))
            .body(body);
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        let response = request.send().await.unwrap();
        let detail = problem(response, StatusCode::from_u16(status).unwrap()).await;
        assert!(is_plain(&detail), "{kind} {body}: {detail}");
    }
    assert_eq!(
        app.get_json(&format!("/jobs/{job_id}")).await["status"],
        "pending"
    );
}

/// A form with this part.
fn form(part: &str) -> String {
    format!("--x\r\n{part}\r\n--x--\r\n")
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_refused_in_our_own_words() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let job_id = app.upload(user_id, SAMPLE).await;
    let jobs = format!("/jobs?user_id={user_id}");
    let start = format!("/jobs/{job_id}/start");
    let file = "Content-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\na,b";
    let whole = form(file);
    let (json, plain) = ("application/json", "application/x-www-form-urlencoded");
    let boundary = "multipart/form-data; boundary=x";
    let bad_chunk = "Transfer-Encoding: chunked\r\n\r\nzz\r\n".to_owned();
    let sized = |body: &str| format!("Content-Length: {}\r\n\r\n{body}", body.len());
    for (base, path, kind, rest, status) in [
        // Not a form, or not with a boundary.
        (&app.api, &*jobs, "text/csv", sized(&whole), 415),
        (&app.api, &jobs, "multipart/form-data", sized(&whole), 415),
        (&app.api, "/check", json, sized(&whole), 415),
        (&app.web, "/rpc/upload-file", plain, sized("a=1"), 415),
        (&app.web, "/rpc/create-user", json, sized("{}"), 415),
        (&app.web, "/theme", "text/plain", sized("theme=dark"), 415),
        // A form that ends early or has a malformed part.
        (&app.api, &jobs, boundary, sized(&whole[..20]), 400),
        (
            &app.api,
            &jobs,
            boundary,
            sized(&whole[..whole.len() - 9]),
            400,
        ),
        (&app.api, &jobs, boundary, sized(""), 400),
        (
            &app.api,
            "/check",
            boundary,
            sized(&whole[..whole.len() - 9]),
            400,
        ),
        (
            &app.api,
            "/check",
            boundary,
            sized(&form("no header\r\n\r\na")),
            400,
        ),
        // Malformed chunks.
        (&app.api, &jobs, boundary, bad_chunk.clone(), 400),
        (&app.api, "/check", boundary, bad_chunk.clone(), 400),
        (&app.api, "/users", json, bad_chunk.clone(), 400),
        (&app.api, &start, json, bad_chunk.clone(), 400),
        (&app.web, "/rpc/create-user", plain, bad_chunk.clone(), 400),
        (&app.web, "/theme", plain, bad_chunk.clone(), 400),
        // Malformed content.
        (&app.api, "/users", json, sized("{\"name\": "), 422),
        (&app.api, &start, json, sized("{\"format\": {"), 422),
    ] {
        let mut connection = RawConnection::open(base).await;
        let host = base.strip_prefix("http://").unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\n");
        connection.send(head + &rest).await;
        let refused = connection.response().await;
        assert_eq!(refused.status, status, "{path} {kind} {rest}: {refused:?}");
        assert_eq!(
            refused.header("content-type"),
            Some("application/problem+json")
        );
        let body: Value = serde_json::from_str(&refused.body).unwrap();
        let sentence = body["detail"].as_str().unwrap();
        assert!(
            is_plain(sentence) && sentence.ends_with('.'),
            "{path} {kind} {rest}: {sentence}"
        );
    }
    assert_eq!(
        app.get_json(&format!("/jobs/{job_id}")).await["status"],
        "pending"
    );

    // An export that isn't JSON.
    let import = [("user_id", &*user_id.to_string()), ("json", "{\"name\": ")];
    let refused = app.post_form("/rpc/import-format", &import).await;
    assert_eq!(refused.status(), UNPROCESSABLE);
    let error = refused.json::<Value>().await.unwrap();
    let sentence = error["message"].as_str().unwrap();
    assert!(
        is_plain(sentence) && sentence.ends_with("ends too early."),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_websocket_without_its_headers_is_refused_in_our_own_words() {
    let app = TestApp::start().await;
    let host = app.api.strip_prefix("http://").unwrap();
    let (upgrade, version, key) = (
        "Connection: Upgrade\r\nUpgrade: websocket\r\n",
        "Sec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    );
    for (headers, status) in [
        (String::new(), 426),
        (format!("{version}{key}"), 426),
        (format!("{upgrade}Sec-WebSocket-Version: 12\r\n{key}"), 400),
        (format!("{upgrade}{version}"), 400),
        (format!("{upgrade}{version}{key}"), 101),
    ] {
        let request = format!("GET /ws HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n");
        let response = raw(&app.api, request).await;
        assert_eq!(response.status, status, "{headers}: {response:?}");
        if status != 101 {
            let body: Value = serde_json::from_str(&response.body).unwrap();
            let sentence = body["detail"].as_str().unwrap();
            assert!(is_plain(sentence), "{headers}: {sentence}");
        }
    }
}

#[tokio::test]
async fn a_file_needs_a_filename_in_any_form() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let host = app.api.strip_prefix("http://").unwrap();
    let upload = async |path: &str, parameters: &[u8]| {
        let begin = b"--x\r\nContent-Disposition: form-data; name=\"file\"";
        let end = b"\r\n\r\ntransaction_id,amount,date\r\n--x--\r\n";
        let form = [&begin[..], parameters, end].concat();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: multipart/form-data; boundary=x\r\n\
             Content-Length: {}\r\n\r\n",
            form.len()
        );
        let response = raw(&app.api, [head.as_bytes(), &form].concat()).await;
        let body = serde_json::from_str::<Value>(&response.body).unwrap();
        (response.status, body)
    };
    let jobs = format!("/jobs?user_id={user_id}");
    for (parameters, filename) in [
        (&b"; filename=\"a.csv\""[..], "a.csv"),
        (b"; filename*=UTF-8''%e2%82%ac.csv", "\u{20ac}.csv"),
        (b"; filename=\"\xe4.csv\"", "\u{fffd}.csv"),
        (b"; filename=\"\"", "upload.csv"),
    ] {
        let (status, job) = upload(&jobs, parameters).await;
        assert_eq!((status, &job["filename"]), (201, &json!(filename)));
    }
    for path in [&*jobs, "/check"] {
        let (status, refused) = upload(path, b"").await;
        assert_eq!(
            (status, &refused["errors"][0]["field"]),
            (422, &json!("file"))
        );
        let sentence = refused["detail"].as_str().unwrap();
        assert!(sentence.contains("has no filename"), "{sentence}");
    }
}

#[tokio::test]
async fn a_repeated_key_is_refused_by_name() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let job_id = app.upload(user_id, SAMPLE).await;
    let post = async |path: &str, body: &'static str| {
        let request = reqwest::Client::new().post(format!("{}{path}", app.api));
        let request = request
            .header("content-type", "application/json")
            .body(body);
        problem(request.send().await.unwrap(), UNPROCESSABLE).await
    };
    let twice = r#"{"name": "Ann", "email": "ann@example.com", "name": "Bob"}"#;
    assert_eq!(post("/users", twice).await, "name is given more than once.");
    let twice = r#"{"format": {"decimal": ".", "decimal": ","}}"#;
    let start = format!("/jobs/{job_id}/start");
    assert_eq!(
        post(&start, twice).await,
        "decimal is given more than once."
    );
    let twice = multipart::Form::new()
        .text("format", r#"{"columns": {"amount": "a", "amount": "b"}}"#)
        .part(
            "file",
            multipart::Part::bytes(SAMPLE.as_bytes()).file_name("a.csv"),
        );
    let refused = app
        .post_multipart(&format!("/jobs?user_id={user_id}"), twice)
        .await;
    let sentence = problem(refused, UNPROCESSABLE).await;
    assert_eq!(
        sentence,
        "In the format, \"amount\" is given more than once."
    );
}

#[tokio::test]
async fn form_fields_may_have_any_order_but_must_be_known() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let path = format!("/jobs?user_id={user_id}");
    let file = || multipart::Part::bytes(SAMPLE.as_bytes()).file_name("a.csv");
    let before = multipart::Form::new()
        .text("format", r#"{"date_order": "dmy"}"#)
        .part("file", file());
    let behind = multipart::Form::new()
        .part("file", file())
        .text("format", r#"{"date_order": "dmy"}"#);
    for form in [before, behind] {
        let uploaded = expect(app.post_multipart(&path, form).await, StatusCode::CREATED).await;
        let job = app.get_json(&format!("/jobs/{}", uploaded["id"])).await;
        assert_eq!(job["format"]["date_order"], "dmy", "{job}");
    }
    let stored = app.stored_files().len();
    for (path, field) in [
        (&path, "fromat"),
        (&path, "file"),
        (&path, "format"),
        (&path, "format_name"),
        (&"/check".to_owned(), "format_name"),
        (&"/check".to_owned(), "file"),
    ] {
        let form = multipart::Form::new()
            .part("file", file())
            .text(field, "{\"date_order\": 1}");
        let answer = expect(app.post_multipart(path, form).await, UNPROCESSABLE).await;
        let named = answer["errors"][0]["field"].as_str().unwrap();
        assert!(named.starts_with(field), "{path} {field}: {answer}");
    }
    let nothing = multipart::Form::new().text("format", "{}");
    let answer = expect(app.post_multipart(&path, nothing).await, UNPROCESSABLE).await;
    assert_eq!(answer["errors"][0]["field"], "file");
    // Nothing remains of an upload that was refused after its file.
    assert_eq!(
        app.get_json(&format!("/users/{user_id}/jobs"))
            .await
            .as_array()
            .unwrap()
            .len(),
        2
    );
    eventually("the files to go", async || {
        (app.stored_files().len() == stored).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_format_accepts_all_json_numbers_and_no_nul() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let path = format!("/users/{user_id}/formats");
    let body = r#"{"name": "a", "format": {"skip_records": 2.0, "suspicious": {"below": 1e-3, "above": 5e4}}}"#;
    let saved = app
        .post_json(&path, &serde_json::from_str(body).unwrap())
        .await;
    let saved = expect(saved, StatusCode::CREATED).await;
    for format in [
        json!({"sheet": "a\0"}),
        json!({"ignore": [{"column": "a", "is": ["\0"]}]}),
        json!({"columns": {"date": "\0"}}),
    ] {
        let body = json!({"name": "b", "format": format});
        let detail = problem(app.post_json(&path, &body).await, UNPROCESSABLE).await;
        assert!(detail.contains("NUL"), "{detail}");
    }
    assert_eq!(saved["format"]["skip_records"], 2);
    assert_eq!(
        saved["format"]["suspicious"],
        json!({"below": 0.001, "above": 50000})
    );
}

#[tokio::test]
async fn names_contain_no_hidden_characters() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    for hidden in [
        "\u{202e}", "\u{2066}", "\u{200f}", "\u{200b}", "\u{200d}", "\u{2060}", "\u{feff}",
        "\u{ad}",
    ] {
        let name = format!("An{hidden}n");
        let user = json!({"name": name, "email": "ann@example.com"});
        problem(app.post_json("/users", &user).await, UNPROCESSABLE).await;
        let change = app
            .patch_json(&format!("/users/{user_id}"), &json!({"name": name}))
            .await;
        problem(change, UNPROCESSABLE).await;
        let format = json!({"name": name, "format": {}});
        let saved = app
            .post_json(&format!("/users/{user_id}/formats"), &format)
            .await;
        problem(saved, UNPROCESSABLE).await;

        let filename = format!("pay{hidden}ments.csv");
        let uploaded = app.upload_response(user_id, &filename, SAMPLE.into()).await;
        let job = expect(uploaded, StatusCode::CREATED).await;
        assert_eq!(job["filename"], "payments.csv", "{hidden:?}");
    }
}

#[tokio::test]
async fn lists_have_pages() {
    let app = TestApp::start().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, app.user().await);
    }
    let owner = ids[0];
    let mut jobs = Vec::new();
    for _ in 0..5 {
        jobs.insert(0, app.upload(owner, SAMPLE).await);
    }
    for (path, all) in [
        ("/users".to_owned(), &ids),
        (format!("/users/{owner}/jobs"), &jobs),
    ] {
        let page = async |query: &str| {
            let response = app.get(&format!("{path}{query}")).await;
            let header = |name: &str| {
                let value = response.headers()[name].to_str().unwrap();
                value.to_owned()
            };
            assert_eq!(header("x-total-count"), "5");
            let links = header("link");
            let found = expect(response, StatusCode::OK).await;
            let ids = found.as_array().unwrap().iter();
            (
                ids.map(|item| item["id"].as_i64().unwrap())
                    .collect::<Vec<_>>(),
                links,
            )
        };
        assert_eq!(&page("").await.0, all);
        let (second, links) = page("?page=2&size=2").await;
        assert_eq!(second, all[2..4]);
        for link in [
            format!("<{path}?size=2&page=1>; rel=\"prev\""),
            format!("<{path}?size=2&page=3>; rel=\"next\""),
            format!("<{path}?size=2&page=3>; rel=\"last\""),
        ] {
            assert!(links.contains(&link), "{link} in {links}");
        }
        assert_eq!(page("?page=3&size=2").await.0, all[4..]);
        assert_eq!(page("?page=4294967295&size=1000").await.0, [0; 0]);
    }
}

#[tokio::test]
async fn the_api_description_is_complete_and_consistent() {
    let app = TestApp::start().await;
    let description = app.get_json("/openapi.json").await;
    let mut names = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let what = format!("{method} {path}");
            names.push(operation["operationId"].as_str().unwrap().to_owned());
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap();
                let place = match name {
                    "Idempotency-Key" => "header",
                    _ if path.contains(&format!("{{{name}}}")) => "path",
                    _ => "query",
                };
                assert_eq!(parameter["in"], place, "{what} {name}");
            }
            let is_optional = path.ends_with("/start") || path.ends_with("/retry");
            if let Some(body) = operation.get("requestBody") {
                assert_eq!(body["required"] == true, !is_optional, "{what}");
                for status in ["413", "415", "422"] {
                    assert!(
                        operation["responses"][status].is_object(),
                        "{what} {status}"
                    );
                }
            }
            let has_body = ["post", "patch"].contains(&method.as_str())
                && !["/pause", "/resume", "/cancel"]
                    .iter()
                    .any(|end| path.ends_with(end));
            assert_eq!(operation.get("requestBody").is_some(), has_body, "{what}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                if let Some(general) = response["$ref"].as_str() {
                    let expected = format!("#/components/responses/{status}");
                    assert_eq!(general, expected, "{what}");
                    continue;
                }
                assert_ne!(response["description"], "", "{what} {status}");
                let content = response["content"].as_object();
                if status.as_str() >= "400" {
                    let kinds: Vec<_> = content.unwrap().keys().collect();
                    assert_eq!(kinds, ["application/problem+json"], "{what} {status}");
                }
            }
        }
    }
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "{names:?}");
}
